"""Training data as named columns, whatever holds it: pandas, polars, Arrow, NumPy, lists of rows."""

from __future__ import annotations

from typing import Any, Optional

from .values import as_list

# Rows that the spread of a feature is taken from; more are thinned evenly.
MOST_ROWS = 100_000


class Table:
    """Named columns, in order. ``named`` says whether the names are the data's own."""

    def __init__(self, columns: list, named: bool, rows: int):
        self.columns = columns
        self.named = named
        self.rows = rows


def gathered(data: Any) -> Any:
    """Data that is there: what polars' LazyFrame only plans is fetched once, and is what the model is asked for too."""
    kind = type(data)
    return data.collect() if hasattr(kind, "collect") and hasattr(kind, "collect_schema") else data


def read(data: Any) -> Optional[Table]:
    """The columns of a table; None for what is no table, such as a stack of images."""
    if data is None:
        return None
    # Arrow's tables: their `columns` are the values themselves, which are no names.
    if hasattr(data, "column_names") and callable(getattr(data, "column", None)):
        names = [str(name) for name in data.column_names]
        return Table([(name, as_list(data.column(at))) for at, name in enumerate(names)], True, data.num_rows)
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return _frame(data)
    shape = getattr(data, "shape", None)
    if shape is not None:
        return _array(data) if len(shape) == 2 and hasattr(data, "tolist") else None
    if isinstance(data, dict):
        return _of({str(name): as_list(values) for name, values in data.items()})
    # Nothing else is walked through: the loaders of pictures begin anew at their end, for ever.
    rows = as_list(data) if isinstance(data, (list, tuple)) else None
    if not rows:
        return None
    if all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        return _of({str(name): [row.get(name) for row in rows] for name in names})
    if all(isinstance(row, (list, tuple)) and len(row) == len(rows[0]) for row in rows):
        if any(isinstance(cell, (list, tuple)) for cell in rows[0]):
            return None
        return _of({str(at): [row[at] for row in rows] for at in range(len(rows[0]))}, named=False)
    return None


def thin(values: list) -> list:
    """At most MOST_ROWS of them, evenly from the first to the last."""
    step = -(-len(values) // MOST_ROWS)
    return values[::step] if step > 1 else values


def _frame(frame: Any) -> Table:
    names = [str(name) for name in frame.columns]
    # By position where there is one: two columns may bear the same name.
    by_position = getattr(frame, "iloc", None)
    columns = [
        (name, as_list(by_position[:, at] if by_position is not None else frame[frame.columns[at]]))
        for at, name in enumerate(names)
    ]
    return Table(columns, True, len(frame))


def _array(array: Any) -> Table:
    rows, width = array.shape
    return Table([(str(at), as_list(array[:, at])) for at in range(width)], False, rows)


def _of(columns: dict, named: bool = True) -> Optional[Table]:
    if any(values is None for values in columns.values()):
        return None
    lengths = {len(values) for values in columns.values()}
    return Table(list(columns.items()), named, lengths.pop()) if len(lengths) == 1 else None
