"""What a prediction is: told by the model, or by predictions that can be nothing else. All others are asked for."""

from __future__ import annotations

import math
from typing import Any, Optional

from . import models
from .errors import ProfileError
from .values import class_value, is_missing, is_moment, is_number

KINDS = ("class", "probability", "probabilities", "labels", "number")

# A row's probabilities are 1 together, but for the rounding of 32 bits and of two decimals.
NEAR = 0.01


def decide(model: Any, rows: list, said: Optional[str], classes: Any, own: bool) -> str:
    """The kind of ``rows``. ``own`` says that they are what the model's ``predict`` gives, and nobody else's."""
    if said is not None:
        if said not in KINDS:
            raise ProfileError(f"kind is {said!r}, but must be one of {', '.join(KINDS)}")
        return said
    present = [row for row in rows if not is_missing(row)]
    if not present:
        raise ProfileError("all predictions are missing")
    lists = [row for row in present if isinstance(row, list)]
    if lists:
        return _of_lists(model, present, own)
    return _of_single(model, present, classes, own)


def _of_single(model: Any, rows: list, classes: Any, own: bool) -> str:
    if any(is_moment(row) for row in rows):
        raise ProfileError("the predictions are dates, which no kind describes: give predictions= in days, or classes")
    if all(isinstance(row, (str, bool)) for row in rows):
        return "class"
    if not all(is_number(row) for row in rows):
        odd = next(row for row in rows if not is_number(row))
        raise ProfileError(f"among the predictions there is a {type(odd).__name__}: a prediction is a number or a text")
    known = models.kind_of(model)
    fractions = any(math.isfinite(row) and row != int(row) for row in rows)
    if known == "number":
        return "number"
    if known == "probability" and (fractions or own) and _within_one(rows):
        return "probability"
    if known == "class" or classes is not None:
        named = {class_value(value) for value in models.classes_of(model) or [] if not isinstance(value, list)}
        if fractions and not all(class_value(row) in named for row in rows):
            raise ProfileError(
                "the predictions are fractions, and not classes: say kind='probability', and of which class in positive; "
                "or kind='number'"
            )
        return "class"
    if fractions and not _within_one(rows):
        return "number"
    if fractions:
        raise ProfileError(
            "all predictions are from 0 to 1, and may be probabilities or quantities: say kind='probability' or kind='number'"
        )
    raise ProfileError("whole numbers may be classes or quantities: say kind='class' or kind='number'")


def _of_lists(model: Any, rows: list, own: bool) -> str:
    width = len(rows[0]) if isinstance(rows[0], list) else 0
    cells = [cell for row in rows if isinstance(row, list) for cell in row]
    texts = are_texts(rows)
    uneven = any(not isinstance(row, list) or len(row) != width for row in rows)
    if texts and uneven:
        return "labels"
    if uneven or any(isinstance(cell, list) for cell in cells):
        raise ProfileError("the predictions are lists that differ in length or depth, which no kind describes: give predictions=")
    known = models.kind_of(model)
    ones = all(is_one_or_none(cell) for cell in cells)
    # Classes themselves, never probabilities: a classifier's own predictions, and what is only true or false.
    labels = models.has_several_labels(model)
    if ones and (labels or (own and known == "class") or all(isinstance(cell, bool) for cell in cells)):
        return "labels"
    if known != "number" and not labels and not ones and all(_is_distribution(row) for row in rows):
        return "probabilities"
    # Certain of every row, as trees are of what they were trained on.
    if ones and known == "class" and all(sum(row) == 1 for row in rows) and width == len(models.classes_of(model) or []):
        return "probabilities"
    several = f"a prediction has {width} values, and Modelship counts one: say which in path, from path='$[0]' to '$[{width - 1}]'"
    if texts and not (own and known == "class"):
        raise ProfileError(f"{several}; or kind='labels' when all of them are labels of the row")
    if known == "number" or not all(is_number(cell) for cell in cells) or (own and known == "class"):
        raise ProfileError(several)
    raise ProfileError(
        f"{several}; or kind='labels' when a row may have several of them, kind='probabilities' when the largest is its class"
    )


def is_one_or_none(cell: Any) -> bool:
    """Whether a label is said to be there, or not to be."""
    return (is_number(cell) or isinstance(cell, bool)) and cell in (0, 1)


def are_texts(rows: list) -> bool:
    """Whether the rows are lists of names, of any length."""
    named = all(isinstance(row, list) and all(isinstance(cell, str) for cell in row) for row in rows)
    return named and any(rows)


def _within_one(rows: list) -> bool:
    return all(0 <= row <= 1 for row in rows)


def _is_distribution(row: list) -> bool:
    return all(is_number(cell) and 0 <= cell <= 1 for cell in row) and abs(sum(row) - 1) <= NEAR
