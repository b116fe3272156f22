"""Makes a profile from a model and the data it was trained on."""

from __future__ import annotations

import json
import math
import pathlib
import re
from typing import Any, Optional, Union

from . import answers, kinds, models, reference, schema, spread, table, tracking
from .errors import ProfileError
from .values import as_list, class_name, class_value, figure, is_missing, is_number, plain
from .words import first_line

FILE = "modelship-profile.json"

# Features that are described; images and embeddings have more, and say nothing each.
MOST_FEATURES = 100
# Classes that are listed, as many as a ModelDeployment takes.
MOST_CLASSES = 100
MOST_METRICS = 100


def write(model: Any = None, data: Any = None, *, output: Union[str, pathlib.Path] = FILE, **said: Any) -> dict:
    """Writes the profile to ``output``, and as an artifact of the MLflow run that is active, if one is.

    The arguments are those of :func:`build`. ``metrics`` is by default what the run has logged so far.
    """
    run = tracking.active_run()
    if run and said.get("metrics") is None:
        said["metrics"] = tracking.metrics_of(run)
    profile = build(model, data, **said)
    path = pathlib.Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(profile, indent=2) + "\n", encoding="utf-8")
    if run:
        tracking.log(path, profile)
    return profile


def build(
    model: Any = None,
    data: Any = None,
    *,
    predictions: Any = None,
    kind: Optional[str] = None,
    path: Optional[str] = None,
    classes: Any = None,
    positive: Optional[str] = None,
    threshold: Optional[float] = None,
    example: Any = None,
    metrics: Optional[dict] = None,
) -> dict:
    """The profile of ``model`` over ``data``, the features it was trained on.

    ``predictions`` are what the model says of the data; by default ``model.predict(data)``. ``kind`` is class, number,
    probability, probabilities or labels, as in ``spec.predictions``; by default it is told from the model. ``classes`` names
    classes: a list in the order of the encoding, a ``{value: name}``, or a fitted ``LabelEncoder``; for rows of
    probabilities also the ``class_indices`` of a Keras loader. ``path`` is where
    the prediction stands in one row of the server's answer, when rows are objects. ``example`` is the body of a request,
    by default one row of medians and most frequent values.
    """
    data = table.gathered(data)
    own = predictions is None and models.answers_by_predict(model)
    native = models.native(model)
    given = _predicted(model, data) if predictions is None else predictions
    answered = answers.read(given, kind or models.kind_of(native), path)
    rows = answered.rows
    kind = kinds.decide(native, rows, kind, classes, own)
    profile: dict = {"version": schema.VERSION, "kind": kind}
    if path is not None:
        profile["path"] = path
    known = _known_classes(native, path)
    named = _classes(known, rows, kind, answered.names if classes is None else classes)
    if named:
        profile["classes"] = named
    if positive is not None:
        profile["positive"] = class_name(positive)
    if threshold is not None:
        profile["threshold"] = figure(threshold)
    counted = reference.of(rows, kind, named, reference.THRESHOLD if threshold is None else threshold)
    if counted:
        profile["reference"] = counted
    features = table.read(data)
    body = _example(features) if example is None else _as_json(example)
    if body is not None:
        profile["example"] = {"body": body}
    if features:
        described = _features(features)
        if described:
            profile["features"] = described
    profile["rows"] = len(rows)
    kept = _metrics(metrics or {})
    if kept:
        profile["metrics"] = kept
    schema.check(profile)
    return profile


def _predicted(model: Any, data: Any) -> Any:
    if model is None or data is None:
        raise ProfileError("give a model and its training data, or the predictions themselves")
    try:
        return model.predict(data)
    except Exception as error:
        first = first_line(error)
        raise ProfileError(
            f"the model does not take this data ({type(error).__name__}: {first}): give what it predicts as predictions="
        ) from error


def _known_classes(model: Any, path: Optional[str]) -> Optional[list]:
    """The model's own classes; of several outputs those of the one that is counted. All of them have no names as labels."""
    known = models.classes_of(model)
    if known and isinstance(known[0], list):
        at = re.fullmatch(r"\$\[(\d+)\]", path or "")
        return known[int(at[1])] if at and int(at[1]) < len(known) else None
    return known


