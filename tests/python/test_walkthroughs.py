"""Every walk-through from the workflow in its text, on a real MLflow server, up to the image in a real registry."""

from __future__ import annotations

import json
import os
import re

import pytest
import yaml
from actions import TOP, Failed, Job, repository
from conftest import PASSWORD, REGISTRY_PASSWORD, USER

WALKTHROUGHS = TOP / "src/python/walkthroughs"


def blocks(name):
    """The workflow and the ModelDeployment in a walk-through's text."""
    text = (WALKTHROUGHS / name / "README.md").read_text()
    workflow, deployment = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    return workflow, deployment


class Team:
    """A team's repository, and what it pushed."""

    def __init__(self, name, tmp_path, server, registry, builder):
        self.name, self.registry, self.server = name, registry, server
        self.environment, self.base = builder
        self.folder = repository(WALKTHROUGHS / name, tmp_path / "repository")
        self.tmp_path = tmp_path
        self.workflow, self.deployment = blocks(name)
        said = self.workflow["jobs"]["model"]["with"]
        self.image = said["image"]
        assert self.deployment["spec"]["image"]["repository"] == self.image
        # Only what this machine has not: Docker Hub, hosts by name, an image of Python.
        self.inputs = {**said, "image": f"{registry.host}/{self.image}", "registry-insecure": "true"}
        if "tracking-uri" in said or "dagshub-repository" in said:
            self.inputs["tracking-uri"] = server
        if "dockerfile" not in said:
            self.inputs.update({"build": "recipe", "base-image": self.base})
        secrets = {
            "DOCKERHUB_USERNAME": USER,
            "DOCKERHUB_TOKEN": REGISTRY_PASSWORD,
            "DAGSHUB_USERNAME": USER,
            "DAGSHUB_TOKEN": PASSWORD,
            "PAT": "a token",
        }
        # What the workflow does not hand on stays in the repository.
        self.secrets = {name: secrets[name] for name in self.workflow["jobs"]["model"]["secrets"]}

    def push(self, **inputs):
        inputs = {**self.inputs, **{name.replace("_", "-"): value for name, value in inputs.items()}}
        self.job = Job(self.folder, self.tmp_path / "runner", inputs, self.secrets, self.environment)
        return self.job.run()

    def labels(self, tag="latest"):
        return self.registry.image(self.image, tag)[1]["Labels"]

    def profile(self):
        return json.loads(self.labels()["dev.modelship.profile"])


@pytest.fixture
def team(request, tmp_path, mlflow_server, registry, builder):
    return Team(request.param, tmp_path, mlflow_server, registry, builder)


def of(name):
    return pytest.mark.parametrize("team", [name], indirect=True)


@of("label-encoded")
def test_a_random_forest_with_encoded_labels_arrives_with_the_names_of_its_classes(team):
    job = team.push()
    assert team.registry.tags(team.image) == sorted([job.commit, "latest"])
    digest, config = team.registry.image(team.image, "latest")
    assert digest == team.registry.image(team.image, job.commit)[0] == job.outputs["digest"]
    profile = team.profile()
    assert profile["classes"] == [
        {"value": "0", "name": "setosa"},
        {"value": "1", "name": "versicolor"},
        {"value": "2", "name": "virginica"},
    ]
    assert sum(profile["reference"]["classes"].values()) == profile["rows"] == 112
    assert profile["metrics"]["f1_score"] > 0.8
    labels = config["Labels"]
    assert labels["dev.modelship.mlflow.run-id"] == job.outputs["run-id"]
    assert labels["dev.modelship.mlflow.tracking-uri"] == team.server
    assert labels["org.opencontainers.image.revision"] == job.commit
    assert labels["org.opencontainers.image.source"] == "https://github.com/alice/model"
    assert config["User"] == "10001:10001"
    assert "uvicorn mlflow.pyfunc.scoring_server.app:app" in config["Cmd"][-1]


@of("mlflow-project")
def test_an_mlflow_project_that_knows_nothing_of_modelship_is_described_and_reported(team):
    job = team.push()
    profile = team.profile()
    assert [one["name"] for one in profile["classes"]] == ["stay", "churn"]
    assert list(profile["features"]) == ["tenure", "charges", "support_calls", "contract"]
    assert profile["rows"] == 300 and "f1_score" in profile["metrics"]
    (uploaded,) = job.uploads
    assert {"classification_report.txt", "confusion_matrix.png", "requirements.txt", "metrics.json", "README.md"} <= set(uploaded)
    # One repository may have several models, and one run of Actions may push them.
    name = f"model-report-{team.registry.host.replace(':', '-')}-alice-churn-model"
    assert team.image == "alice/churn-model" and job.upload_names == [name]
    (pull_request,) = job.pull_requests
    assert pull_request["branch"] == f"modelship/{name}"
    assert pull_request["add-paths"] == "model-report" and pull_request["token"] == "a token"
    assert f"{team.registry.host}/{team.image}@{job.outputs['digest']}" in pull_request["body"]
    assert "| `f1_score` |" in pull_request["body"]
    assert {file.name for file in (job.folder / "model-report").iterdir()} == {
        ".modelship-report",
        "classification_report.txt",
        "confusion_matrix.png",
        "metrics.json",
        "parameters.json",
        "requirements.txt",
        "modelship-profile.json",
    }
    parameters = json.loads((job.folder / "model-report/parameters.json").read_text())
    assert parameters == {"trees": "15", "depth": "4"}


