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
    """One run of publish-model in the checkout of a model's repository."""

    # What the checkout of Modelship's repository gives.
    modelship = TOP

    def __init__(self, folder, temporary, inputs, secrets=None, environment=None):
        self.folder, self.temporary = pathlib.Path(folder), pathlib.Path(temporary)
        self.temporary.mkdir(parents=True, exist_ok=True)
        workflow = yaml.safe_load(WORKFLOW.read_text())
        # YAML reads the key `on` as true.
        call = workflow[True]["workflow_call"]
        unknown = set(inputs) - set(call["inputs"])
        assert not unknown, f"publish-model.yml has no input {unknown}"
        missing = [name for name, rule in call["inputs"].items() if rule.get("required") and name not in inputs]
        assert not missing, f"publish-model.yml wants {missing}"
        assert set(secrets or {}) <= set(call["secrets"])
        defaults = {name: rule.get("default", "") for name, rule in call["inputs"].items()}
        self.context = {"inputs": {**defaults, **inputs}, "secrets": secrets or {}, "steps": {}, "env": {}}
        self.job = workflow["jobs"]["publish"]
        self.context["env"] = {name: self.text(value) for name, value in self.job["env"].items()}
        self.environment = environment or {}
        self.commit = git(self.folder, "rev-parse", "HEAD")
        self.log, self.uploads, self.pull_requests, self.ran, self.failure = "", [], [], [], None
        self.upload_names = []

    @property
    def outputs(self):
        return {name: self.text(value) for name, value in self.job["outputs"].items()}

    def run(self):
        for step in self.job["steps"]:
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
        if self.failure:
            raise self.failure
        return self

    def use(self, step):
        given = {name: self.text(value) for name, value in step.get("with", {}).items()}
        uses = step["uses"]
        if uses.startswith("actions/checkout@"):
            if "path" in given:
                (self.folder / given["path"]).symlink_to(self.modelship)
        elif uses.startswith("actions/setup-python@"):
            pass
        elif uses.startswith("actions/upload-artifact@"):
            found = sorted(str(file.relative_to(given["path"])) for file in files(given["path"]))
            if not found and given["if-no-files-found"] == "error":
                raise Failed("no files were found")
            self.uploads.append(found)
            self.upload_names.append(given["name"])
        elif uses.startswith("peter-evans/create-pull-request@"):
            self.pull_requests.append({**given, "body": pathlib.Path(given["body-path"]).read_text()})
        else:
            self.composite(step, self.folder / uses, given)

    def composite(self, step, folder, given):
        action = yaml.safe_load((folder / "action.yml").read_text())
        unknown = set(given) - set(action["inputs"])
        assert not unknown, f"{folder.name} has no input {unknown}"
        defaults = {name: str(rule.get("default", "")) for name, rule in action["inputs"].items()}
        # As with GitHub: what is handed on empty is empty, not the default.
        context = {"inputs": {**defaults, **given}, "steps": {}}
        for inner in action["runs"]["steps"]:
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
            r"\b(inputs|secrets|steps|env|job|github)\.[\w.-]+", lambda match: f"look_up({match[0]!r})", expression
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