def _classes(values: Optional[list], rows: list, kind: str, said: Any) -> list:
    """The list that ``spec.predictions.classes`` takes: values with names, or names by position in a row."""
    if kind == "number":
        return []
    texts = kind == "labels" and kinds.are_texts(rows)
    by_position = kind in ("probability", *answers.OF_ROWS) and not texts
    if texts:
        rows = [cell for row in rows for cell in row]
    encoder = getattr(said, "classes_", None)
    if isinstance(said, dict):
        pairs = [(class_value(value), class_name(name)) for value, name in said.items()]
        if by_position:
            pairs = _in_place(pairs, values)
    elif encoder is not None or said is not None:
        names = [class_name(name) for name in as_list(encoder if encoder is not None else said) or []]
        if not names:
            raise ProfileError("classes has no name in it")
        pairs = _by_order(names, values if encoder is None else None, rows)
    elif values is not None:
        pairs = [(class_value(value), class_name(value)) for value in values]
    elif kind == "class" or texts:
        found = {class_value(row) for row in rows if not is_missing(row)}
        pairs = [(value, class_name(value)) for value in sorted(found)] if len(found) <= MOST_CLASSES else []
    else:
        return []
    if len(pairs) > MOST_CLASSES:
        return []
    return [{"name": name} if by_position else {"value": value, "name": name} for value, name in pairs]


def _in_place(pairs: list, values: Optional[list]) -> list:
    """Pairs of value and name as they stand in a row: in the order of the model's own classes, or by the positions said."""
    positions = {str(at): at for at in range(len(pairs))}
    if {value for value, _ in pairs}.isdisjoint(positions) and {name for _, name in pairs} == set(positions):
        # Keras' loaders say it the other way round: class_indices is {name: position}.
        pairs = [(position, name) for name, position in pairs]
    order = {class_value(value): at for at, value in enumerate(values)} if values else positions
    unknown = [value for value, _ in pairs if value not in order]
    if unknown:
        raise ProfileError(
            f"classes names {unknown[0][:64]!r}, but nothing tells where in a row of predictions that stands: "
            "give the names as a list in the order of the row, or as {position: name} from 0 on"
        )
    return sorted(pairs, key=lambda pair: order[pair[0]])


def _by_order(names: list, values: Optional[list], rows: list) -> list:
    """A list of names gives them in the order of the encoding: 0, 1, …, or what the model knows."""
    if any(isinstance(value, str) for value in (values if values is not None else rows)):
        # The answers are names already. Whoever renames them must say which is which: an order would be a guess.
        if values is not None and {class_value(value) for value in values} != set(names):
            raise ProfileError("the model's classes are texts, and not those in classes: name them as {'text': 'name'}")
        return [(name, name) for name in (names if values is None else map(class_value, values))]
    if values is not None and len(values) != len(names):
        raise ProfileError(f"classes has {len(names)} names, but the model knows {len(values)} classes")
    return [(class_value(value), name) for value, name in zip(range(len(names)) if values is None else values, names)]


def _example(features: Optional[table.Table]) -> Optional[dict]:
    """One row, as MLflow's scoring server takes it."""
    if features is None or not features.columns:
        return None
    row = [spread.typical(values) for _, values in features.columns]
    if not features.named:
        return {"inputs": [row]} if all(value is not None for value in row) else None
    return {"dataframe_split": {"columns": [name for name, _ in features.columns], "data": [row]}}


def _as_json(example: Any) -> Any:
    try:
        return json.loads(json.dumps(example, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ProfileError(f"example is no JSON body of a request: {error}") from error


def _features(features: table.Table) -> dict:
    if len(features.columns) > MOST_FEATURES:
        return {}
    spreads = ((name, spread.of_feature(table.thin(values))) for name, values in features.columns)
    return {name: of for name, of in spreads if of is not None and 0 < len(name) <= 256}


def _metrics(metrics: dict) -> dict:
    kept = {}
    for name, value in sorted(metrics.items()):
        value = plain(value)
        if is_number(value) and math.isfinite(value) and len(kept) < MOST_METRICS and 0 < len(str(name)) <= 250:
            kept[str(name)] = float(value)
    return kept
