"""Runs the MLproject of this folder and marks its run: run_project.py MARK.

`mlflow run` itself does not add the tags of MLFLOW_RUN_CONTEXT to the run that it makes.
"""

import os
import sys

import mlflow
from mlflow.exceptions import MlflowException


def parameters(text: str) -> dict:
    given = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, separator, value = line.partition("=")
        if not separator:
            sys.exit(f"train: the parameter {line!r} is not of the form NAME=VALUE")
        given[name.strip()] = value.strip()
    return given


def main(mark: str) -> None:
    # Started as a subprocess by MLflow, and with the variables of this one.
    try:
        run = mlflow.projects.run(
            ".",
            entry_point=os.environ.get("MODEL_ENTRY_POINT") or "main",
            parameters=parameters(os.environ.get("MODEL_PARAMETERS", "")),
            experiment_name=os.environ.get("MODEL_EXPERIMENT") or None,
            env_manager=os.environ.get("MODEL_ENVIRONMENT") or "local",
        )
    except MlflowException as error:
        sys.exit(f"train: the project failed: {error.message.splitlines()[0]}")
    mlflow.MlflowClient().set_tag(run.run_id, "modelship.training", mark)


if __name__ == "__main__":
    main(sys.argv[1])
