"""``python -m modelship_profile``: for workflows, and for teams that cannot change their training script."""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import sys
from typing import Any, Optional, Sequence

from . import kinds, labels, profile, schema
from .errors import ProfileError
from .values import typed
from .words import first_line, listed

# As long as a few rows of text may be, and bounded: what is read comes from a file of somebody's.
csv.field_size_limit(1 << 20)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """0: done. 1: it cannot be done, and standard error says why. 2: the command line is wrong."""
    said = _parser().parse_args(arguments)
    try:
        said.run(said)
    except ProfileError as error:
        print(f"modelship_profile: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelship_profile", description="What a version of a model means.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("labels", help="print the image labels of a profile")
    one.add_argument("--profile", default=profile.FILE, metavar="FILE")
    one.add_argument("--no-profile", action="store_true", help="only the other labels")
    one.add_argument("--format", choices=("arguments", "file", "dockerfile", "json"), default="arguments")
    one.add_argument("--run-id")
    one.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI"))
    one.add_argument("--model-version")
    one.add_argument("--revision", help="the commit (default: this repository's)")
    one.add_argument("--source", help="the repository (default: this one's origin)")
    one.add_argument("--created", help="RFC 3339 (default: now)")
    one.add_argument("--most-bytes", type=int, default=labels.MOST_BYTES, help="of all labels together (default: %(default)s)")
    one.set_defaults(run=_labels)

    one = commands.add_parser("check", help="check a profile")
    one.add_argument("profile", metavar="FILE")
    one.set_defaults(run=lambda said: schema.load(said.profile))

    one = commands.add_parser("predictions", help="print what a ModelDeployment says in spec.predictions, as JSON")
    one.add_argument("--profile", default=profile.FILE, metavar="FILE")
    one.set_defaults(run=_predictions)

    one = commands.add_parser("from-model", help="make a profile from a saved MLflow model; needs mlflow")
    one.add_argument("--model", required=True, help="a folder, or a URI such as runs:/ID/model")
    one.add_argument("--data", metavar="CSV", help="the training data (default: the model's own input example)")
    one.add_argument("--leave-out", action="append", default=[], metavar="COLUMN", help="the target, and others no feature")
    _common(one)
    one.set_defaults(run=_from_model)

    one = commands.add_parser("from-data", help="make a profile from a CSV file that has a column of predictions")
    one.add_argument("--data", required=True, metavar="CSV")
    one.add_argument("--prediction", required=True, metavar="COLUMN", help="predictions, or else the target")
    one.add_argument("--leave-out", action="append", default=[], metavar="COLUMN", help="no feature")
    _common(one)
    one.set_defaults(run=_from_data)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=kinds.KINDS)
    parser.add_argument("--path", help="where the prediction is in one row of the answer: $.prediction")
    parser.add_argument("--classes", metavar="0=stay,1=churn", help="names by value, or by position: stay,churn")
    parser.add_argument("--positive", metavar="CLASS", help="what a probability speaks of")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--example", metavar="JSON", help="a file with the body of a request")
    parser.add_argument("--metrics", metavar="JSON", help="a file with the metrics of the training: {\"f1_score\": 0.8}")
    parser.add_argument("--output", default=profile.FILE, metavar="FILE")


def _labels(said: argparse.Namespace) -> None:
    found = labels.make(
        None if said.no_profile else schema.load(said.profile),
        run_id=said.run_id,
        tracking_uri=said.tracking_uri,
        model_version=said.model_version,
        revision=said.revision or labels.revision_here(),
        source=said.source or labels.source_here(),
        created=said.created or labels.created_now(),
        most_bytes=said.most_bytes,
    )
    dropped = json.loads(found.get(labels.PROFILE, "{}")).get("dropped")
    if dropped:
        print(f"modelship_profile: left out of the labels, for their size: {', '.join(dropped)}", file=sys.stderr)
    if said.format == "json":
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(labels.as_lines(found, said.format)))


def _predictions(said: argparse.Namespace) -> None:
    found = schema.load(said.profile)
    fields = ("kind", "path", "classes", "positive", "threshold", "reference")
    print(json.dumps({name: found[name] for name in fields if name in found}, indent=2))


def _from_data(said: argparse.Namespace) -> None:
    columns = _read_csv(said.data)
    if said.prediction not in columns:
        raise ProfileError(f"{said.data} has no column {said.prediction!r}; it has {listed(columns)}")
    columns = {name: typed(texts) for name, texts in _without(columns, said).items()}
    if said.prediction not in columns:
        raise ProfileError(f"{said.prediction!r} is the prediction, and cannot be left out")
    predictions = columns.pop(said.prediction)
    _write(said, data=columns, predictions=predictions)


