"""What one job hands over to another: all that an image needs, and nothing that could do harm where the secrets are."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile

import pytest
from actions import git
from test_steps import Steps, saved_model, steps  # noqa: F401

IMAGE = "alice/model"
FACTS = {"build": "recipe", "run": {"run_id": "0" * 32, "model_version": "3", "tracking_uri": None, "metrics": {"f1_score": 0.75}}}


@pytest.fixture
def repository(steps):  # noqa: F811
    """A team's repository with a commit."""
    git(steps.folder, "init", "--quiet", "--initial-branch", "main")
    (steps.folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (steps.folder / "server.py").write_text("print('as committed')\n")
    (steps.folder / ".gitignore").write_text("*.joblib\n.venv\n")
    git(steps.folder, "add", "--all")
    git(steps.folder, "commit", "--quiet", "--message", "A model")
    return steps


class Other(Steps):
    """The job that takes over, in a checkout of the same commit."""

    def __init__(self, folder, first):
        folder.mkdir()
        super().__init__(folder)
        self.folder.rmdir()
        git(folder, "clone", "--quiet", str(first.folder), str(self.folder))
        self.handed_over = folder / "handed-over"
        self.handed_over.mkdir()
        self.environment["MODEL_HANDED_OVER"] = str(self.handed_over)

    def names(self, folder):
        return sorted(str(file.relative_to(self.out / folder)) for file in (self.out / folder).rglob("*") if not file.is_dir())


@pytest.fixture
def other(repository, tmp_path):
    return Other(tmp_path / "other", repository)


def handed(repository, other):
    """From one job to the other, as the upload takes it along."""
    repository.good("pack", MODEL_IMAGE=IMAGE)
    packed = repository.told("packed")
    assert repository.told("packed-name") == "model-hand-over-alice-model"
    (other.handed_over / os.path.basename(packed)).write_bytes(open(packed, "rb").read())
    other.good("unpack")


def test_the_team_s_own_dockerfile_finds_what_the_training_has_written_beside_the_commit(repository, other):
    folder = repository.folder
    for file in ("model.joblib", "plots/a.png", "cloned/.git/config", "cloned/weights.bin", ".venv/pyvenv.cfg", "__pycache__/a.pyc"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    (folder / "server.py").write_text("print('as trained')\n")
    (folder / "start.sh").write_text("#!/bin/sh\n")
    (folder / "start.sh").chmod(0o700)
    (folder / "link").symlink_to("/etc/passwd")
    repository.good("choose-run", MODEL_RUN="none")
    repository.good("export")
    repository.good("lay-out")
    handed(repository, other)
    expected = [".gitignore", "Dockerfile", "cloned/weights.bin", "model.joblib", "plots/a.png", "server.py", "start.sh"]
    assert other.names("repository") == expected
    laid = other.out / "repository"
    assert "as trained" in (laid / "server.py").read_text()
    assert stat.S_IMODE((laid / "start.sh").stat().st_mode) == 0o755 and stat.S_IMODE((laid / "model.joblib").stat().st_mode) == 0o644
    # Git works there with a token later.
    assert git(other.folder, "status", "--porcelain", "--ignored") == ""
    assert other.told("build") == "dockerfile" and other.told("run-id") == ""


def test_a_model_its_artifacts_and_its_run_arrive_and_no_password_does(repository, other, saved_model):  # noqa: F811
    repository.good("choose-run", MODEL_FOLDER=str(saved_model))
    repository.good("export")
    run = json.loads((repository.out / "run.json").read_text())
    run.update(run_id="a" * 32, model_version="7", metrics={"f1_score": 0.75, "auc": float("nan")})
    run.update(tracking_uri="https://alice:open-sesame@mlflow.example.org/x")
    (repository.out / "run.json").write_text(json.dumps(run))
    repository.good("describe", MODEL_DESCRIBE="optional")
    repository.good("lay-out", MODEL_BUILD="recipe")
    handed(repository, other)
    assert b"open-sesame" not in (other.handed_over / "handed-over.tar").read_bytes()
    assert "MLmodel" in other.names("model") and "requirements.txt" in other.names("artifacts")
    assert (other.told("run-id"), other.told("model-version"), other.told("build")) == ("a" * 32, "7", "recipe")
    taken = json.loads((other.out / "run.json").read_text())
    assert taken["metrics"] == {"f1_score": 0.75} and taken["tracking_uri"] == "https://mlflow.example.org/x"
    assert not (other.out / "repository").exists()
    other.good("label", GITHUB_SHA="c" * 40)
    assert f"dev.modelship.mlflow.run-id={'a' * 32}" in (other.out / "labels").read_text()
    other.good("report", MODEL_IMAGE=IMAGE)


def archive(other, entries, facts=FACTS):
    """A file of somebody who knows how they are read."""
    with tarfile.open(other.handed_over / "handed-over.tar", "w") as tar:
        for name, content in [("facts.json", json.dumps(facts).encode()), *entries]:
            entry = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(content, tarfile.TarInfo) else content
            entry.name = name
            if body:
                entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))


