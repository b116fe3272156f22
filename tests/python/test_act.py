"""The workflow under act, whose engine is not ours: a team's caller, the reusable workflow, the composite actions, as they are.
Only what needs GitHub itself (checkout, Python's set-up, the upload, the pull request) is done by stand-ins."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from actions import TOP, WORKFLOW, git, repository
from conftest import PASSWORD, REGISTRY_PASSWORD, USER
from test_walkthroughs import WALKTHROUGHS, blocks

NAME = "label-encoded"
# Of this test alone: what else is pushed to the registry says nothing here.
IMAGE = "alice/under-act"
# What each action of others does here, in the shell; $NOTES is a folder of the test's.
STAND_INS = {
    # Of Modelship; act brings the caller's repository itself.
    "actions/checkout": f'ln -s {TOP} "$INPUT_PATH"',
    "actions/setup-python": "true",
    # A file goes from one job to another, by its number; a folder is for people.
    "actions/upload-artifact": 'if [ -f "$INPUT_PATH" ]; then mkdir "$NOTES/17" && cp "$INPUT_PATH" "$NOTES/17/" &&'
    ' echo artifact-id=17 >>"$GITHUB_OUTPUT"; else (cd "$INPUT_PATH" && find . -type f) >"$NOTES/uploaded"; fi',
    "actions/download-artifact": 'cp -R "$NOTES/$INPUT_ARTIFACT_IDS" "$INPUT_PATH"',
    "peter-evans/create-pull-request": 'cp "$INPUT_BODY_PATH" "$NOTES/pull-request.md"',
}
INPUTS = ("path", "body-path", "artifact-ids")
# What a package of the training may leave behind, to be run again by later steps.
TRAINING = r"""
mkdir "$RUNNER_TEMP/left"
for program in buildah python3; do
    printf '#!/bin/sh\nenv >>"$NOTES/seen"\nPATH=${PATH#*/left:} exec %s "$@"\n' "$program" >"$RUNNER_TEMP/left/$program"
    chmod +x "$RUNNER_TEMP/left/$program"