def _from_model(said: argparse.Namespace) -> None:
    try:
        import mlflow.pyfunc
        import pandas
    except ImportError as error:
        raise ProfileError(f"from-model needs mlflow and pandas: {error}") from error
    try:
        model = mlflow.pyfunc.load_model(said.model)
    except Exception as error:
        raise ProfileError(f"the model {said.model} cannot be loaded: {first_line(error)}") from error
    if said.data:
        data = _as_signed(_without(_read_csv(said.data), said), model.metadata.get_input_schema(), said.data)
    else:
        data = _input_example(model, said.model)
    found = _write(said, model=model, data=data)
    if not said.data:
        # One row is an example, but no spread: drift would be told from it at once.
        for name in ("reference", "features", "rows"):
            found.pop(name, None)
        pathlib.Path(said.output).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _input_example(model: Any, uri: str) -> Any:
    """The example that the model was saved with."""
    import mlflow.artifacts

    # Not from where it was logged, which the model remembers: one that was only saved was never there.
    try:
        given = model.metadata.load_input_example(mlflow.artifacts.download_artifacts(uri))
    except Exception as error:
        words = f"the input example of {uri} cannot be read: {first_line(error)}; name its training data with --data"
        raise ProfileError(words) from error
    if given is None:
        raise ProfileError(
            "the model has no input example: name its training data with --data, or log the model with input_example=…"
        )
    return given


def _as_signed(columns: dict, signature: Any, path: str) -> Any:
    """A frame with the types of the model's signature: a CSV file tells neither 1 from 1.0, nor a date or a zip code."""
    import pandas

    inputs = getattr(signature, "inputs", None) or []
    types = {one.name: str(one.type).rsplit(".", 1)[-1] for one in inputs if one.name}
    data = {}
    for name, texts in columns.items():
        kind = types.get(name)
        try:
            data[name] = _column(texts, kind, pandas)
        except (TypeError, ValueError) as error:
            raise ProfileError(f"{path}, column {name!r}: the model's signature says {kind}, but {first_line(error)}") from error
    frame = pandas.DataFrame(data)
    if types or not inputs or not signature.is_tensor_spec():
        return frame
    # An array without a name, as NumPy's are signed.
    try:
        return frame.to_numpy(dtype=inputs[0].type)
    except (TypeError, ValueError) as error:
        raise ProfileError(f"{path}: the model takes an array of {inputs[0].type}, but {first_line(error)}") from error


def _column(texts: list, kind: Optional[str], pandas: Any) -> Any:
    if kind == "string":
        return [text or None for text in texts]
    if kind == "datetime":
        return pandas.to_datetime(pandas.Series([text or None for text in texts]))
    values = pandas.Series(typed(texts))
    wanted = {"double": "float64", "float": "float32", "integer": "int32", "long": "int64", "boolean": "bool"}.get(kind or "")
    # What is missing has no place in whole numbers and booleans: the model says what it does about that.
    if not wanted or (wanted not in ("float64", "float32") and values.isna().any()):
        return values
    if wanted == "bool" and not values.isin([0, 1]).all():
        raise ValueError("there is something else than true, false, 1 and 0 in it")
    return values.astype(wanted)


def _write(said: argparse.Namespace, **of: Any) -> dict:
    return profile.write(
        output=said.output,
        kind=said.kind,
        path=said.path,
        classes=_classes(said.classes),
        positive=said.positive,
        threshold=said.threshold,
        example=_json(said.example),
        metrics=_json(said.metrics) or {},
        **of,
    )


def _classes(text: Optional[str]) -> Any:
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if all("=" in part for part in parts):
        return dict(part.split("=", 1) for part in parts)
    return parts


def _json(path: Optional[str]) -> Any:
    if not path:
        return None
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path}: {error}") from error


def _without(columns: dict, said: argparse.Namespace) -> dict:
    unknown = [name for name in said.leave_out if name not in columns]
    if unknown:
        raise ProfileError(f"{said.data} has no column {unknown[0]!r} to leave out")
    return {name: values for name, values in columns.items() if name not in said.leave_out}


def _read_csv(path: str) -> dict:
    """The columns, as they are written."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProfileError(f"{path}: {error}") from error
    if not names or not rows:
        raise ProfileError(f"{path} has no header or no rows")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ProfileError(f"{path}, line {number}: {len(row)} fields, but the header has {len(names)}")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}
