"""Fetches a model and its run's artifacts: export_model.py RUN.json MODEL_FOLDER ARTIFACTS_FOLDER."""

import json
import os
import pathlib
import shutil
import sys

from modelship_profile.words import first_line


def main(run_file: str, model: str, artifacts: str) -> None:
    run = json.loads(pathlib.Path(run_file).read_text(encoding="utf-8"))
    folder = pathlib.Path(artifacts)
    folder.mkdir(parents=True)
    if run["model_uri"] is None:
        return
    if os.path.isdir(run["model_uri"]):
        shutil.copytree(run["model_uri"], model)
    else:
        from_server(run, model, folder)
    if not (pathlib.Path(model) / "MLmodel").is_file():
        sys.exit(f"export: {run['model_uri']} is no model: it has no file MLmodel")
    requirements = pathlib.Path(model) / "requirements.txt"
    if requirements.is_file():
        shutil.copy(requirements, folder / "requirements.txt")
    for name in ("metrics", "parameters"):
        (folder / f"{name}.json").write_text(json.dumps(run[name], indent=2, sort_keys=True) + "\n", encoding="utf-8")


def from_server(run: dict, model: str, folder: pathlib.Path) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        got = pathlib.Path(mlflow.artifacts.download_artifacts(run["model_uri"], dst_path=model))
        # Some artifact stores put the model's folder into the one that was asked for.
        if got != pathlib.Path(model) and got.parent == pathlib.Path(model):
            for entry in list(got.iterdir()):
                entry.rename(pathlib.Path(model) / entry.name)
            got.rmdir()
        client = mlflow.MlflowClient()
        model_name = run["model_uri"].split("/", 2)[-1]
        for entry in client.list_artifacts(run["run_id"]):
            # The model is there already.
            if entry.path != model_name:
                client.download_artifacts(run["run_id"], entry.path, str(folder))
    except (MlflowException, OSError) as error:
        sys.exit(f"export: {run['model_uri']} cannot be fetched: {first_line(error)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
