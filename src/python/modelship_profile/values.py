"""Single values, as a model or a table gives them: figures, names of classes, what is missing."""

from __future__ import annotations

import datetime
import math
import re
from decimal import Decimal
from typing import Any, Optional

from .errors import ProfileError

# Bounds as a ModelDeployment takes them: plain decimals of at most 24 characters.
LONGEST_FIGURE = 24
DIGITS = 6

# Bytes of a class's name, and the name that Modelship keeps for all others.
LONGEST_NAME = 64
OTHER = "__other__"

# How a CSV file writes numbers. A zero in front is no number's but that of a zip code; eighteen digits fit into 64 bits,
# and what is longer is the number of a card or an account.
WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# What stands for nothing among numbers and booleans; among texts only what is empty does: NA is a country too.
NOTHING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own; anything else as it is."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    return value


def is_missing(value: Any) -> bool:
    """None, NaN, and pandas' own kinds of nothing."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def is_moment(value: Any) -> bool:
    """A date or a time of day on one; pandas' own is a kind of Python's."""
    return isinstance(value, datetime.date)


def figure(value: float) -> str:
    """A number in six significant digits, without an exponent: ``0.05``, ``-12``, ``123456000``."""
    if not math.isfinite(value):
        raise ProfileError(f"{value} is no figure")
    exact = Decimal(repr(float(value)))
    if exact == 0:
        return "0"
    places = max(-LONGEST_FIGURE + 4, exact.adjusted() - DIGITS + 1)
    text = format(exact.quantize(Decimal(1).scaleb(places)), "f") if exact.adjusted() < LONGEST_FIGURE else str(exact)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    if len(text) > LONGEST_FIGURE or "E" in text:
        raise ProfileError(f"{value} has more than {LONGEST_FIGURE} digits, and is not fit to be a bound")
    return text


def class_value(value: Any) -> str:
    """A class as the model's answers write it: ``0``, ``churn``, ``true``. 1 and 1.0 are the same."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def class_name(name: Any) -> str:
    """A name that is fit to be a label of a metric."""
    text = class_value(name)
    if not text or len(text.encode()) > LONGEST_NAME or text == OTHER or not text.isprintable():
        raise ProfileError(
            f"{text[:80]!r} cannot be the name of a class: it takes 1 to {LONGEST_NAME} bytes on one line, "
            f"and {OTHER} stands for what has no name"
        )
    return text


def typed(texts: list) -> list:
    """A column of a CSV file as numbers or booleans if all of it is: whole ones stay whole, and empty ones are missing."""
    said = [text for text in texts if text not in NOTHING]
    if said and all(NUMBER.fullmatch(text) for text in said):
        # One fraction makes the column one of fractions.
        read = int if all(WHOLE.fullmatch(text) for text in said) else float
        return [None if text in NOTHING else read(text) for text in texts]
    if said and all(text in BOOLEANS for text in said):
        return [BOOLEANS.get(text) for text in texts]
    return [text or None for text in texts]


def as_list(values: Any) -> Optional[list]:
    """A column, an array, or any sequence as a list of Python's own values; None for what is none of these."""
    values = _dated(values)
    # to_pylist: Arrow's columns.
    for method in ("tolist", "to_list", "to_pylist"):
        if callable(getattr(values, method, None)):
            values = getattr(values, method)()
            break
    if isinstance(values, (str, bytes, dict)):
        return None
    try:
        return [plain(value) for value in values]
    except TypeError:
        return None


def _dated(values: Any) -> Any:
    """NumPy's moments in microseconds: those of nanoseconds become bare whole numbers in a list, and look like quantities."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", None) not in ("M", "m") or not callable(getattr(values, "tolist", None)) or hasattr(values, "iloc"):
        return values
    return values.astype(f"{'datetime' if dtype.kind == 'M' else 'timedelta'}64[us]")
