"""How predictions were spread over the training data, by kind."""

from __future__ import annotations

from typing import Any, Optional

from . import kinds, spread
from .errors import ProfileError
from .values import class_name, class_value, is_missing, is_number

# From where on a probability counts as its class, as in spec.predictions.threshold of a ModelDeployment.
THRESHOLD = 0.5


def of(rows: list, kind: str, classes: list, threshold: float) -> Optional[dict]:
    """The reference; None where there is no saying which class a row is, or there are too many of them."""
    if kind in ("number", "probability"):
        return _of_numbers(rows, kind)
    if kind == "class":
        return _of_classes([class_value(row) for row in rows if not is_missing(row)], classes)
    if kind == "labels" and kinds.are_texts(rows):
        return _of_labels([set(row) for row in rows], {one["value"]: one["name"] for one in classes})
    width = _width(rows, kind)
    names = [one["name"] for one in classes]
    if names and len(names) != width:
        raise ProfileError(f"a row of predictions has {width} {kind}, but classes has {len(names)} names")
    if kind == "labels":
        if not all(0 <= cell <= 1 for row in rows for cell in row):
            raise ProfileError("kind is labels, but the predictions are not rows of 0 and 1, of probabilities, or of names")
        found = [{at for at, cell in enumerate(row) if cell >= threshold} for row in rows]
        return _of_labels(found, dict(enumerate(names)))
    return spread.by_class([names[max(range(width), key=row.__getitem__)] for row in rows]) if names else None


def _of_numbers(rows: list, kind: str) -> dict:
    if not all(is_number(row) or is_missing(row) for row in rows):
        raise ProfileError(f"kind is {kind}, but among the predictions there is one that is no number")
    return spread.by_range([row for row in rows if not is_missing(row)])


def _of_classes(values: list, classes: list) -> Optional[dict]:
    names = {one["value"]: one["name"] for one in classes}
    if names:
        _all_named(values, names)
    return spread.by_class([names.get(value) or class_name(value) for value in values])


def _of_labels(rows: list, names: dict) -> Optional[dict]:
    """Each label once for every row that has it.

    None where a row has no label: a reference has no place for those, and they would look like drift on the very data of
    the training.
    """
    if not names or not all(rows):
        return None
    labels = [label for row in rows for label in row]
    _all_named(labels, names)
    return spread.by_class([names[label] for label in labels])


def _all_named(values: Any, names: dict) -> None:
    unknown = sorted({value for value in values if value not in names})
    if unknown:
        raise ProfileError(f"the model predicts {unknown[0][:64]!r}, which has no name in classes")


def _width(rows: list, kind: str) -> int:
    """How many numbers each row has."""
    widths = {len(row) for row in rows if isinstance(row, list)}
    numbers = (is_number(cell) or isinstance(cell, bool) for row in rows if isinstance(row, list) for cell in row)
    if len(widths) != 1 or not all(isinstance(row, list) for row in rows) or not all(numbers):
        raise ProfileError(f"kind is {kind}, but the predictions are not rows of numbers, all of one length")
    return widths.pop()
