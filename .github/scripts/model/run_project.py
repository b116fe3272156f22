"""Runs the MLproject of a folder: run_project.py FOLDER."""

import os
import sys

import mlflow
from mlflow.exceptions import MlflowException
from modelship_profile.words import first_line


def parameters(text: str) -> dict:
    given = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, separator, value = line.partition("=")
        if not separator:
            sys.exit(f"train: the parameter {line!r} is not of the form NAME=VALUE")
        given[name.strip()] = value.strip()
    return given


def main(folder: str) -> None:
    # Started as a subprocess by MLflow, and with the variables of this one.
    try:
        mlflow.projects.run(
            folder,
            entry_point=os.environ.get("MODEL_ENTRY_POINT") or "main",
            parameters=parameters(os.environ.get("MODEL_PARAMETERS", "")),
            experiment_name=os.environ.get("MODEL_EXPERIMENT") or None,
            env_manager=os.environ.get("MODEL_ENVIRONMENT") or "local",
        )
    except MlflowException as error:
        sys.exit(f"train: the project failed: {first_line(error.message)}")


if __name__ == "__main__":
    main(sys.argv[1])