@of("attrition")
def test_a_team_on_dagshub_ships_a_probability_with_its_threshold(team):
    job = team.push(dagshub_repository="")
    profile = team.profile()
    assert profile["kind"] == "probability" and profile["positive"] == "leave" and profile["threshold"] == "0.4"
    assert len(profile["reference"]["bounds"]) + 1 == len(profile["reference"]["counts"])
    assert team.labels()["dev.modelship.mlflow.tracking-uri"] == team.server
    assert PASSWORD not in json.dumps(team.registry.image(team.image, "latest")[1])
    assert PASSWORD not in job.log and REGISTRY_PASSWORD not in job.log
    assert team.deployment["spec"]["service"]["aliases"] == {"/predict": "/invocations"}


@of("attrition")
def test_a_wrong_token_is_told_and_pushes_nothing(team):
    team.secrets["DAGSHUB_TOKEN"] = "wrong"
    # What trained before, with another token.
    with pytest.raises(Failed, match="check the user and token for this tracking server"):
        team.push(dagshub_repository="", train=False, run="0" * 32)
    assert "latest" not in team.registry.tags("alice/nothing")


@of("image-classifier")
def test_an_image_of_one_s_own_dockerfile_needs_no_mlflow(team, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    dockerfile = team.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("docker.io/library/python:3.11-slim", team.base))
    job = team.push()
    profile = team.profile()
    assert profile["path"] == team.deployment["spec"]["predictions"]["path"] == "$.label"
    assert "seven" in profile["reference"]["classes"]
    assert profile["example"]["body"]["images"] == [[[0.0] * 8] * 8]
    assert "dev.modelship.mlflow.run-id" not in team.labels()
    _, config = team.registry.image(team.image, job.commit)
    assert config["Cmd"] == ["python", "server.py"] and config["User"] == "10001"
    assert job.uploads == [["classification_report.json", "modelship-profile.json"]]


KUBECTL = """#!/bin/bash
cat <<end
{"metadata": {"generation": 1}, "spec": {"image": {}}, "status": {"observedGeneration": 1,
 "candidate": {"digest": "$(cat "$RUNNER_TEMP/modelship/told/digest")"},
 "conditions": [{"type": "Stalled", "status": "True", "reason": "OutOfMemory", "message": "it takes more than 1Gi"}]}}
end
"""


@of("image-classifier")
def test_the_cluster_is_waited_for_at_once_and_the_reports_are_kept_whatever_it_says(team, monkeypatch):
    programs = team.tmp_path / "programs"
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (team.folder / "Dockerfile").write_text(f"FROM {team.base}\n")
    team.secrets["KUBECONFIG"] = "a kubeconfig"
    with pytest.raises(Failed, match="digits does not get it: OutOfMemory: it takes more than 1Gi"):
        team.push(deployment="digits")
    assert team.job.ran[-5:] == ["Image", "Wait for the cluster", "Report", "Artifacts", "Pull request"]
    assert team.job.uploads == [["classification_report.json", "modelship-profile.json"]] and team.job.pull_requests


@of("image-classifier")
def test_a_wait_without_a_kubeconfig_is_refused_before_anything_is_trained(team):
    with pytest.raises(Failed, match="deployment is digits, but the kubeconfig is empty: set the secret KUBECONFIG"):
        team.push(deployment="digits")
    assert "Train" not in team.job.ran


@of("image-classifier")
def test_a_github_that_does_not_say_what_the_workflow_is_of_is_told_and_runs_nothing_of_the_caller_s(team, monkeypatch):
    monkeypatch.setattr(Job, "modelship", team.folder)
    with pytest.raises(Failed, match="::error title=publish-model::This GitHub does not tell a reusable workflow its repository"):
        team.push()
    assert team.job.ran[-1] == "Modelship's scripts are there"


@of("image-classifier")
def test_a_model_of_which_nothing_is_known_and_kept_is_pushed_all_the_same(team):
    (team.folder / "Dockerfile").write_text(f"FROM {team.base}\n")
    job = team.push(train_command="true", keep="", describe="optional")
    assert job.uploads == [[]] and job.ran[-1] == "Pull request"
    assert "dev.modelship.profile" not in team.labels(job.commit)


@of("score-gate")
def test_the_best_run_is_shipped_when_it_clears_the_bar_and_none_when_it_does_not(team):
    job = team.push()
    assert team.profile()["metrics"]["f1_score"] > 0.9, "that of C=1, not of the last or the first run"
    tags = team.registry.tags(team.image)
    assert tags == sorted([job.commit, "latest"])
    before = team.registry.image(team.image, "latest")[0]
    with pytest.raises(Failed, match="not good enough: f1_score is 0.9.*at least 0.999 is asked for"):
        team.push(at_least="0.999", train=False)
    assert team.registry.image(team.image, "latest")[0] == before
