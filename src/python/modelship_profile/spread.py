"""How values were spread: counts by class, or by range, in the shape that a ModelDeployment's reference has."""

from __future__ import annotations

import bisect
import datetime
import math
from collections import Counter
from typing import Any, Optional

from .errors import ProfileError
from .values import OTHER, as_list, class_value, figure, is_missing, is_moment, is_number

# Classes that a reference may count; one more bin is kept for all others.
MOST_CLASSES = 49
# Ranges: tenths of the values, so that each is as likely as the others.
PARTS = 10
# Texts of a feature that are counted by themselves.
MOST_TEXTS = 20
# What fewer rows have than this may tell who is in the data, and is never written.
RARE = 5


def by_range(values: list) -> dict:
    """``bounds`` and ``counts`` of numbers: up to and with the first bound, …, above the last."""
    numbers = sorted(float(value) for value in values if is_number(value) and math.isfinite(value))
    if not numbers:
        raise ProfileError("there is no finite number among the values")
    texts: list = []
    for part in range(1, PARTS):
        text = figure(numbers[math.ceil(part * len(numbers) / PARTS) - 1])
        if not texts or float(text) > float(texts[-1]):
            texts.append(text)
    # Above the largest value there is nothing to count.
    if len(texts) > 1 and float(texts[-1]) >= numbers[-1]:
        texts.pop()
    bounds = [float(text) for text in texts]
    counts = [0] * (len(bounds) + 1)
    for number in numbers:
        counts[bisect.bisect_left(bounds, number)] += 1
    return {"bounds": texts, "counts": counts}


def by_class(names: list) -> Optional[dict]:
    """``classes`` with the count of each; None for more of them than a reference holds.

    The most frequent ones alone would not do: all others would look like drift, on the very data of the training.
    """
    counts = Counter(names)
    if not counts:
        raise ProfileError("there are no predictions to count")
    return {"classes": dict(sorted(counts.items()))} if len(counts) <= MOST_CLASSES else None


def of_feature(values: Any) -> Optional[dict]:
    """The spread of one feature and how many rows lack it; None for what is neither numbers nor texts."""
    values = as_list(values)
    if values is None:
        return None
    present = [value for value in values if not is_missing(value)]
    numbers = [value for value in present if is_number(value) and math.isfinite(value)]
    missing = len(values) - len(present)
    if numbers and all(is_number(value) for value in present):
        try:
            return {"missing": len(values) - len(numbers), **by_range(numbers)}
        except ProfileError:
            return None
    if not present or not all(isinstance(value, (str, bool)) for value in present):
        return None
    counts = Counter(class_value(value) for value in present)
    common = {text: count for text, count in counts.most_common(MOST_TEXTS) if _may_be_written(text, count)}
    rest = len(present) - sum(common.values())
    classes = dict(sorted(common.items()))
    if rest:
        classes[OTHER] = rest
    return {"missing": missing, "classes": classes}


def typical(values: Any) -> Any:
    """A value for an example: the median, or the most frequent. Nobody's own, unless everybody's."""
    values = as_list(values) or []
    present = [value for value in values if not is_missing(value)]
    if not present:
        return None
    if all(is_number(value) for value in present):
        numbers = sorted(value for value in present if math.isfinite(value))
        if not numbers:
            return None
        middle = numbers[(len(numbers) - 1) // 2]
        return middle if isinstance(middle, int) else float(figure_or(middle))
    if all(is_moment(value) for value in present):
        return _typical_day(present)
    if all(isinstance(value, bool) for value in present):
        return Counter(present).most_common(1)[0][0]
    if all(isinstance(value, str) for value in present):
        text, count = Counter(present).most_common(1)[0]
        return text if _may_be_written(text, count) else ""
    return None


def _typical_day(moments: list) -> Optional[str]:
    """The median's day: its time of day would be that of one row."""
    try:
        middle = sorted(moments)[(len(moments) - 1) // 2]
    except TypeError:
        # Some with a time zone, some without.
        return None
    if isinstance(middle, datetime.datetime):
        middle = datetime.datetime(middle.year, middle.month, middle.day, tzinfo=middle.tzinfo)
    return middle.isoformat()


def figure_or(number: float) -> float:
    """Six significant digits of it, where it has a plain form."""
    try:
        return float(figure(number))
    except ProfileError:
        return number


def _may_be_written(text: str, count: int) -> bool:
    return count >= RARE and 0 < len(text) <= 64 and text.isprintable() and text != OTHER
