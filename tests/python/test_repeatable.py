"""One commit, one digest: what buildah makes of the same twice, seconds apart, in a real registry."""

from __future__ import annotations

import os
import time

import pytest
from actions import git
from conftest import REGISTRY_PASSWORD, USER
from test_steps import SCRIPTS, Steps, built, client, labelled, on_server, run_with_model, saved_model, steps  # noqa: F401

# As git keeps it, in seconds since 1970.
COMMITTED = "2026-11-24T10:00:00Z"


class Builds:
    """A repository, and its image by its digest and its config after each build."""

    def __init__(self, steps, registry, builder, monkeypatch):  # noqa: F811
        self.steps, self.registry = steps, registry
        environment, self.base = builder
        monkeypatch.setenv("GIT_COMMITTER_DATE", COMMITTED)
        git(steps.folder, "init", "--quiet")
        steps.environment.update({**environment, "MODEL_IMAGE": f"{registry.host}/alice/repeatable", "MODEL_REGISTRY_INSECURE": "true"})
        steps.environment.update({"DOCKERHUB_USERNAME": USER, "DOCKERHUB_TOKEN": REGISTRY_PASSWORD})

    def commit(self, dockerfile):
        (self.steps.folder / "Dockerfile").write_text(dockerfile)
        (self.steps.folder / "server.py").write_text("print()\n")
        git(self.steps.folder, "add", "--all")
        git(self.steps.folder, "commit", "--quiet", "--allow-empty", "--message", "A model")

    def build(self, **environment):
        # As another checkout, a second later, has it.
        os.utime(self.steps.folder / "server.py", (time.time() - 7, time.time() - 7))
        second = int(time.time())
        while int(time.time()) == second:
            time.sleep(0.02)
        self.steps.good("label", **environment)
        self.said = built(self.steps, **environment)
        self.steps.good("push", MODEL_TAGS="", **environment)
        return self.registry.image("alice/repeatable", git(self.steps.folder, "rev-parse", "HEAD"))


@pytest.fixture
def builds(steps, registry, builder, monkeypatch):  # noqa: F811
    return Builds(steps, registry, builder, monkeypatch)


def test_a_commit_that_is_built_twice_has_one_digest(builds):
    builds.commit(f"FROM {builds.base}\nCOPY . /app\nRUN echo \"$SOURCE_DATE_EPOCH\" >/installed\nUSER 10001\n")
    (digest, config), (again, _) = builds.build(), builds.build()
    assert digest == again
    assert config["Labels"]["org.opencontainers.image.created"] == COMMITTED and config["User"] == "10001"
    assert not any("SOURCE_DATE_EPOCH" in variable for variable in config["Env"])


def test_every_stage_of_a_dockerfile_knows_the_commit_s_moment(builds):
    moment = "1795514400"
    builds.commit(
        f"FROM {builds.base} AS one\nRUN [ \"$SOURCE_DATE_EPOCH\" = {moment} ]\n"
        f"FROM \\\n  {builds.base}\nRUN [ \"$SOURCE_DATE_EPOCH\" = {moment} ]\nCOPY --from=one /bin/sh /one\n"
    )
    builds.build()
    # What somebody says by the usual variable comes first.
    assert "the image cannot be built" in builds.steps.bad("build", SOURCE_DATE_EPOCH="5")
    assert "must be seconds since 1970" in builds.steps.bad("build", SOURCE_DATE_EPOCH="yesterday")


def test_a_dockerfile_s_words_that_only_docker_s_format_keeps_are_kept(builds):
    builds.commit(f'FROM {builds.base}\nSHELL ["/bin/sh", "-xec"]\nRUN echo as-told\nHEALTHCHECK CMD true\nONBUILD RUN true\n')
    _, config = builds.build()
    assert "every build has a digest of its own" in builds.said
    assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "true"] and config["Shell"] == ["/bin/sh", "-xec"]
    assert config["OnBuild"] == ["RUN true"]


def test_a_run_that_is_built_twice_has_one_digest(on_server, run_with_model, registry, builder, monkeypatch):  # noqa: F811
    builds = Builds(on_server, registry, builder, monkeypatch)
    (on_server.folder / "server.py").touch()
    git(on_server.folder, "add", "--all")
    git(on_server.folder, "commit", "--quiet", "--message", "A model")
    asked = {"MODEL_BUILD": "mlflow", "MODEL_BASE_IMAGE": builds.base}

    def build():
        on_server.good("choose-run", MODEL_RUN=run_with_model)
        on_server.good("export")
        on_server.good("describe")
        return builds.build(**asked)[0]

    assert build() == build()


def test_docker_is_told_the_commit_s_moment_and_to_attest_no_time_of_its_own(steps):  # noqa: F811
    seen = steps.folder.parent / "seen"
    steps.program("docker", f'[ "$1" != build ] || env >{seen}')
    (steps.folder / "Dockerfile").write_text("FROM scratch\n")
    labelled(steps, "a=1")
    built(steps, MODEL_BUILDER="docker", MODEL_IMAGE="alice/model", GITHUB_SHA="a" * 40, SOURCE_DATE_EPOCH="1795514400")
    assert {"SOURCE_DATE_EPOCH=1795514400", "BUILDX_NO_DEFAULT_ATTESTATIONS=1"} <= set(seen.read_text().splitlines())


@pytest.mark.parametrize(
    "text, printed",
    [
        ("FROM a\nRUN b", "FROM a\nARG SOURCE_DATE_EPOCH\nRUN b\n"),
        ("from a as b\n\nFROM \\\n  # why\n  c\nRUN d", "from a as b\nARG SOURCE_DATE_EPOCH\n\nFROM \\\n  # why\n  c\nARG SOURCE_DATE_EPOCH\nRUN d\n"),
        # None of these begins a stage.
        ("FROM a\nRUN <<end sh\nFROM x\nSHELL\nend\nRUN b \\\n  FROM", "FROM a\nARG SOURCE_DATE_EPOCH\nRUN <<end sh\nFROM x\nSHELL\nend\nRUN b \\\n  FROM\n"),
        ("# FROM x\nFROM a", "# FROM x\nFROM a\nARG SOURCE_DATE_EPOCH\n"),
        ("FROM a\nHealthcheck NONE", None),
        ("FROM a\nONBUILD RUN b", None),
    ],
)
def test_a_stage_begins_where_a_dockerfile_says_so(steps, text, printed):  # noqa: F811
    (steps.folder / "Dockerfile").write_text(text)
    done = steps.run("/usr/bin/env", "python3", str(SCRIPTS / "repeatable.py"), "Dockerfile")
    assert (done.returncode, done.stdout) == ((3, "") if printed is None else (0, printed))