done
echo "$RUNNER_TEMP/left" >>"$GITHUB_PATH"
echo 'env >>"$NOTES/seen"' >"$RUNNER_TEMP/left/rc"
echo "BASH_ENV=$RUNNER_TEMP/left/rc" >>"$GITHUB_ENV"
python modelling.py
"""


@pytest.fixture
def act():
    program = shutil.which("act")
    if program is None:
        pytest.skip("act is not there: tests/run builds it")
    return program


def stand_ins(folder):
    """Options that put a composite action of ours in the place of each action that the workflow takes from elsewhere."""
    used = set(re.findall(r"uses: ([\w-]+/[\w-]+)@(\w+)", WORKFLOW.read_text()))
    assert {name for name, _ in used} == set(STAND_INS)
    options = []
    for name, commit in used:
        place = folder / name.replace("/", "-")
        place.mkdir(parents=True)
        step = {
            "id": "stand-in",
            "shell": "bash",
            "run": STAND_INS[name],
            "env": {f"INPUT_{one.upper().replace('-', '_')}": f"${{{{ inputs.{one} }}}}" for one in INPUTS},
        }
        outputs = {"artifact-id": {"value": "${{ steps.stand-in.outputs.artifact-id }}"}}
        inputs = {one: {"default": ""} for one in INPUTS}
        action = {"name": name, "inputs": inputs, "outputs": outputs, "runs": {"using": "composite", "steps": [step]}}
        (place / "action.yml").write_text(json.dumps(action))
        options += ["--local-repository", f"{name}@{commit}={place}"]
    return options


def known_to_act(folder):
    """The workflow without the one word that act's schema does not know yet; GitHub's does."""
    lines = WORKFLOW.read_text().splitlines(keepends=True)
    known = [line for line in lines if line != "  queue: max\n"]
    assert len(known) == len(lines) - 1
    file = folder / WORKFLOW.relative_to(TOP)
    file.parent.mkdir(parents=True)
    file.write_text("".join(known))
    return folder


def test_a_team_s_caller_runs_the_whole_workflow_under_act(tmp_path, act, mlflow_server, registry, builder):
    environment, base = builder
    folder = repository(WALKTHROUGHS / NAME, tmp_path / "repository")
    workflow, _ = blocks(NAME)
    job = workflow["jobs"]["model"]
    called, _, reference = job["uses"].partition("/.github/")
    # Only what this machine has not: Docker Hub, hosts by name, an image of Python.
    job["with"].update({"image": f"{registry.host}/{IMAGE}", "tracking-uri": mlflow_server, "registry-insecure": "true"})
    job["with"].update({"build": "recipe", "base-image": base, "train-command": TRAINING})
    file = folder / ".github/workflows/model.yml"
    file.parent.mkdir(parents=True)
    # YAML has read the key `on` as true.
    file.write_text(json.dumps({"on": workflow.pop(True), **workflow}))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Published by Modelship")
    git(folder, "remote", "add", "origin", "https://github.com/alice/iris.git")
    notes = tmp_path / "notes"
    notes.mkdir()
    (tmp_path / "secrets").write_text(
        f"DOCKERHUB_USERNAME={USER}\nDOCKERHUB_TOKEN={REGISTRY_PASSWORD}\nDAGSHUB_USERNAME={USER}\nDAGSHUB_TOKEN={PASSWORD}\nPAT=a-token\n"
    )
    command = [act, "push", "--workflows", str(file), "--secret-file", str(tmp_path / "secrets")]
    for label in ("ubuntu-latest", "ubuntu-24.04"):
        command += ["--platform", f"{label}=-self-hosted"]
    command += ["--local-repository", f"{called}@{reference.partition('@')[2]}={known_to_act(tmp_path / 'modelship')}", *stand_ins(tmp_path / "actions")]
    done = subprocess.run(
        command,
        cwd=folder,
        # Nothing of this machine's user: neither settings nor a cache.
        env={
            **os.environ,
            **environment,
            "NOTES": str(notes),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    # Three jobs check out the same.
    steps = list(dict.fromkeys(step.get("name", step.get("uses")) for job in jobs for step in job["steps"]))
    left_out = {"A kubeconfig to wait with", "MLflow, for a run that is there already", "Wait for the cluster"}
    ended_well = re.findall(r"\] +✅  Success - Main (.*) \[[^]]*\]$", done.stdout, re.MULTILINE)
    # A composite action's own step may have the action's name.
    told = list(dict.fromkeys(step for step in ended_well if step in steps))
    assert told == [step for step in steps if step not in left_out]
    assert {"Training", "Its model and artifacts", "Profile", "Pack", "Labels", "Build", "Push"} <= set(ended_well)
    assert PASSWORD not in done.stdout and REGISTRY_PASSWORD not in done.stdout

    # What was left behind was run by later steps, but by none that has a secret of publishing.
    seen = (notes / "seen").read_text()
    assert f"DAGSHUB_TOKEN={PASSWORD}\n" in seen
    assert not re.search(f"^DOCKERHUB_TOKEN=|={REGISTRY_PASSWORD}$|=a-token$", seen, re.MULTILINE)

    commit = git(folder, "rev-parse", "HEAD")
    assert registry.tags(IMAGE) == sorted([commit, "latest"])
    digest, config = registry.image(IMAGE, "latest")
    labels = config["Labels"]
    assert [one["name"] for one in json.loads(labels["dev.modelship.profile"])["classes"]] == ["setosa", "versicolor", "virginica"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.source"] == "https://github.com/alice/iris"
    uploaded = set((notes / "uploaded").read_text().split())
    assert {"./modelship-profile.json", "./metrics.json", "./requirements.txt"} <= uploaded
    assert digest in (notes / "pull-request.md").read_text()