def entry(kind, target=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("../outside", b"x", "is no path"),
        ("artifacts/../../outside", b"x", "is no path"),
        ("/tmp/outside", b"x", "is no path"),
        ("artifacts//a", b"x", "is no path"),
        ("artifacts/./a", b"x", "is no path"),
        ("repository/.git/hooks/pre-commit", b"x", "is no path"),
        ("repository/sub/.GIT/config", b"x", "is no path"),
        ("artifacts/a\n::error::b", b"x", "is no path"),
        ("artifacts/a\x1b[2J", b"x", "is no path"),
        ("labels", b"x", "is in none of the folders"),
        ("told/digest", b"x", "is in none of the folders"),
        ("artifacts", b"x", "is in none of the folders"),
        ("artifacts/a", entry(tarfile.SYMTYPE, "/etc/passwd"), "is no plain file"),
        ("artifacts/a", entry(tarfile.LNKTYPE, "facts.json"), "is no plain file"),
        ("artifacts/a", entry(tarfile.FIFOTYPE), "is no plain file"),
        ("artifacts/a", entry(tarfile.CHRTYPE), "is no plain file"),
        ("artifacts/a", entry(tarfile.DIRTYPE), "is no plain file"),
        ("artifacts/a", entry(tarfile.GNUTYPE_SPARSE), ""),
        ("profile.json", b" " * (5 << 20), "at most"),
        ("facts.json", b"{}", "is there twice"),
    ],
)
def test_what_is_no_plain_file_of_a_known_folder_is_not_taken_over(other, name, content, words):
    archive(other, [("artifacts/metrics.json", b"{}"), (name, content)])
    before = sorted(path for path in other.folder.parent.rglob("*") if ".git" not in path.parts and other.out not in path.parents)
    assert words in other.bad("unpack", GITHUB_ACTIONS="true")
    after = sorted(path for path in other.folder.parent.rglob("*") if ".git" not in path.parts and other.out not in path.parents)
    assert after == before and not (other.out / "told/build").exists()


RUN = FACTS["run"]


@pytest.mark.parametrize(
    "facts, words",
    [
        ({**FACTS, "build": "mlflow; curl"}, "says to build by"),
        ({**FACTS, "run": {**RUN, "run_id": "$(id)"}}, "a run_id that is none"),
        ({**FACTS, "run": {**RUN, "run_id": "a\ndigest=sha256:0"}}, "a run_id that is none"),
        ({**FACTS, "run": {**RUN, "model_version": "--created"}}, "a model_version that is none"),
        ({**FACTS, "run": {**RUN, "model_version": ["1"]}}, "a model_version that is none"),
        ({**FACTS, "run": {**RUN, "tracking_uri": "https://a\nb"}}, "a tracking_uri that is none"),
        ({**FACTS, "run": {**RUN, "tracking_uri": 5}}, "a tracking_uri that is none"),
        ({**FACTS, "run": {**RUN, "metrics": {"f1_score": "high"}}}, "says nothing of a run"),
        ({**FACTS, "run": {**RUN, "metrics": [1]}}, "says nothing of a run"),
        ({"build": "recipe"}, "says nothing of a run"),
        ([], "says nothing of a run"),
    ],
)
def test_what_is_said_of_the_run_is_taken_over_as_it_may_be_or_not_at_all(other, facts, words):
    archive(other, [], facts)
    told = other.bad("unpack")
    assert words in told and "nothing was taken over" in told and not (other.out / "told/run-id").exists()


def test_a_file_does_not_get_out_through_a_link_of_the_repository(repository, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository.folder / "cache").symlink_to(outside)
    (repository.folder / "one").symlink_to(outside / "one")
    git(repository.folder, "add", "--all")
    git(repository.folder, "commit", "--quiet", "--message", "Links")
    other = Other(tmp_path / "other", repository)  # noqa: F811
    archive(other, [("repository/cache/file", b"x")], {**FACTS, "build": "dockerfile"})
    assert "lies behind a link" in other.bad("unpack")
    archive(other, [("repository/one", b"x")], {**FACTS, "build": "dockerfile"})
    other.good("unpack")
    assert (other.out / "repository/one").read_bytes() == b"x" and not list(outside.iterdir())


def test_what_is_no_archive_or_not_there_is_told(other):
    assert "there is no file handed-over.tar in what was downloaded" in other.bad("unpack")
    (other.handed_over / "handed-over.tar").symlink_to("/etc/passwd")
    assert "there is no file handed-over.tar" in other.bad("unpack")
    (other.handed_over / "handed-over.tar").unlink()
    (other.handed_over / "handed-over.tar").write_bytes(b"no archive")
    assert "is no archive that can be read" in other.bad("unpack")


def test_no_report_tells_git_what_to_do(other):
    archive(other, [(f"artifacts/{name}", b"x") for name in (".gitattributes", "sub/.gitmodules", ".lfsconfig", "a.txt")])
    other.good("unpack")
    other.good("report", MODEL_IMAGE=IMAGE, MODEL_REPORT_FILES="*")
    laid = sorted(file.name for file in (other.folder / "model-report").rglob("*") if file.is_file())
    assert laid == [".modelship-report", "a.txt"]


def test_a_version_that_was_taken_over_earlier_is_gone(other):
    archive(other, [("artifacts/a", b"1"), ("model/MLmodel", b"1")])
    other.good("unpack")
    archive(other, [("artifacts/b", b"2")])
    other.good("unpack")
    assert other.names("artifacts") == ["b"] and not (other.out / "model").exists()
