"""The steps in one command on somebody's machine: nobody's Python is changed by it, and nothing is installed in vain."""

from __future__ import annotations

import sys

import pytest
from actions import git
from conftest import PASSWORD
from test_steps import client, on_server, run_with_model, saved_model, steps  # noqa: F401

# What would be fetched is refused at once: that something is to be installed is all that these tests look for.
NO_INDEX = {"PIP_NO_INDEX": "1", "MODEL_IMAGE": "alice/model"}


@pytest.fixture
def bare(steps):  # noqa: F811
    """A python3 that has no MLflow, and whose pip tells when it is asked for anything."""
    git(steps.folder, "init", "--quiet")
    steps.asked = steps.folder.parent / "asked"
    python = f'[ "$1 $2" != "-m pip" ] || echo "$*" >>{steps.asked}\nexec {sys._base_executable} "$@"\n'
    for name in ("python3", "python"):
        steps.program(name, python)
    steps.environment.update(NO_INDEX)
    return steps


def test_a_run_is_looked_for_before_anything_is_installed_and_then_into_an_environment_of_its_own(bare, on_server, run_with_model):  # noqa: F811
    gone = "0" * 32
    words = on_server.bad("publish", "from-run", gone)
    assert f"Run with id={gone} not found; name a run of this server" in words
    words = on_server.bad("publish", "from-run", run_with_model, DAGSHUB_TOKEN="wrong-token-of-alice")
    assert "check the user and token for this tracking server" in words and "wrong-token-of-alice" not in words
    words = on_server.bad("publish", "from-run", run_with_model, MODEL_TRACKING_URI="http://alice:sesame@127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be asked for the run" in words and "sesame" not in words
    assert not (on_server.out / "venv").exists()
    words = on_server.bad("publish", "from-run", run_with_model)
    assert "==> pip install mlflow>=2.9" in words and PASSWORD not in words
    assert (on_server.out / "venv/bin/python").exists() and not bare.asked.exists()


def test_a_folder_is_looked_at_before_anything_is_installed(bare, saved_model):  # noqa: F811
    assert "it has no file MLmodel" in bare.bad("publish", "from-folder", str(bare.folder))
    # With a profile and a recipe it takes no MLflow at all.
    (bare.folder / "profile.json").write_text('{"version": 1, "kind": "class"}')
    asked = {"MODEL_PROFILE": "profile.json", "MODEL_BUILD": "recipe", "MODEL_BUILDER": "no-builder", "GITHUB_SHA": "a" * 40}
    assert "no-builder is not installed" in bare.bad("publish", "from-folder", str(saved_model), **asked)
    assert not (bare.out / "venv").exists()
    assert "==> pip install mlflow>=2.9" in bare.bad("publish", "from-folder", str(saved_model))
    assert (bare.out / "venv/bin/python").exists() and not bare.asked.exists()


def test_a_training_s_packages_go_into_an_environment_of_its_own_unless_one_is_switched_on(bare):
    (bare.folder / "requirements.txt").touch()
    (bare.folder / "train.py").write_text("import sys\nopen('trained-by', 'w').write(sys.prefix)\n")
    asked = {"MODEL_RUN": "none", "MODEL_TRAIN": "python train.py", "MODEL_DESCRIBE": "optional", "MODEL_BUILD": "none"}
    assert "build is 'none', but must be" in bare.bad("publish", **asked)
    trained_by = bare.folder / "trained-by"
    assert trained_by.read_text() == str(bare.out / "venv") and not bare.asked.exists()
    bare.bad("publish", **asked, CONDA_PREFIX="/opt/conda")
    assert trained_by.read_text() == sys.base_prefix and "--requirement requirements.txt" in bare.asked.read_text()


def test_what_to_publish_is_asked_for(bare):
    assert "from-run what? Say a run's id" in bare.bad("publish", "from-run")
