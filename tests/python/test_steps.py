"""The steps by themselves, as people run them on their own machines, and all that can be wrong with what they are given."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import mlflow
import numpy
import pytest
import yaml
from actions import TOP, WORKFLOW, git
from conftest import PASSWORD, REGISTRY_PASSWORD, USER
from sklearn.linear_model import LogisticRegression

SCRIPTS = TOP / ".github/scripts/model"
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


class Steps:
    """A folder in which steps run, with what they hand on."""

    def __init__(self, tmp_path):
        self.folder, self.out = tmp_path / "repository", tmp_path / "out"
        self.folder.mkdir()
        self.out.mkdir()
        self.environment = {}

    def run(self, step, *arguments, cwd=None, **environment):
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [SCRIPTS / step, *arguments],
            cwd=cwd or self.folder,
            env={**inherited, "LANG": "C.UTF-8", "MODEL_OUT": str(self.out), **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def good(self, step, *arguments, **environment):
        done = self.run(step, *arguments, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def bad(self, step, *arguments, **environment):
        done = self.run(step, *arguments, **environment)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout

    def told(self, name):
        return (self.out / "told" / name).read_text().strip()

    def program(self, name, script):
        """Puts a program before all others of its name."""
        programs = self.folder.parent / "programs"
        programs.mkdir(exist_ok=True)
        (programs / name).write_text("#!/bin/bash\n" + script)
        (programs / name).chmod(0o755)
        self.environment["PATH"] = f"{programs}:{os.environ['PATH']}"


@pytest.fixture
def steps(tmp_path):
    return Steps(tmp_path)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A model as it lies below mlartifacts/, without an example."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    mlflow.sklearn.save_model(model, str(folder), pip_requirements=["mlflow", "scikit-learn"])
    return folder


@pytest.fixture(scope="module")
def client(mlflow_server):
    """A client of the tracking server, known there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        mlflow.set_tracking_uri(mlflow_server)
        yield mlflow.MlflowClient()


@pytest.fixture(scope="module")
def run_with_model(client):
    """A finished run with a model that has an example, and no profile."""
    mlflow.set_experiment("from-run")
    with mlflow.start_run() as run:
        mlflow.log_metric("f1_score", 0.75)
        mlflow.sklearn.log_model(
            LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
            name="model",
            input_example=numpy.array([[0.5]]),
            pip_requirements=["mlflow", "scikit-learn"],
        )
    return run.info.run_id


@pytest.fixture
def on_server(steps, client, mlflow_server):
    steps.environment.update({"MODEL_TRACKING_URI": mlflow_server, "DAGSHUB_USERNAME": USER, "DAGSHUB_TOKEN": PASSWORD})
    return steps


# --- what every step does ------------------------------------------------------------------------------------------


def test_an_error_is_shown_by_github_even_of_what_was_asked_in_passing(steps):
    said = {"MODEL_IMAGE": "Alice/Model", "GITHUB_ACTIONS": "true"}
    assert "\n::error title=build::image is 'Alice/Model', but must be" in steps.bad("build", **said)


def test_an_error_of_several_lines_is_shown_as_a_whole(steps):
    words = steps.bad("train", MODEL_TRAIN="x='100%'\r\nexit 3", GITHUB_ACTIONS="true")
    (shown,) = [line for line in words.splitlines() if line.startswith("::error")]
    assert shown.endswith("the training ended with status 3: x='100%25'%0D%0Aexit 3")


# --- training and choosing ----------------------------------------------------------------------------------------


def test_without_anything_to_train_by_the_message_says_what_to_name(steps):
    assert "say how to train in train-command" in steps.bad("train")


def test_a_training_that_fails_stops_everything(steps):
    assert "the training ended with status 3: exit 3" in steps.bad("train", MODEL_TRAIN="exit 3")


FOREST = """import mlflow
from sklearn.{module} import {model}

with mlflow.start_run():
    mlflow.sklearn.log_model({model}({said}).fit([[0.0], [1.0]] * 4, [0, 1] * 4), name="model", pip_requirements=["mlflow"]{more})
"""
REFUSED = "MLflow's default format (skops) does not take this model"
CLOUDPICKLE = 'serialization_format="cloudpickle"'


def refused(steps, **environment):
    """What the step says; the training's own traceback is shown too."""
    done = steps.run("train", **environment)
    assert done.returncode == 1 and "Traceback" in done.stdout, done.stdout
    return done.stdout


def test_a_forest_that_mlflow_s_default_format_refuses_is_told_what_to_write_and_that_works(on_server):
    script = on_server.folder / "modelling.py"
    forest = {"module": "ensemble", "model": "RandomForestClassifier", "said": "2"}
    script.write_text(FOREST.format(**forest, more=""))
    words = refused(on_server)
    assert REFUSED in words and CLOUDPICKLE in words
    (trusted,) = re.findall(r"or keep skops with (skops_trusted_types=\[.*\])$", words, re.MULTILINE)
    script.write_text("".join(FOREST.format(**forest, more=f", {more}") for more in (CLOUDPICKLE, trusted)))
    on_server.good("train")


def test_a_project_s_model_that_the_default_format_refuses_is_told_what_to_write_too(on_server):
    (on_server.folder / "MLproject").write_text("name: near\nentry_points:\n  main:\n    command: python near.py\n")
    neighbours = {"module": "neighbors", "model": "KNeighborsClassifier", "said": "1"}
    (on_server.folder / "near.py").write_text(FOREST.format(**neighbours, more=""))
    words = refused(on_server, GITHUB_ACTIONS="true")
    assert REFUSED in words and CLOUDPICKLE in words and "KDTree" in words
    assert "::error title=train::the project did not end well. " + REFUSED in words


PROJECT = """name: churn
entry_points:
  main:
    command: python {script}
"""
SCORED = """import mlflow
{before}
with mlflow.start_run():
    mlflow.log_metric("f1_score", 0.5)
    mlflow.log_text("", "model/MLmodel")
"""


