"""What a model's ``predict`` gives, as rows: one prediction each, or one list of numbers each."""

from __future__ import annotations

import re
from typing import Any, Optional

from . import table
from .errors import ProfileError
from .values import as_list, plain

# Columns that a message names.
SHOWN = 10
# Kinds whose rows are lists; a frame of several columns is taken for them as it is.
OF_ROWS = ("probabilities", "labels")


class Answers:
    """Rows, and the names of their positions where a frame has told them."""

    def __init__(self, rows: list, names: Optional[list] = None):
        self.rows = rows
        self.names = names


def read(predictions: Any, kind: Optional[str] = None, path: Optional[str] = None) -> Answers:
    """The rows, and of rows that are objects, or a table's, what ``path`` leads to.

    Raises a ProfileError when that takes a path and there is none.
    """
    steps = _steps(path)
    predictions = table.gathered(predictions)
    columns = _columns(predictions)
    if columns is not None:
        return _of_columns(columns, kind, steps)
    if isinstance(predictions, tuple) and any(hasattr(one, "tolist") or hasattr(one, "columns") for one in predictions):
        raise ProfileError(
            f"the model answers with a tuple of {len(predictions)}, such as labels and probabilities: "
            "give the one that users get as predictions="
        )
    if callable(getattr(predictions, "toarray", None)):
        # scipy's sparse rows, which scikit-learn gives for labels that it was given so.
        predictions = predictions.toarray()
    rows = [_row(row) for row in as_list(predictions) or []]
    if not rows:
        raise ProfileError("there are no predictions: the data has no row, or the model gives nothing that is a list")
    if all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return _of_columns([(name, [row.get(name) for row in rows]) for name in names], kind, steps)
    # One column of predictions, as scikit-learn's regressors over a two-dimensional target give it.
    if all(isinstance(row, list) and len(row) == 1 for row in rows):
        rows = [row[0] for row in rows]
    elif steps and isinstance(steps[0], int) and all(isinstance(row, list) for row in rows):
        rows = [_walk(row, steps, path) for row in rows]
    # Any other path is that of the server's answer, whose predictions are at hand already.
    return Answers(rows)


def _columns(predictions: Any) -> Optional[list]:
    """Names and values of a frame, or of a map of columns, as ONNX models give it."""
    if isinstance(predictions, dict) or hasattr(predictions, "columns") or hasattr(predictions, "column_names"):
        read = table.read(predictions)
        if read is None:
            raise ProfileError("the predictions are a map, but not of columns that have one length: give predictions=")
        return read.columns
    return None


def _of_columns(columns: list, kind: Optional[str], steps: list) -> Answers:
    names = [name for name, _ in columns]
    if steps and isinstance(steps[0], str):
        if steps[0] not in names:
            raise ProfileError(f"path leads to {steps[0]!r}, but the predictions have {_listed(names)}")
        values = columns[names.index(steps[0])][1]
        return Answers(_no_empty([_walk(_row(value), steps[1:], steps[0]) for value in values]))
    if len(columns) == 1:
        return Answers(_no_empty([_row(value) for value in columns[0][1]]))
    if kind in OF_ROWS:
        return Answers(_no_empty([list(row) for row in zip(*(values for _, values in columns))]), names)
    raise ProfileError(
        f"the predictions have several columns, {_listed(names)}: say which one Modelship counts, such as "
        f"path={_path(names[0])!r}; or kind='probabilities' when each is the probability of a class"
    )


def _no_empty(rows: list) -> list:
    if not rows:
        raise ProfileError("there are no predictions: the data has no row")
    return rows


def _row(row: Any) -> Any:
    row = plain(row)
    return as_list(row) if isinstance(row, (list, tuple)) or hasattr(row, "tolist") else row


def _listed(names: list) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:64] for name in names[:SHOWN]) + more


def _path(name: str) -> str:
    return f"$.{name}" if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f"$['{name}']"


def _steps(path: Optional[str]) -> list:
    """Keys and positions of ``$.result['a b'][0]``; none for what the schema refuses anyway."""
    found = re.findall(r"""\.([^.\[\]]+)|\[(?:'([^']*)'|"([^"]*)"|(\d+))\]""", path or "")
    return [int(at) if at else key or single or double for key, single, double, at in found]


def _walk(value: Any, steps: list, path: Any) -> Any:
    for step in steps:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, (list, tuple))
        if not fits or (step not in value if isinstance(step, str) else step >= len(value)):
            raise ProfileError(f"path has the step {step!r} after {path}, where a prediction has none")
        value = _row(value[step])
    return value
