"""Marks runs as this training's: mark_runs.py MARK ID…"""

import sys

import mlflow
from mlflow.exceptions import MlflowException
from modelship_profile.words import first_line


def main(mark: str, *ids: str) -> None:
    client = mlflow.MlflowClient()
    for run in ids:
        try:
            client.set_tag(run, "modelship.training", mark)
        except MlflowException as error:
            sys.exit(f"train: the run {run}: {first_line(error.message)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