def project(steps, file, before="", script="modelling.py"):
    """An MLflow Project in the shape that many teams' repositories have."""
    file = steps.folder / file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PROJECT.format(script=script))
    (file.parent / script).write_text(SCORED.format(before=before))


@pytest.mark.parametrize(
    "files, found",
    [
        (["MLproject"], ["MLproject"]),
        (["MLProject"], ["MLProject"]),
        (["MLProject/MLProject", "README.md"], ["MLProject/MLProject"]),
        (["MLProject/MLproject", "MLProject/conda.yaml"], ["MLProject/MLproject"]),
        (["Workflow-CI/MLProject/MLProject", "Workflow-CI/README.md"], ["Workflow-CI/MLProject/MLProject"]),
        (["A model/mlproject"], ["A model/mlproject"]),
        # The nearest.
        (["mlproject", "old/MLproject"], ["mlproject"]),
        (["old/MLproject", "Workflow-CI/MLProject/MLProject"], ["old/MLproject"]),
        (["b/MLproject", "a/MLproject"], ["a/MLproject", "b/MLproject"]),
        (["MLproject", "MLProject"], ["MLProject", "MLproject"]),
        # Of no team: ours, a tool's, or too deep.
        (["modelship-out/artifacts/MLproject", ".venv/MLproject", ".modelship/MLproject", "a/b/c/MLproject"], []),
        (["MLproject.md", "notes/MLproject.txt"], []),
    ],
)
def test_a_project_is_found_in_every_spelling_of_mlflow_s_and_in_folders_below(steps, files, found):
    for file in files:
        (steps.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (steps.folder / file).write_text("name: churn\n")
    done = steps.good("/bin/bash", "-c", f". {SCRIPTS}/common.sh; projects")
    assert done.splitlines() == found


def test_of_several_projects_the_one_to_train_is_asked_for(steps):
    project(steps, "a/MLproject")
    project(steps, "b/MLproject")
    words = steps.bad("train")
    assert "say in train-command which one is trained: mlflow run FOLDER" in words and "a/MLproject, b/MLproject" in words


def test_a_project_in_a_folder_is_trained_and_its_requirements_are_installed(on_server):
    project(on_server, "MLProject/MLProject")
    (on_server.folder / "MLProject/requirements.txt").touch()
    assert "pip install --requirement MLProject/requirements.txt" in on_server.good("prepare")
    on_server.good("train")
    assert chosen_metrics(on_server) == {"f1_score": 0.5}


def test_a_run_of_a_team_s_own_mlflow_run_is_this_training_s(on_server):
    project(on_server, "MLProject/MLProject")
    on_server.good("train", MODEL_TRAIN="mlflow run MLProject --env-manager=local 2>&1 | cat")
    assert chosen_metrics(on_server) == {"f1_score": 0.5}


def test_a_script_that_names_another_experiment_than_its_project_s_run_is_told_where_to_say_it(on_server):
    project(on_server, "MLproject", before='mlflow.set_experiment("of the script")')
    words = refused(on_server)
    assert "say that name in experiment" in words and "or leave set_experiment out" in words
    on_server.good("train", MODEL_EXPERIMENT="of the script")
    assert chosen_metrics(on_server) == {"f1_score": 0.5}


def test_a_training_that_leaves_a_server_behind_is_not_waited_for(steps):
    said = "sleep 300 & echo $! >left-behind; echo on standard error >&2; echo on standard output"
    log = steps.folder.parent / "log"
    with open(log, "w") as output:
        subprocess.run(
            [SCRIPTS / "train"],
            cwd=steps.folder,
            env={"PATH": os.environ["PATH"], "MODEL_OUT": str(steps.out), "MODEL_TRAIN": said},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
            timeout=120,
        )
    os.kill(int((steps.folder / "left-behind").read_text()), signal.SIGTERM)
    assert "on standard error\n" in log.read_text() and "on standard output\n" in log.read_text()


def test_the_steps_after_one_that_is_missing_say_which(steps):
    assert "run choose-run first" in steps.bad("export")
    assert "run label first" in steps.bad("build", MODEL_IMAGE="alice/model")
    labelled(steps, "a=1")
    assert "run lay-out first" in steps.bad("build", MODEL_IMAGE="alice/model")
    assert "run lay-out first" in steps.bad("pack", MODEL_IMAGE="alice/model")
    assert "run build first" in steps.bad("push", MODEL_IMAGE="alice/model")


def test_a_training_that_logs_nothing_is_told_where_it_might_have(on_server):
    on_server.good("train", MODEL_TRAIN="true")
    assert "has logged no run on this tracking server" in on_server.bad("choose-run")


def test_a_run_that_failed_or_has_no_model_goes_no_further(on_server, client):
    experiment = client.create_experiment("bad-runs")
    failed = client.create_run(experiment).info.run_id
    client.set_terminated(failed, "FAILED")
    assert f"the run {failed} is FAILED" in on_server.bad("choose-run", MODEL_RUN=failed)
    bare = client.create_run(experiment).info.run_id
    client.set_terminated(bare, "FINISHED")
    assert "has logged no model" in on_server.bad("choose-run", MODEL_RUN=bare)
    client.log_metric(bare, "auc", 0.5)
    asked = {"MODEL_RUN": "best", "MODEL_EXPERIMENT": "bad-runs"}
    assert "Name it in metric" in on_server.bad("choose-run", **asked)
    words = on_server.bad("choose-run", **asked, MODEL_METRIC="f1_score")
    assert "none of 1 finished runs has the metric f1_score; there is auc" in words
    assert "has a model" in on_server.bad("choose-run", **asked, MODEL_METRIC="auc")
    assert "there is no experiment 'gone'" in on_server.bad("choose-run", MODEL_RUN="best", MODEL_METRIC="auc", MODEL_EXPERIMENT="gone")
    assert not (on_server.out / "told/run-id").exists()


def test_a_wrong_token_is_told_without_repeating_it(on_server):
    words = on_server.bad("choose-run", MODEL_RUN="0" * 32, DAGSHUB_TOKEN="wrong-token-of-alice")
    assert "check the user and token for this tracking server" in words
    assert "wrong-token-of-alice" not in words


def test_a_bound_is_held_against_the_run_that_was_named(on_server, run_with_model):
    asked = {"MODEL_RUN": run_with_model, "MODEL_METRIC": "f1_score"}
    on_server.good("choose-run", **asked, MODEL_AT_LEAST="0.75")
    assert on_server.told("run-id") == run_with_model
    words = on_server.bad("choose-run", **asked, MODEL_AT_LEAST="0.8")
    assert "f1_score is 0.75, and at least 0.8 is asked for" in words
    assert "at most 0.5" in on_server.bad("choose-run", **asked, MODEL_AT_MOST="0.5")
    assert "'much', but must be a number" in on_server.bad("choose-run", **asked, MODEL_AT_LEAST="much")
    # Nothing is lower than NaN: every run would pass.
    for bound in ("nan", "-inf", "1e999"):
        assert f"at-least is '{bound}', but must be a number" in on_server.bad("choose-run", **asked, MODEL_AT_LEAST=bound)
    assert not (on_server.out / "told/run-id").exists(), "of an earlier choice"


# A model as servers show it that know no more of it than its folder.
SEVERAL = """import mlflow

def log(**scores):
    mlflow.log_metrics(scores)
    mlflow.log_text("", "model/MLmodel")

mlflow.set_experiment("several")
"""
TRIALS = """
for score in (1.0, 0.67, 0.33):
    with mlflow.start_run():
        log(f1_score=score, loss=1 - score)
with mlflow.start_run():
    mlflow.log_metric("f1_score", 2.0)
"""
NESTED = """
with mlflow.start_run():
    {parent}
    for score in (0.5, 0.25):
        with mlflow.start_run(nested=True):
            log(f1_score=score)
"""


def chosen_metrics(steps, **asked):
    steps.good("choose-run", **asked)
    return json.loads((steps.out / "run.json").read_text())["metrics"]


def test_of_several_runs_with_a_model_none_is_taken_unless_a_metric_tells_which(on_server):
    (on_server.folder / "train.py").write_text(SEVERAL + TRIALS)
    on_server.good("train")
    words = on_server.bad("choose-run")
    assert "the training has logged several runs with a model" in words
    assert "say in metric which number tells the best (there is f1_score, loss)" in words
    assert not (on_server.out / "told/run-id").exists()
    assert chosen_metrics(on_server, MODEL_METRIC="f1_score") == {"f1_score": 1.0, "loss": 0.0}
    assert chosen_metrics(on_server, MODEL_METRIC="loss", MODEL_GOAL="min", MODEL_AT_MOST="0.5")["f1_score"] == 1.0
    words = on_server.bad("choose-run", MODEL_METRIC="auc")
    assert "has the metric auc; there is f1_score, loss" in words
    assert "goal is 'most', but must be max or min" in on_server.bad("choose-run", MODEL_METRIC="loss", MODEL_GOAL="most")


def test_a_search_s_own_model_is_taken_before_those_of_its_trials_and_these_are_told_apart_by_a_metric(on_server):
    train = on_server.folder / "train.py"
    train.write_text(SEVERAL + NESTED.format(parent="log(f1_score=0.75)"))
    on_server.good("train")
    assert chosen_metrics(on_server) == {"f1_score": 0.75}
    train.write_text(SEVERAL + NESTED.format(parent="pass"))
    on_server.good("train")
    assert "several runs with a model" in on_server.bad("choose-run")
    assert chosen_metrics(on_server, MODEL_METRIC="f1_score") == {"f1_score": 0.5}


@pytest.mark.parametrize("bound", ["MODEL_AT_LEAST", "MODEL_AT_MOST"])
def test_a_bound_without_a_run_to_measure_is_refused_and_not_ignored(steps, saved_model, bound):
    asked = {"MODEL_METRIC": "f1_score", bound: "0.8"}
    words = steps.bad("choose-run", **asked, MODEL_FOLDER=str(saved_model))
    assert "with model-folder there is none to measure: leave them out" in words
    words = steps.bad("choose-run", **asked, MODEL_RUN="none")
    assert "with run: none there is none to measure: leave them out" in words


# --- what the image is told ---------------------------------------------------------------------------------------


def test_a_folder_that_is_no_model_is_told(steps):
    assert "it has no file MLmodel" in steps.bad("choose-run", MODEL_FOLDER=str(steps.folder))


def test_a_model_of_which_nothing_is_known_is_refused_unless_that_is_meant(steps, saved_model):
    steps.good("choose-run", MODEL_FOLDER=str(saved_model))
    steps.good("export")
    words = steps.bad("describe")
    assert "the model has no input example" in words and "modelship_profile.write in the training" in words
    steps.good("describe", MODEL_DESCRIBE="optional")
    steps.good("label", GITHUB_SHA="c" * 40)
    labels = (steps.out / "labels").read_text()
    assert "dev.modelship.profile" not in labels
    assert f"org.opencontainers.image.revision={'c' * 40}" in labels


def test_what_a_model_does_not_tell_of_its_answers_is_asked_for_and_taken(steps, tmp_path):
    class Score(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return [{"score": 0.25, "model": "b"}] * len(model_input)

    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=Score(), pip_requirements=["mlflow"])
    (steps.folder / "train.csv").write_text("x\n" + "1.5\n" * 8)
    steps.good("choose-run", MODEL_FOLDER=str(tmp_path / "model"))
    steps.good("export")
    asked = {"MODEL_DATA": "train.csv", "MODEL_PREDICTION_PATH": "$.score"}
    assert "say kind='probability' or kind='number'" in steps.bad("describe", **asked)
    asked.update(MODEL_KIND="probability", MODEL_CLASSES="stay,churn", MODEL_POSITIVE="stay", MODEL_THRESHOLD="0.4")
    steps.good("describe", **asked)
    profile = json.loads((steps.out / "profile.json").read_text())
    assert [profile[name] for name in ("path", "kind", "positive", "threshold")] == ["$.score", "probability", "stay", "0.4"]


@pytest.mark.parametrize(
    "profile, words",
    [
        ({"version": 2, "kind": "class"}, "reads up to version 1: update it"),
        ({"version": 1, "kind": "klass"}, "profile.kind must be one of"),
        ({"version": 1, "kind": "class", "path": "$" + "a" * 400}, "characters"),
    ],
)
def test_a_profile_that_cannot_be_read_stops_before_the_build(steps, profile, words):
    (steps.folder / "profile.json").write_text(json.dumps(profile))
    assert words in steps.bad("describe", MODEL_PROFILE="profile.json")
    assert not (steps.out / "labels").exists()


def test_labels_that_a_team_adds_are_checked(steps):
    assert "not of the form name=value" in steps.bad("label", MODEL_LABELS="Team Blue")
    assert not (steps.out / "labels").exists()
    steps.good("label", MODEL_LABELS="org.example.team=blue")
    assert "org.example.team=blue" in (steps.out / "labels").read_text()


LYING_HERE = "the training of this model has not written modelship-profile.json, which lies here"


def test_a_profile_that_was_committed_long_ago_is_not_this_training_s(steps):
    profile = steps.folder / "modelship-profile.json"
    profile.write_text('{"version": 1, "kind": "class"}')
    os.utime(profile, (0, 0))
    steps.good("train", MODEL_TRAIN="true")
    steps.good("choose-run", MODEL_RUN="none")
    words = steps.bad("describe")
    assert "nothing tells what the model means" in words and LYING_HERE in words
    profile.touch()
    steps.good("describe")


def test_a_profile_that_lies_here_is_not_taken_when_nothing_was_trained(steps):
    (steps.folder / "modelship-profile.json").write_text('{"version": 1, "kind": "class"}')
    steps.good("choose-run", MODEL_RUN="none")
    assert LYING_HERE in steps.bad("describe")
    steps.good("describe", MODEL_PROFILE="modelship-profile.json")


def test_a_profile_of_the_training_here_is_not_that_of_another_run_or_folder(on_server, run_with_model, saved_model):
    number = '{"version": 1, "kind": "number"}'
    on_server.good("train", MODEL_TRAIN=f"echo '{number}' >modelship-profile.json")
    on_server.good("choose-run", MODEL_RUN=run_with_model)
    on_server.good("export")
    on_server.good("describe")
    assert json.loads((on_server.out / "profile.json").read_text())["kind"] == "class", "that of the run's own model"
    on_server.good("choose-run", MODEL_FOLDER=str(saved_model))
    on_server.good("export")
    assert LYING_HERE in on_server.bad("describe")


def test_a_folder_that_the_training_here_has_saved_goes_with_its_profile(steps, saved_model):
    command = f"cp -R {saved_model} model; touch model/MLmodel; echo '{{\"version\": 1, \"kind\": \"number\"}}' >modelship-profile.json"
    steps.good("train", MODEL_TRAIN=command)
    steps.good("choose-run", MODEL_FOLDER="model")
    steps.good("export")
    steps.good("describe")
    assert json.loads((steps.out / "profile.json").read_text())["kind"] == "number"


# --- building and pushing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["Alice/Model", "alice/model:latest", "alice/model@sha256:00", "-x", "a b", ""])
def test_an_image_that_is_no_repository_is_refused(steps, image):
    assert "alice/credit-scoring-model" in steps.bad("build", MODEL_IMAGE=image)


def labelled(steps, *labels):
    (steps.out / "labels").write_text("".join(f"{label}\n" for label in labels))


def built(steps, build="build", **environment):
    """Both steps that lead to an image, from a Dockerfile."""
    steps.good("lay-out", **environment)
    return steps.good(build, **environment)


# A builder that notes what it is asked for, and whose pushes fail from the one that FAIL_AT numbers.
BUILDER = """
echo "$*" >>"$LOG"
[ "$1" = push ] || exit 0
pushes=$(grep -c ^push "$LOG")
[ "$pushes" != "${FAIL_AT:-0}" ] || { echo "the registry is away" >&2; exit 1; }
while [ "$1" != --digestfile ]; do shift; done
echo "$DIGEST" >"$2"
"""


@pytest.fixture
def noted(steps):
    steps.program("buildah", BUILDER)
    log = steps.folder.parent / "log"
    steps.environment.update({"LOG": str(log), "DIGEST": DIGEST, "MODEL_BUILDER": "buildah", "GITHUB_SHA": "c" * 40})
    steps.environment["MODEL_IMAGE"] = "alice/model"
    (steps.folder / "Dockerfile").write_text("FROM scratch\n")
    labelled(steps, "a=1", 'dev.modelship.profile={"classes":["$HOME","a b"]}')
    built(steps)
    return steps, log


def pushes(log):
    return [line.rsplit("/", 1)[-1] for line in log.read_text().splitlines() if line.startswith("push")]


def test_labels_reach_the_builder_as_they_are(noted):
    _, log = noted
    (line,) = log.read_text().splitlines()
    assert '--label=a=1 --label=dev.modelship.profile={"classes":["$HOME","a b"]}' in line
    assert f"--tag docker.io/alice/model:{'c' * 40}" in line


def test_the_commit_is_pushed_first_and_the_tags_that_move_last(noted):
    steps, log = noted
    steps.good("push", MODEL_TAGS="stable latest")
    assert pushes(log) == [f"model:{'c' * 40}", "model:stable", "model:latest"]
    assert steps.told("digest") == DIGEST and steps.told("pinned") == f"alice/model@{DIGEST}"


def test_latest_does_not_move_when_the_commit_s_own_push_fails(noted):
    steps, log = noted
    words = steps.bad("push", FAIL_AT="1")
    assert "cannot be pushed" in words and "the registry is away" in words
    assert pushes(log) == [f"model:{'c' * 40}"]
    assert not (steps.out / "told/digest").exists()


def test_a_tag_that_became_something_else_is_an_error(noted):
    steps, _ = noted
    steps.environment["DIGEST"] = "$(echo sha256:$(grep -c ^push $LOG | sha256sum | cut -c1-64))"
    steps.program("buildah", BUILDER.replace('echo "$DIGEST"', 'eval "echo $DIGEST"'))
    assert "not sha256:" in steps.bad("push")


def test_no_moving_tag_at_all_is_possible_and_a_bad_one_is_refused_before_any_push(noted):
    steps, log = noted
    steps.good("push", MODEL_TAGS="")
    assert pushes(log) == [f"model:{'c' * 40}"]
    assert "'a/b' is no tag" in steps.bad("push", MODEL_TAGS="latest a/b")
    assert len(pushes(log)) == 1


def test_the_recipe_names_python_server_and_requirements_of_the_model(steps, saved_model):
    (steps.out / "context").mkdir()
    subprocess.run(["python3", SCRIPTS / "recipe.py", saved_model, steps.out / "context/new"], check=True)
    dockerfile = (steps.out / "context/new/Dockerfile").read_text()
    python = "%d.%d" % __import__("sys").version_info[:2]
    assert dockerfile.startswith(f"FROM docker.io/library/python:{python}-slim\n")
    assert "RUN pip install" in dockerfile and "uvicorn" in dockerfile and "USER 10001:10001" in dockerfile


@pytest.mark.parametrize(
    "version, said, server, requirements",
    [
        ("2.9.2", "scikit-learn==1.3", "gunicorn", "mlflow==2.9.*\nscikit-learn==1.3\n"),
        ("2.21.0", "mlflow==2.21.0", "uvicorn", "mlflow==2.21.0\n"),
        ("3.17.2", "mlflow-skinny==3.17.2", "uvicorn", "mlflow-skinny==3.17.2\n"),
    ],
)
def test_the_recipe_serves_models_of_older_mlflows_too(tmp_path, version, said, server, requirements):
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text(f"flavors: {{}}\nmlflow_version: {version}\n")
    (model / "python_env.yaml").write_text("python: 3.10.4\n")
    (model / "requirements.txt").write_text(said + "\n")
    subprocess.run(["python3", SCRIPTS / "recipe.py", model, tmp_path / "context"], check=True)
    dockerfile = (tmp_path / "context/Dockerfile").read_text()
    assert server in dockerfile and "python:3.10-slim" in dockerfile
    assert (tmp_path / "context/requirements.txt").read_text() == requirements


@pytest.mark.parametrize("kind", ["recipe", "mlflow"])
def test_an_image_comes_from_a_run_with_one_command(on_server, run_with_model, registry, builder, kind):
    environment, base = builder
    git(on_server.folder, "init", "--quiet")
    on_server.environment.update(environment)
    on_server.good(
        "publish",
        "from-run",
        run_with_model,
        MODEL_IMAGE=f"{registry.host}/alice/from-{kind}",
        MODEL_BUILD=kind,
        MODEL_BASE_IMAGE=base,
        MODEL_REGISTRY_INSECURE="true",
        DOCKERHUB_USERNAME=USER,
        DOCKERHUB_TOKEN=REGISTRY_PASSWORD,
    )
    # There is no commit: the run names the image.
    assert registry.tags(f"alice/from-{kind}") == sorted([run_with_model, "latest"])
    labels = registry.image(f"alice/from-{kind}", "latest")[1]["Labels"]
    assert labels["dev.modelship.mlflow.run-id"] == run_with_model
    profile = json.loads(labels["dev.modelship.profile"])
    assert profile["kind"] == "class" and profile["example"]["body"] == {"inputs": [[0.5]]}
    assert "reference" not in profile, "one row is no distribution"
    assert profile["metrics"] == {"f1_score": 0.75}
    assert registry.image(f"alice/from-{kind}", "latest")[1].get("Entrypoint") in (
        (None, []) if kind == "recipe" else [["python", "-c", "from mlflow.models import container as C; C._serve('local')"]]
    )


def test_an_image_comes_from_a_folder_without_any_server(steps, saved_model, builder):
    environment, base = builder
    git(steps.folder, "init", "--quiet")
    (steps.folder / "data.csv").write_text("x\n" + "0.25\n0.75\n" * 10)
    steps.environment.update(environment)
    steps.environment.update({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "GITHUB_SHA": "d" * 40})
    steps.good(
        "publish",
        "from-folder",
        str(saved_model),
        MODEL_IMAGE="localhost/alice/from-folder",
        MODEL_BUILD="recipe",
        MODEL_BASE_IMAGE=base,
        MODEL_PUSH="false",
        MODEL_DATA="data.csv",
        MODEL_CLASSES="0=low,1=high",
    )
    profile = json.loads((steps.out / "profile.json").read_text())
    assert profile["reference"] == {"classes": {"high": 10, "low": 10}}
    assert steps.told("image") == f"localhost/alice/from-folder:{'d' * 40}"


def test_a_wrong_password_of_the_registry_pushes_nothing(steps, registry, builder):
    environment, base = builder
    steps.environment.update({**environment, "GITHUB_SHA": "e" * 40, "MODEL_IMAGE": f"{registry.host}/alice/refused"})
    steps.environment.update({"MODEL_REGISTRY_INSECURE": "true", "DOCKERHUB_USERNAME": USER, "DOCKERHUB_TOKEN": "wrong-one"})
    (steps.folder / "Dockerfile").write_text(f"FROM {base}\n")
    labelled(steps, "a=1")
    steps.good("lay-out")
    words = steps.bad("build")
    assert "does not know this user and token" in words and "wrong-one" not in words
    steps.good("build", DOCKERHUB_TOKEN=REGISTRY_PASSWORD)
    words = steps.bad("push")
    assert "does not know this user and token" in words and "wrong-one" not in words
    assert registry.tags("alice/refused") == []


def test_a_base_image_that_is_private_is_built_upon_with_the_registry_s_log_in(steps, registry, builder):
    environment, base = builder
    private = f"{registry.host}/alice/private-base:1"
    command = ["buildah", "push", "--quiet", "--tls-verify=false", "--creds", f"{USER}:{REGISTRY_PASSWORD}", base, f"docker://{private}"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    steps.environment.update({**environment, "GITHUB_SHA": "f" * 40, "MODEL_IMAGE": f"{registry.host}/alice/on-private"})
    steps.environment["MODEL_REGISTRY_INSECURE"] = "true"
    (steps.folder / "Dockerfile").write_text(f"FROM {private}\n")
    labelled(steps, "a=1")
    steps.good("lay-out")
    assert "the image cannot be built" in steps.bad("build")
    steps.good("build", DOCKERHUB_USERNAME=USER, DOCKERHUB_TOKEN=REGISTRY_PASSWORD)


# The scripts as the workflow checks them out, and results where they go without Actions.
BELOW = {"MODEL_OUT": "modelship-out"}


def checked_out_below(steps):
    (steps.folder / ".modelship").symlink_to(TOP)
    (steps.folder / "modelship-out").mkdir()
    (steps.folder / "modelship-out/labels").write_text("a=1\n")
    return steps.folder / ".modelship/.github/scripts/model/build"


@pytest.mark.parametrize("ignore", [".dockerignore", "Dockerfile.dockerignore"])
def test_neither_scripts_nor_results_of_the_steps_get_into_the_image(steps, builder, ignore):
    environment, base = builder
    there = "[ -e /app/server.py ] && [ ! -e /app/secret.txt ]"
    ours = "[ ! -e /app/.modelship ] && [ ! -L /app/.modelship ] && [ ! -e /app/modelship-out ]"
    (steps.folder / "Dockerfile").write_text(f"FROM {base}\nCOPY . /app\nRUN {there} && {ours}\n")
    for name in ("server.py", "secret.txt"):
        (steps.folder / name).touch()
    # The team's own list is still one, even without an end of its last line.
    (steps.folder / ignore).write_text("secret.txt")
    steps.environment.update({**environment, **BELOW, "GITHUB_SHA": "a" * 40, "MODEL_IMAGE": "localhost/alice/of-ours"})
    built(steps, checked_out_below(steps))
    git(steps.folder, "init", "--quiet")
    assert "modelship-out" not in git(steps.folder, "status", "--porcelain")


def test_docker_is_told_what_of_ours_lies_in_the_context(steps):
    ignored = steps.folder.parent / "ignored"
    steps.program("docker", f'while [ "$1" != --file ]; do [ $# != 0 ] || exit 0; shift; done; cp "$2.dockerignore" {ignored}')
    (steps.folder / "Dockerfile").write_text("FROM scratch\n")
    steps.environment.update({**BELOW, "MODEL_BUILDER": "docker", "GITHUB_SHA": "a" * 40, "MODEL_IMAGE": "alice/model"})
    built(steps, checked_out_below(steps))
    assert ignored.read_text().split() == [".modelship", "modelship-out"]


# A Docker whose engine is only found by a context of the user's settings.
DOCKER = """
grep -q '"currentContext": "remote"' "$DOCKER_CONFIG/config.json" && [ -f "$DOCKER_CONFIG/contexts/remote" ] || {
    echo "there is no engine" >&2
    exit 1
}
echo "$1" >>"$LOG"
case $1 in
login) cat >/dev/null && echo "$DOCKER_CONFIG" >>"$LOG.folders" && cp "$DOCKER_CONFIG/config.json" "$LOG.config" ;;
push) echo "latest: digest: $DIGEST size: 1" ;;
esac
"""


def test_a_log_in_keeps_docker_s_settings_and_leaves_nothing_behind(steps):
    steps.program("docker", DOCKER)
    steps.program("buildah", 'echo "no: docker is there" >&2; exit 1')
    settings = steps.folder.parent / "settings"
    (settings / "contexts").mkdir(parents=True)
    (settings / "contexts/remote").touch()
    own = json.dumps({"currentContext": "remote", "credsStore": "desktop", "auths": {"ghcr.example.org": {"auth": "b3duCg=="}}})
    (settings / "config.json").write_text(own)
    log = steps.folder.parent / "log"
    steps.environment.update({"LOG": str(log), "DIGEST": DIGEST, "GITHUB_SHA": "c" * 40, "MODEL_IMAGE": "alice/model"})
    steps.environment.update({"DOCKER_CONFIG": str(settings), "DOCKERHUB_USERNAME": USER, "DOCKERHUB_TOKEN": "a-token"})
    (steps.folder / "Dockerfile").write_text("FROM scratch\n")
    labelled(steps, "a=1")
    built(steps)
    steps.good("push", MODEL_TAGS="")
    assert log.read_text().split() == ["info", "login", "build", "login", "push"]
    used = json.loads(pathlib.Path(f"{log}.config").read_text())
    # By the empty name, Docker keeps this registry's password in the file, and not in the user's keychain.
    assert used == {**json.loads(own), "credHelpers": {"https://index.docker.io/v1/": ""}}
    assert (settings / "config.json").read_text() == own
    assert sorted(entry.name for entry in settings.iterdir()) == ["config.json", "contexts"]
    folders = pathlib.Path(f"{log}.folders").read_text().split()
    assert len(folders) == 2 and not any(pathlib.Path(folder).exists() for folder in folders)


def test_other_registries_that_buildah_knows_are_still_known_while_it_builds(noted):
    steps, log = noted
    steps.program("buildah", 'cp "$REGISTRY_AUTH_FILE" "$LOG.$1"')
    known = steps.folder.parent / "auth.json"
    known.write_text(json.dumps({"auths": {"ghcr.example.org": {"auth": "b3duCg=="}}, "credHelpers": {"docker.io": "desktop"}}))
    steps.good("build", REGISTRY_AUTH_FILE=str(known), DOCKERHUB_USERNAME=USER, DOCKERHUB_TOKEN="a-token")
    used = json.loads(pathlib.Path(f"{log}.bud").read_text())
    assert used == {"auths": {"ghcr.example.org": {"auth": "b3duCg=="}}, "credHelpers": {}}


def test_the_image_is_pushed_by_what_has_built_it(noted):
    steps, log = noted
    # Another builder would be asked for first by now.
    steps.program("docker", f"touch {log}.docker")
    del steps.environment["MODEL_BUILDER"]
    steps.good("push", MODEL_TAGS="")
    assert len(pushes(log)) == 1 and not pathlib.Path(f"{log}.docker").exists()


@pytest.fixture
def checkout(tmp_path):
    """A checkout of Modelship beside the model's repository, where README puts it."""
    checkout = tmp_path / "modelship"
    for folder in (".github/scripts/model", "src/python/modelship_profile"):
        shutil.copytree(TOP / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "Cargo.toml", checkout)
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "Modelship")
    git(checkout, "remote", "add", "origin", "https://github.com/modelship/modelship.git")
    return checkout


def test_the_command_in_readme_publishes_from_the_model_s_repository(on_server, run_with_model, checkout, mlflow_server):
    log = on_server.folder.parent / "log"
    on_server.program("buildah", BUILDER)
    on_server.environment.update({"LOG": str(log), "DIGEST": DIGEST, "MODEL_BUILDER": "buildah"})
    git(on_server.folder, "init", "--quiet")
    git(on_server.folder, "commit", "--quiet", "--allow-empty", "--message", "A model")
    git(on_server.folder, "remote", "add", "origin", "git@github.com:alice/credit-scoring.git")
    (command,) = [line[2:] for line in (TOP / "README.md").read_text().splitlines() if "publish from-run" in line]
    command = command.replace("RUN_ID", run_with_model).replace("http://localhost:5000", mlflow_server)
    on_server.good("/bin/bash", "-c", command)
    commit = git(on_server.folder, "rev-parse", "HEAD")
    assert pushes(log) == [f"credit-scoring-model:{commit}", "credit-scoring-model:latest"]
    labels = (on_server.out / "labels").read_text().splitlines()
    assert f"org.opencontainers.image.revision={commit}" in labels
    assert "org.opencontainers.image.source=https://github.com/alice/credit-scoring" in labels


def test_an_image_is_not_named_by_a_commit_of_modelship(steps, checkout, saved_model):
    words = steps.bad(checkout / ".github/scripts/model/publish", "from-folder", str(saved_model), cwd=checkout / "src")
    assert "call it in the model's repository" in words
    assert not (steps.out / "told/model-uri").exists()


def test_a_python_without_mlflow_is_told(steps):
    (steps.folder / "mlflow.py").write_text("raise ModuleNotFoundError('no', name='mlflow')")
    words = steps.bad("choose-run", MODEL_RUN="0" * 32, PYTHONPATH=str(steps.folder))
    assert "has no mlflow: pip install mlflow, or name another Python in MODEL_PYTHON" in words


# --- reports and the cluster's verdict ----------------------------------------------------------------------------


def test_a_report_stays_within_the_repository(steps):
    (steps.out / "artifacts").mkdir()
    steps.environment["MODEL_IMAGE"] = "alice/model"
    for folder in ("../elsewhere", "/etc", ".", "./", "././/.", ".git", "./.git/hooks"):
        # Before the training, not after the push.
        for arguments in (["check"], []):
            assert "must be a folder of the repository" in steps.bad("report", *arguments, MODEL_REPORT=folder), folder
    assert not list(steps.folder.iterdir())
    (steps.folder / "notes").touch()
    assert "which is a file here: name a folder" in steps.bad("report", "check", MODEL_REPORT="notes")
    steps.good("report", "check")


def test_only_what_an_earlier_report_laid_there_is_taken_away_again(steps):
    artifacts, docs = steps.out / "artifacts", steps.folder / "docs"
    (artifacts / "plots").mkdir(parents=True)
    (docs / "guide").mkdir(parents=True)
    for file in (docs / "index.md", docs / "guide/logo.png", steps.folder / "mine.txt", artifacts / "a.png", artifacts / "plots/b.png"):
        file.write_text(file.name)
    (steps.out / "run.json").write_text('{"metrics": {}}')
    steps.environment.update({"MODEL_IMAGE": "alice/model", "MODEL_REPORT": "./docs/"})

    def laid():
        return sorted(str(file.relative_to(docs)) for file in docs.rglob("*") if file.is_file())

    steps.good("report")
    assert laid() == [".modelship-report", "a.png", "guide/logo.png", "index.md", "plots/b.png"]
    assert steps.told("report") == "docs"
    # What was moved elsewhere, and what leads out of the folder, is no file of a report.
    with (docs / ".modelship-report").open("a") as written:
        written.write("../mine.txt\ngone.png\n")
    (artifacts / "plots/b.png").unlink()
    steps.good("report")
    assert laid() == [".modelship-report", "a.png", "guide/logo.png", "index.md"]
    assert not (docs / "plots").exists() and (steps.folder / "mine.txt").exists()


def test_a_report_s_folder_is_asked_for_before_the_training():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    (check,) = [step for step in jobs["check"]["steps"] if step.get("run", "").endswith("scripts/model/report check")]
    assert check["env"] == {"MODEL_REPORT": "${{ inputs.report-folder }}"}
    assert jobs["train"]["needs"] == "check"


SERVES = {"status": "True", "reason": "Available", "message": "at least one replica answers"}


def deployment(stable=None, candidate=None, image=None, **conditions):
    conditions = {"Available": SERVES, **conditions}
    status = {"conditions": [{"type": kind, **condition} for kind, condition in conditions.items()], "observedGeneration": 1}
    status.update({name: {"digest": digest} for name, digest in (("stable", stable), ("candidate", candidate)) if digest})
    return {"metadata": {"generation": 1}, "spec": {"image": image or {}}, "status": status}


STUCK = {"status": "True", "reason": "CrashLooping", "message": "the pod\nends with 1"}


@pytest.mark.parametrize(
    "answers, code, words",
    [
        ([deployment(OTHER), deployment(OTHER, DIGEST), deployment(DIGEST)], 0, "users get it"),
        ([deployment(OTHER, DIGEST), deployment(OTHER, DIGEST, Stalled=STUCK)], 1, "CrashLooping: the pod ends with 1"),
        ([deployment(OTHER, image={"pin": OTHER})], 1, f"pinned to {OTHER}"),
        ([deployment(OTHER, image={"autoUpdate": False})], 1, "autoUpdate is false"),
        ([None, deployment(DIGEST)], 0, "users get it"),
        # Another version that is stuck says nothing of ours: a new push wins over it.
        ([deployment(None, OTHER, Stalled=STUCK), deployment(DIGEST)], 0, "users get it"),
        ([deployment(OTHER)], 1, "after 2 s, iris is not there: the cluster has not seen it yet"),
    ],
)
def test_the_cluster_s_verdict_ends_the_wait(steps, answers, code, words):
    answered = steps.folder.parent / "answers"
    answered.mkdir()
    for number, answer in enumerate(answers):
        (answered / str(number)).write_text(json.dumps(answer) if answer else "")
    # The last answer stays; an empty one is a cluster that is away.
    steps.program(
        "kubectl",
        f"""cd {answered}
        [[ "$*" == *"modeldeployments.modelship.dev iris"*"--request-timeout"*"--namespace models"* ]] || exit 9
        number=$(cat next 2>/dev/null || echo 0)
        if [ -e $((number + 1)) ]; then echo $((number + 1)) >next; fi
        [ -s "$number" ] || {{ echo "connection refused" >&2; exit 1; }}
        cat "$number"
        """,
    )
    (steps.out / "told").mkdir()
    (steps.out / "told/digest").write_text(DIGEST)
    done = steps.run(
        "wait", MODEL_DEPLOYMENT="iris", MODEL_NAMESPACE="models", MODEL_WAIT="2", MODEL_WAIT_INTERVAL="0.05"
    )
    assert done.returncode == code, done.stdout
    assert words in done.stdout


# As kubectl writes them.
@pytest.mark.parametrize(
    "error, remedy",
    [
        ('Error from server (NotFound): modeldeployments.modelship.dev "iris" not found', "apply it first"),
        ('error: the server doesn\'t have a resource type "modeldeployments"', "install Modelship in this cluster"),
        ('Error from server (Forbidden): modeldeployments.modelship.dev "iris" is forbidden: User "ci"', "must allow to get"),
        ("error: You must be logged in to the server (the server has asked for the client to provide credentials)", "make a new one"),
        ("error: You must be logged in to the server (Unauthorized)", "make a new one"),
        ("The connection to the server localhost:8080 was refused - did you specify the right host or port?", "finds no kubeconfig"),
        ('error: error loading config file "/tmp/k": couldn\'t get version/kind', "correct the kubeconfig"),
        ("Error in configuration: context was not found for specified context: ci", "correct the kubeconfig"),
    ],
)
def test_an_error_that_waiting_does_not_mend_ends_the_wait_at_once(steps, error, remedy):
    (steps.folder / "error").write_text(error)
    steps.program("kubectl", f"echo >>{steps.folder}/asked; echo 'E0101 memcache.go' >&2; cat {steps.folder}/error >&2; exit 1")
    (steps.out / "told").mkdir()
    (steps.out / "told/digest").write_text(DIGEST)
    words = steps.bad("wait", MODEL_DEPLOYMENT="iris", MODEL_WAIT="20", MODEL_WAIT_INTERVAL="1")
    assert f"iris cannot be waited for: {error}; " in words and remedy in words
    assert (steps.folder / "asked").read_text() == "\n", "asked once"


def test_a_wait_whose_kubeconfig_is_an_empty_secret_asks_no_other_cluster(steps):
    steps.program("kubectl", f"touch {steps.folder}/asked; exit 1")
    (steps.out / "told").mkdir()
    (steps.out / "told/digest").write_text(DIGEST)
    words = steps.bad("wait", MODEL_DEPLOYMENT="iris", MODEL_WAIT="1", MODEL_WAIT_INTERVAL="0.05", KUBECONFIG_DATA="")
    assert "deployment is iris, but the kubeconfig is empty: set the secret KUBECONFIG" in words
    assert not (steps.folder / "asked").exists()


@pytest.mark.parametrize("row", json.loads((TOP / "tests/vectors/verdicts.json").read_text()), ids=lambda row: row["when"])
def test_the_verdict_is_the_one_of_modelship_wait(tmp_path, row):
    (tmp_path / "deployment.json").write_text(json.dumps(row["deployment"]))
    told = subprocess.check_output(
        ["python3", SCRIPTS / "verdict.py", tmp_path / "deployment.json", row["digest"]], text=True
    )
    assert told.strip() == row["verdict"]


def test_every_step_is_named_by_an_action_or_runs_in_order_by_publish():
    texts = "".join(file.read_text() for file in pathlib.Path(TOP / ".github").rglob("*.yml"))
    for script in SCRIPTS.iterdir():
        if script.suffix == "" and script.name != "publish":
            assert f"scripts/model/{script.name}" in texts, script
