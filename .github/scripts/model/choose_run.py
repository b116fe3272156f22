"""Prints the chosen run as JSON; see the script choose-run."""

from __future__ import annotations

import itertools
import json
import math
import os
import pathlib
import sys
from typing import Iterator, Optional

from modelship_profile.words import first_line, listed

PAGE = 1000


def said(name: str) -> str:
    return os.environ.get(f"MODEL_{name}", "").strip()


def fail(sentence: str) -> None:
    sys.exit(f"choose-run: {sentence}")


def main() -> None:
    folder = said("FOLDER")
    if said("RUN") == "none":
        refuse_bounds("run: none")
        chosen = {"run_id": None, "model_uri": None, "metrics": {}, "parameters": {}, "trained_here": bool(training())}
    elif folder:
        refuse_bounds("model-folder")
        chosen = of_folder(pathlib.Path(folder))
    else:
        chosen = of_server()
    json.dump(chosen, sys.stdout, indent=2)
    print()


def of_folder(folder: pathlib.Path) -> dict:
    """A saved model, such as one below mlartifacts/ or mlruns/."""
    if not (folder / "MLmodel").is_file():
        fail(f"{folder} is no saved model: it has no file MLmodel")
    # Two fields of a flat YAML file, so that this needs no MLflow.
    lines = (line.partition(":") for line in (folder / "MLmodel").read_text(encoding="utf-8").splitlines())
    fields = {name: value.strip().strip("'\"") for name, _, value in lines if not name.startswith((" ", "-"))}
    return {
        "run_id": fields.get("run_id") or None,
        "model_uri": str(folder.resolve()),
        "metrics": {},
        "parameters": {},
        "trained_here": bool(training()) and newer(folder / "MLmodel", mark_file()),
    }


