"""Runs a workflow's job on this machine: the part of GitHub Actions that ours uses, and no more.

The files under .github are what teams call, so they are what is run: inputs with their defaults, what is handed to composite
actions, their steps' environment, outputs, conditions. What only GitHub can do (checkout, uploads, pull requests) is noted down.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
WORKFLOW = TOP / ".github/workflows/publish-model.yml"


class Failed(Exception):
    """A step ended with a failure; the text is what it printed."""


class Job:
    """One run of publish-model for a push of a model's repository: its jobs, each in a checkout and a temporary folder of its own.
    What is handed from one to another is a copy of what was uploaded."""

    # What the checkout of Modelship's repository gives.
    modelship = TOP

    def __init__(self, folder, temporary, inputs, secrets=None, environment=None):
        self.source, self.top = pathlib.Path(folder), pathlib.Path(temporary)
        workflow = yaml.safe_load(WORKFLOW.read_text())
        # YAML reads the key `on` as true.
        call = workflow[True]["workflow_call"]
        unknown = set(inputs) - set(call["inputs"])
        assert not unknown, f"publish-model.yml has no input {unknown}"
        missing = [name for name, rule in call["inputs"].items() if rule.get("required") and name not in inputs]
        assert not missing, f"publish-model.yml wants {missing}"
        assert set(secrets or {}) <= set(call["secrets"])
        defaults = {name: rule.get("default", "") for name, rule in call["inputs"].items()}
        self.given = {"inputs": {**defaults, **inputs}, "secrets": secrets or {}, "needs": {}}
        self.jobs, self.called = workflow["jobs"], call["outputs"]
        self.environment = environment or {}
        if git(self.source, "status", "--porcelain"):
            git(self.source, "add", "--all")
            git(self.source, "commit", "--quiet", "--message", "What is pushed")
        self.commit = git(self.source, "rev-parse", "HEAD")
        self.log, self.uploads, self.pull_requests, self.ran, self.failure = "", [], [], [], None
        self.upload_names, self.handed_over = [], {}

    @property
    def outputs(self):
        return {name: self.text(rule["value"], {"jobs": self.given["needs"]}) for name, rule in self.called.items()}

    def run(self):
        for name, job in self.jobs.items():
            needs = job.get("needs", [])
            assert set([needs] if isinstance(needs, str) else needs) <= set(self.given["needs"]), f"{name} comes before what it needs"
            self.begin(name, job)
            self.steps(job)
            if self.failure:
                raise self.failure
            self.given["needs"][name] = {"outputs": {key: self.text(value) for key, value in job.get("outputs", {}).items()}}
        return self

    def begin(self, name, job):
        """A machine of its own: a fresh checkout, and nothing in its temporary folder."""
        self.folder, self.temporary = self.top / name / "repository", self.top / name / "runner"
        shutil.rmtree(self.top / name, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        git(self.source, "clone", "--quiet", "--no-hardlinks", str(self.source), str(self.folder))
        self.context = {**self.given, "steps": {}, "env": {}, "runner": {"temp": str(self.temporary)}}
        self.context["env"] = {key: self.text(value) for key, value in job.get("env", {}).items()}

    def steps(self, job):
        for step in job["steps"]:
            condition = str(step.get("if", "true"))
            # After a failure only those go on whose condition asks for the job's state.
            if self.failure and "cancelled()" not in condition:
                continue
            if not truth(self.value(condition, self.context)):
                continue
            self.ran.append(step.get("name", step.get("uses")))
            try:
                if "run" in step:
                    self.shell(step, self.context, None)
                else:
                    self.use(step)
            except Failed as failure:
                self.failure = self.failure or failure

    def use(self, step):
        given = {name: self.text(value) for name, value in step.get("with", {}).items()}
        uses = step["uses"]
        if uses.startswith("actions/checkout@"):
            if "path" in given:
                (self.folder / given["path"]).symlink_to(self.modelship)
        elif uses.startswith("actions/setup-python@"):
            pass
        elif uses.startswith("actions/upload-artifact@"):
            self.upload(step, given)
        elif uses.startswith("actions/download-artifact@"):
            shutil.copytree(self.handed_over[given["artifact-ids"]], given["path"])
        elif uses.startswith("peter-evans/create-pull-request@"):
            self.pull_requests.append({**given, "body": pathlib.Path(given["body-path"]).read_text()})
        else:
            self.composite(step, self.folder / uses, given)

    def upload(self, step, given):
        path = pathlib.Path(given["path"])
        if path.is_file():
            number = str(len(self.handed_over) + 1)
            self.handed_over[number] = self.top / f"artifact-{number}"
            shutil.rmtree(self.handed_over[number], ignore_errors=True)
            self.handed_over[number].mkdir()
            shutil.copy(path, self.handed_over[number])
            self.context["steps"][step["id"]] = {"outputs": {"artifact-id": number}}
            return
        found = sorted(str(file.relative_to(path)) for file in files(path))
        if not found and given["if-no-files-found"] == "error":
            raise Failed("no files were found")
        self.uploads.append(found)
        self.upload_names.append(given["name"])

    def composite(self, step, folder, given):
        action = yaml.safe_load((folder / "action.yml").read_text())
        unknown = set(given) - set(action["inputs"])
        assert not unknown, f"{folder.name} has no input {unknown}"
        defaults = {name: str(rule.get("default", "")) for name, rule in action["inputs"].items()}
        # As with GitHub: what is handed on empty is empty, not the default.
        context = {"inputs": {**defaults, **given}, "steps": {}}
        for inner in action["runs"]["steps"]:
            if truth(self.value(str(inner.get("if", "true")), context)):
                self.shell(inner, context, folder)
        outputs = {name: self.text(rule["value"], context) for name, rule in action.get("outputs", {}).items()}
        if "id" in step:
            self.context["steps"][step["id"]] = {"outputs": outputs}

    def shell(self, step, context, action_path):
        output, summary = self.temporary / "output", self.temporary / "summary.md"
        output.write_text("")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/root"),
            "LANG": "C.UTF-8",
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_SHA": self.commit,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "alice/model",
            "RUNNER_TEMP": str(self.temporary),
            **({"GITHUB_ACTION_PATH": str(action_path)} if action_path else {}),
            **self.environment,
            **{name: self.text(value, context) for name, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        self.log += done.stdout
        if done.returncode != 0:
            raise Failed(done.stdout)
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        if "id" in step:
            context["steps"][step["id"]] = {"outputs": outputs}

    def text(self, template, context=None):
        """A value of the file with its expressions filled in, as GitHub writes it."""
        context = context or self.context

        def filled(match):
            value = self.value(match[1], context)
            return {True: "true", False: "false", None: ""}.get(value, value) if not isinstance(value, str) else value

        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(filled(match)), str(template), flags=re.DOTALL)

    @staticmethod
    def value(expression, context):
        """One expression: names, comparisons, and, or, not."""

        def look_up(name):
            found = context
            for part in name.split("."):
                found = found.get(part, "") if isinstance(found, dict) else ""
            return found

        expression = expression.strip().removeprefix("${{").removesuffix("}}")
        expression = re.sub(
            r"\b(inputs|secrets|steps|needs|jobs|runner|env|job|github)\.[\w.-]+", lambda match: f"look_up({match[0]!r})", expression
        )
        expression = expression.replace("&&", " and ").replace("||", " or ")
        expression = re.sub(r"!(?!=)", " not ", expression)
        names = {"__builtins__": {}, "look_up": look_up, "true": True, "cancelled": lambda: False}
        return eval(expression.strip(), names)


def truth(value):
    return value not in (False, None, "", 0)


def files(folder):
    return (file for file in pathlib.Path(folder).rglob("*") if file.is_file())


def git(folder, *arguments):
    identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(source, folder):
    """A checkout of a model's repository with one commit."""
    shutil.copytree(source, folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A model")
    return folder
