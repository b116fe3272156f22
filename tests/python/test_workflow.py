"""What publish-model.yml promises that no run of it shows: who gets which secret, and what becomes of commits that wait."""

from __future__ import annotations

import re

import pytest
import yaml
from actions import WORKFLOW

FILE = yaml.safe_load(WORKFLOW.read_text())
# A training logs with these.
OF_THE_TRAINING = {"DAGSHUB_USERNAME", "DAGSHUB_TOKEN"}
# What runs code that a training brings along: its packages, its scripts, a model that is loaded.
RUN_IT = ("train", "choose-run", "describe", "prepare")


def secrets(part):
    """The names of secrets in a part of the file; whoever asks only whether one is there is handed it, too."""
    text = yaml.safe_dump(part)
    assert "toJSON" not in text and "secrets[" not in text and "inherit" not in text
    return set(re.findall(r"secrets\.(\w+)", text))


def steps_that(job, names):
    return [step for step in job["steps"] if re.search(rf"/({'|'.join(names)})$", step.get("uses", step.get("run", "")))]


def test_no_job_that_runs_what_a_training_brings_along_has_a_secret_of_publishing():
    for name, job in FILE["jobs"].items():
        if steps_that(job, RUN_IT):
            assert name == "train" and secrets(job) == OF_THE_TRAINING
    assert secrets(FILE["jobs"]["publish"]) == {"DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN", "KUBECONFIG", "PAT"}
    assert not re.search(r"secrets\.", yaml.safe_dump({key: value for key, value in FILE.items() if key != "jobs"}))


@pytest.mark.parametrize("name", FILE["jobs"])
def test_a_job_checks_out_its_own_scripts_and_may_do_no_more_than_read(name):
    job = FILE["jobs"][name]
    assert FILE["permissions"] == {} and job["permissions"] == {"contents": "read"}
    checkouts = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert [one.get("path") for one in checkouts] == [None, ".modelship"]
    assert all(one["persist-credentials"] is False for one in checkouts)
    assert checkouts[1]["ref"] == "${{ job.workflow_sha }}"
    # A cache is written by whoever trains on the branch.
    assert not any("cache" in key for step in job["steps"] for key in step.get("with", {}))


def test_what_one_job_tells_another_is_the_number_of_an_upload_that_is_gone_after_a_day():
    jobs = FILE["jobs"]
    assert jobs["train"]["outputs"] == {"handed-over": "${{ steps.hand-over.outputs.artifact-id }}"}
    (upload,) = [step["with"] for step in jobs["train"]["steps"] if step.get("id") == "hand-over"]
    assert upload["retention-days"] == 1 and upload["if-no-files-found"] == "error"
    assert re.findall(r"needs\.[\w.-]+", yaml.safe_dump(jobs["publish"])) == ["needs.train.outputs.handed-over"]
    # What a shell reads comes as a variable, whole, and not as a part of the script.
    for job in jobs.values():
        assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_every_commit_gets_its_turn_in_the_order_of_the_pushes():
    concurrency = FILE["concurrency"]
    assert concurrency["cancel-in-progress"] is False and concurrency["queue"] == "max"
    assert "inputs.image" in concurrency["group"] and not any("concurrency" in job for job in FILE["jobs"].values())


@pytest.mark.parametrize("name", ["keep", "artifact-name"])
def test_who_reads_what_is_uploaded_is_said_where_an_input_leads_to_it(name):
    assert "where" in (said := FILE[True]["workflow_call"]["inputs"][name]["description"]) and "public" in said