def of_server() -> dict:
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        fail(f"{sys.executable} has no {error.name}: pip install mlflow, or name another Python in MODEL_PYTHON")

    client = mlflow.MlflowClient()
    where = said("RUN") or "this"
    try:
        if where == "this":
            run, model = of_this_training(client)
        elif where == "best":
            run, model = best(client)
        else:
            run = client.get_run(where)
            refuse_unfinished(run)
            model = model_of(client, run) or fail(f"the run {where} has logged no model")
        gate(run)
        version = version_of(client, run)
    except MlflowException as error:
        hint = ""
        if any(word in str(error) for word in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")):
            hint = "; check the user and token for this tracking server (DAGSHUB_USERNAME, DAGSHUB_TOKEN)"
        fail(f"{mlflow.get_tracking_uri().rsplit('@', 1)[-1]}: {first_line(error)}{hint}")
    return {
        "run_id": run.info.run_id,
        "model_uri": f"runs:/{run.info.run_id}/{model}",
        "model_version": version,
        "metrics": run.data.metrics,
        "parameters": run.data.params,
        "tracking_uri": mlflow.get_tracking_uri(),
        "trained_here": bool(training()) and run.data.tags.get("modelship.training") == training(),
    }


def of_this_training(client) -> tuple:
    """The one run of this training that has a model, or of several the best by a metric; a parent before its children."""
    mark = training()
    if not mark:
        fail("there was no training here: run train first, or choose best or a run's id")
    experiments = [experiment.experiment_id for experiment in pages(client.search_experiments)]
    runs = search(client, experiments, f"tags.`modelship.training` = '{mark}'")
    if not runs:
        fail(
            "the training has logged no run on this tracking server. Does the script start one (mlflow.start_run), and on "
            "the server that tracking-uri names?"
        )
    nested = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    for level in (parents, nested):
        # Two are enough to know that there are several.
        found = list(itertools.islice(with_model(client, level), 2))
        if len(found) > 1:
            return best_of_several(client, level)
        if found:
            refuse_unfinished(found[0][0])
            return found[0]
    newest = (parents or nested)[0]
    refuse_unfinished(newest)
    fail(f"the run {newest.info.run_id} has logged no model: mlflow.sklearn.log_model(model, name='model', input_example=…)")


def best_of_several(client, runs: list) -> tuple:
    """No order of time tells which of a training's trials is meant."""
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if not said("METRIC"):
        fail(
            f"the training has logged several runs with a model: say in metric which number tells the best (there is "
            f"{metrics_of(finished)}), and in goal whether max or min; or name a run's id in run"
        )
    return best_of(client, finished)


def best(client) -> tuple:
    if not said("METRIC"):
        fail("the best run by which metric? Name it in metric")
    return best_of(client, search(client, [experiment_id(client)], "attributes.status = 'FINISHED'"))


def best_of(client, runs: list) -> tuple:
    """Of finished runs the one with a model that is best by the metric; the newest of equals."""
    metric, goal = said("METRIC"), said("GOAL") or "max"
    if goal not in ("max", "min"):
        fail(f"goal is {goal!r}, but must be max or min")
    measured = [run for run in runs if math.isfinite(run.data.metrics.get(metric, math.nan))]
    if not measured:
        fail(f"none of {len(runs)} finished runs has the metric {metric}; there is {metrics_of(runs)}")
    measured.sort(key=lambda run: run.data.metrics[metric], reverse=goal == "max")
    found = next(with_model(client, measured), None)
    return found or fail(f"none of {len(measured)} runs with the metric {metric} has a model")


def with_model(client, runs: list) -> Iterator[tuple]:
    """Those that have a model, each with its name; asks the server for one run after another."""
    return ((run, model) for run in runs for model in [model_of(client, run)] if model)


def metrics_of(runs: list) -> str:
    return listed(sorted({name for run in runs for name in run.data.metrics})) or "none at all"


def experiment_id(client) -> str:
    name = said("EXPERIMENT")
    if name:
        experiment = client.get_experiment_by_name(name)
        return experiment.experiment_id if experiment else fail(f"there is no experiment {name!r}")
    mark = training()
    experiments = [experiment.experiment_id for experiment in pages(client.search_experiments)]
    runs = search(client, experiments, f"tags.`modelship.training` = '{mark}'") if mark else []
    return runs[0].info.experiment_id if runs else fail("the best run of which experiment? Name it in experiment")


def gate(run) -> None:
    """A model that is not good enough goes no further, whoever chose it."""
    metric, at_least, at_most = said("METRIC"), bound("AT_LEAST"), bound("AT_MOST")
    if at_least is None and at_most is None:
        return
    if not metric:
        fail("at-least and at-most are bounds of a metric: name it in metric")
    value = run.data.metrics.get(metric, math.nan)
    if not math.isfinite(value):
        fail(f"the run {run.info.run_id} has no {metric} to compare with its bound")
    if at_least is not None and value < at_least:
        fail(f"the run {run.info.run_id} is not good enough: {metric} is {value:g}, and at least {at_least:g} is asked for")
    if at_most is not None and value > at_most:
        fail(f"the run {run.info.run_id} is not good enough: {metric} is {value:g}, and at most {at_most:g} is asked for")


def refuse_bounds(instead: str) -> None:
    """A bound that nothing is held against would let everything pass."""
    if bound("AT_LEAST") is not None or bound("AT_MOST") is not None:
        fail(
            f"at-least and at-most are held against the metrics of a run, and with {instead} there is none to measure: leave "
            "them out, or ship a run of MLflow's (run: this, best, or a run's id)"
        )


def bound(name: str) -> Optional[float]:
    text = said(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    # Nothing is below NaN, and nothing above infinity: such a bound would let everything pass.
    if not math.isfinite(number):
        fail(f"{name.lower().replace('_', '-')} is {text!r}, but must be a number")
    return number


def refuse_unfinished(run) -> None:
    if run.info.status != "FINISHED":
        fail(f"the run {run.info.run_id} is {run.info.status}: only a finished run has a model to ship")


def model_of(client, run) -> Optional[str]:
    """The model's name within the run."""
    names = model_names(client, run)
    wanted = said("ARTIFACT")
    if wanted:
        return wanted if wanted in names else None
    if "model" in names:
        return "model"
    if len(names) > 1:
        fail(f"the run {run.info.run_id} has several models: say in model-artifact which one of {', '.join(names)}")
    return names[0] if names else None


def model_names(client, run) -> list:
    # MLflow 3 keeps models beside the run's artifacts, earlier ones note them in a tag; servers that know neither still
    # list folders.
    outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
    names = [client.get_logged_model(output.model_id).name for output in outputs]
    history = json.loads(run.data.tags.get("mlflow.log-model.history") or "[]")
    names += [entry["artifact_path"] for entry in history]
    if not names:
        folders = [entry.path for entry in client.list_artifacts(run.info.run_id) if entry.is_dir]
        names = [
            folder
            for folder in folders
            if any(file.path == f"{folder}/MLmodel" for file in client.list_artifacts(run.info.run_id, folder))
        ]
    return list(dict.fromkeys(names))


def version_of(client, run) -> Optional[str]:
    """The newest version that was registered from this run; none on servers without a registry."""
    from mlflow.exceptions import MlflowException

    try:
        versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    except MlflowException:
        return None
    return max((version.version for version in versions), key=int, default=None)


def mark_file() -> pathlib.Path:
    return pathlib.Path(os.environ["MODEL_OUT"]) / "told/training"


def newer(file: pathlib.Path, other: pathlib.Path) -> bool:
    return file.stat().st_mtime_ns > other.stat().st_mtime_ns


def training() -> str:
    """The mark of the training that was run here; empty when there was none."""
    file = mark_file()
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def search(client, experiments: list, condition: str) -> list:
    """All runs that fit, the newest first."""
    return pages(lambda **more: client.search_runs(experiments, condition, order_by=["attributes.start_time DESC"], **more))


def pages(request) -> list:
    found, token = [], None
    while True:
        page = request(page_token=token, max_results=PAGE)
        found += page
        token = page.token
        if not token:
            return found


if __name__ == "__main__":
    main()
