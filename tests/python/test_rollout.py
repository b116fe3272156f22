"""From a commit to predictions of the Service, on a cluster with Modelship installed: `tests/run e2e` starts it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
import uuid

import pytest
import yaml
from actions import TOP, Job, git, repository
from conftest import PASSWORD, USER, Registry
from test_walkthroughs import Team

# Longer than any pull, start and roll-out takes on a busy machine; it costs only failing tests.
PATIENCE = 240
# Port of the exporter's page in a pod.
METRICS = 9801
# Of the model's repository, beside this file.
REPOSITORY = TOP / "tests/python/repository"
IMAGE = "alice/customer-model"
TWO_YEARS = {"dataframe_records": [{"tenure": 24.0, "charges": 23.0}]}


def eventually(what, look):
    """What `look` gives as soon as it is something; it may fail until then."""
    deadline, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (OSError, AssertionError) as error:
            last = error
        time.sleep(0.1)
    pytest.fail(f"waited {PATIENCE} s in vain for {what}: {last}")


def fetch(url, body=None):
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, json.dumps(body).encode() if body else None, timeout=10) as answer:
        return answer.read().decode()


class Cluster:
    """A namespace of a test on the cluster that tests/run has started."""

    def __init__(self, folder):
        # Never the user's own context.
        self.kubeconfig = pathlib.Path(os.environ["MODELSHIP_TEST_KUBECONFIG"])
        self.namespace = f"team-{uuid.uuid4().hex[:8]}"
        self.environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        # As a plugin of kubectl is installed: a program of this name on the PATH.
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "modelship"], cwd=TOP, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
        (folder / "kubectl-modelship").symlink_to(target / "debug/modelship")
        self.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
        self.kubectl("create", "namespace", self.namespace)

    def kubectl(self, *arguments, code=0):
        done = subprocess.run(
            ["kubectl", *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def modelship(self, command, name, *arguments, code=0):
        return self.kubectl("modelship", command, name, "--namespace", self.namespace, *arguments, code=code)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", "--namespace", self.namespace, *arguments, "--output", "json"))

    def apply(self, file):
        """As the last step of every walk-through, but that new pushes are asked for more often."""
        deployment = yaml.safe_load(file.read_text())
        deployment["spec"]["image"]["pollInterval"] = "5s"
        file.write_text(yaml.safe_dump(deployment))
        self.kubectl("apply", "--namespace", self.namespace, "--filename", str(file))
        return deployment["metadata"]["name"]

    def status(self, name):
        return self.get("modeldeployment", name)["status"]

    def predictions(self, name, body):
        """Through the Service, whose address this machine reaches; the name in status.url needs the cluster's DNS."""
        service = self.get("service", name)["spec"]
        path = self.status(name)["url"].split(".svc", 1)[1]
        address = f"http://{service['clusterIP']}:{service['ports'][0]['port']}{path}"
        return json.loads(fetch(address, body))["predictions"]

    def series(self, name, series):
        """The value of a series in the exporters' pages of all pods that serve now."""
        pods = self.get("pods", "--selector", f"modelship.dev/model={name}")["items"]
        pages = [
            fetch(f"http://{pod['status']['podIP']}:{METRICS}/metrics")
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
        ]
        lines = [line.rpartition(" ") for page in pages for line in page.splitlines()]
        return sum(float(value) for found, _, value in lines if found == series)

    def end(self):
        # Models first: the operator would go on making children in a namespace that ends.
        self.kubectl("delete", "modeldeployments", "--all", "--namespace", self.namespace)
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")


@pytest.fixture
def cluster(tmp_path):
    if "MODELSHIP_TEST_KUBECONFIG" not in os.environ:
        pytest.skip("there is no cluster: tests/run e2e starts one")
    (tmp_path / "plugins").mkdir()
    cluster = Cluster(tmp_path / "plugins")
    yield cluster
    cluster.end()


@pytest.fixture(scope="module")
def cluster_registry():
    if "MODELSHIP_TEST_REGISTRY" not in os.environ:
        pytest.skip("there is no cluster's registry: tests/run e2e starts one")
    return Registry(os.environ["MODELSHIP_TEST_REGISTRY"].removeprefix("http://"))


@pytest.fixture(scope="module")
def python_builder(builder, cluster_registry, tmp_path_factory):
    """As `builder`, with a base that stands in for Python's image and runs: all that the models require is installed, so
    that its pip has nothing to do."""
    environment, _ = builder
    name = f"{cluster_registry.host}/modelship/python:test"
    subprocess.run([TOP / "tests/images/model", "base", name], check=True, capture_output=True)
    context = tmp_path_factory.mktemp("python")
    (context / "bin").mkdir()
    (context / "bin/pip").write_text("#!/bin/sh\nexit 0\n")
    (context / "bin/pip").chmod(0o755)
    (context / "bin/python").symlink_to("python3")
    # The models' images hold MLflow's server. A team's own may be Flask's, and MLflow's format of models may be skops.
    installed = pathlib.Path(sysconfig.get_path("platlib"))
    flask, skops = ("flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "blinker"), ("skops", "prettytable", "wcwidth")
    for package in (*flask, *skops):
        for folder in (installed / package, *installed.glob(f"{package}-*.dist-info")):
            shutil.copytree(folder, context / "packages" / folder.name)
    (context / "Dockerfile").write_text(f"FROM {name}\nCOPY packages /opt/site-packages\nCOPY bin /usr/bin\n")
    base = "localhost/python:test"
    for command in (
        ["buildah", "pull", "--quiet", "--tls-verify=false", f"docker://{name}"],
        ["buildah", "bud", "--quiet", "--tag", base, str(context)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
    return environment, base


class Repository:
    """A model's repository as `modelship init` leaves it, and its pushes."""

    def __init__(self, folder, cluster, registry, server, builder):
        self.folder, self.cluster = repository(REPOSITORY, folder), cluster
        told = cluster.kubectl("modelship", "init", str(folder), "--image", IMAGE, "--name", "customers", "--tracking-uri", server)
        assert "DAGSHUB_TOKEN" in told
        self.deployment = folder / "modeldeployment.yaml"
        workflow = yaml.safe_load((folder / ".github/workflows/model.yml").read_text())
        self.environment, base = builder
        # Only what this machine has not: Docker Hub, and an image of Python.
        self.inputs = {
            **workflow["jobs"]["model"]["with"],
            "image": f"{registry.host}/{IMAGE}",
            "registry-insecure": "true",
            "build": "recipe",
            "base-image": base,
        }
        self.secrets = {
            "DAGSHUB_USERNAME": USER,
            "DAGSHUB_TOKEN": PASSWORD,
            "KUBECONFIG": cluster.kubeconfig.read_text(),
        }
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "Published by Modelship")

    def change(self, old, new):
        """A commit that changes the model's code."""
        file = self.folder / "modelling.py"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        git(self.folder, "commit", "--quiet", "--message", "Another model", "modelling.py")

    def push(self, **inputs):
        """What a push to GitHub causes: the whole workflow."""
        job = Job(self.folder, self.folder.parent / "runner", {**self.inputs, **inputs}, self.secrets, self.environment)
        return job.run()


def test_a_commit_leads_to_new_predictions_of_the_service_by_the_workflow_alone(
    tmp_path, cluster, cluster_registry, mlflow_server, python_builder
):
    team = Repository(tmp_path / "repository", cluster, cluster_registry, mlflow_server, python_builder)
    first = team.push()
    name = cluster.apply(team.deployment)
    cluster.modelship("wait", name, "--digest", first.outputs["digest"], "--timeout", f"{PATIENCE}s")
    # LabelEncoder sorts: 0 is churn, 1 is stay. Only the image's labels say so.
    assert eventually("a prediction", lambda: cluster.predictions(name, TWO_YEARS)) == [1]
    eventually("its count", lambda: cluster.series(name, 'model_predictions_total{class="stay"}') == 1)
    stable = cluster.status(name)["stable"]
    assert stable["revision"] == first.commit and stable["runID"] == first.outputs["run-id"]

    team.change("MONTHS = 12", "MONTHS = 36")
    second = team.push(deployment=name, namespace=cluster.namespace, wait=str(PATIENCE))
    assert second.ran[second.ran.index("Image") + 1] == "Wait for the cluster"
    assert second.commit != first.commit and second.outputs["digest"] != first.outputs["digest"]
    assert f"until {name} gives its users {second.outputs['digest'][:19]}" in second.log and "users get it" in second.log
    status = cluster.status(name)
    assert status["stable"]["digest"] == second.outputs["digest"] and "candidate" not in status
    # A pod that ends may answer for a moment.
    eventually("the other prediction", lambda: cluster.predictions(name, TWO_YEARS) == [0])
    eventually("its count", lambda: cluster.series(name, 'model_predictions_total{class="churn"}') >= 1)
    assert cluster.series(name, 'model_predictions_total{class="stay"}') == 0
    versions = [(past["revision"], past["runID"]) for past in status["history"]]
    assert versions == [(push.commit, push.outputs["run-id"]) for push in (second, first)]
    cluster.modelship("wait", name, "--commit", second.commit, "--timeout", f"{PATIENCE}s")


@pytest.mark.parametrize(
    "walkthrough, path",
    [
        ("label-encoded", "/invocations"),
        ("mlflow-project", "/invocations"),
        ("attrition", "/predict"),
        ("image-classifier", "/predict"),
        ("score-gate", "/invocations"),
    ],
)
def test_a_walk_through_ends_with_predictions_of_its_service(
    walkthrough, path, tmp_path, cluster, cluster_registry, mlflow_server, python_builder
):
    team = Team(walkthrough, tmp_path, mlflow_server, cluster_registry, python_builder)
    for secret in ("DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN"):
        del team.secrets[secret]
    dockerfile = team.folder / "Dockerfile"
    if dockerfile.exists():
        dockerfile.write_text(dockerfile.read_text().replace("docker.io/library/python:3.11-slim", team.base))
    # DagsHub's place is taken by the server of the tests.
    job = team.push(dagshub_repository="")
    manifest = tmp_path / "modeldeployment.yaml"
    manifest.write_text(yaml.safe_dump(team.deployment))
    name = cluster.apply(manifest)
    told = cluster.modelship("wait", name, "--timeout", f"{PATIENCE}s")
    assert f"modeldeployment.modelship.dev/{name} serves" in told
    assert cluster.status(name)["stable"]["digest"] == job.outputs["digest"]
    # What is sent is the example that the image brings along.
    predicted = json.loads(cluster.modelship("predict", name, "--path", path, "--output", "json"))
    assert len(predicted["answer"]["predictions"]) == 1
    profile = team.profile()
    if profile["kind"] == "class" and "classes" in profile:
        assert predicted["classes"][0] in [one["name"] for one in profile["classes"]]
