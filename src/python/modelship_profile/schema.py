"""Checks a profile against schema.json, and what a schema cannot say.

The interpreter knows the part of JSON Schema that schema.json uses, so that nobody has to install one; the tests hold it
to the real thing.
"""

from __future__ import annotations

import functools
import json
import math
import pathlib
import re
from typing import Any, Union

from .errors import ProfileError

VERSION = 1
# A whole profile is some ten kilobytes; what is a hundred times that is something else.
MOST_BYTES = 1 << 20

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
}


def load(path: Union[str, pathlib.Path]) -> dict:
    """Reads and checks a profile."""
    path = pathlib.Path(path)
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= MOST_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: {error}") from error
    if size > MOST_BYTES:
        raise ProfileError(f"{path} has {size} bytes, but a profile has at most {MOST_BYTES}")
    try:
        profile = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise ProfileError(f"{path} is not JSON: {error}") from error
    try:
        check(profile)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error
    return profile


def check(profile: Any) -> None:
    """Raises a ProfileError whose text names the field that is wrong."""
    if isinstance(profile, dict):
        version = profile.get("version")
        if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
            raise ProfileError(
                f"the profile is of version {version}, and this modelship_profile reads up to version {VERSION}: update it"
            )
    _check(profile, schema(), "profile")
    _check_meaning(profile)


@functools.lru_cache(maxsize=1)
def schema() -> dict:
    """schema.json."""
    return json.loads((pathlib.Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _check(value: Any, rule: dict, at: str) -> None:
    if "$ref" in rule:
        target: Any = schema()
        for step in rule["$ref"].lstrip("#/").split("/"):
            target = target[step]
        _check(value, target, at)
    if "type" in rule and not _is(value, rule["type"]):
        raise ProfileError(f"{at} must be of type {rule['type']}")
    if "enum" in rule and value not in rule["enum"]:
        raise ProfileError(f"{at} must be one of {', '.join(map(str, rule['enum']))}")
    if isinstance(value, str):
        _check_text(value, rule, at)
    elif isinstance(value, list):
        if len(value) > rule.get("maxItems", math.inf):
            raise ProfileError(f"{at} has {len(value)} items, but at most {rule['maxItems']} are possible")
        for number, item in enumerate(value):
            _check(item, rule.get("items", {}), f"{at}[{number}]")
    elif isinstance(value, dict):
        _check_object(value, rule, at)
    elif _is(value, "number") and not rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf):
        raise ProfileError(f"{at} must lie between {rule['minimum']} and {rule['maximum']}")
    if "oneOf" in rule and isinstance(value, dict):
        ways = [way["required"] for way in rule["oneOf"]]
        if sum(all(name in value for name in way) for way in ways) != 1:
            raise ProfileError(f"{at} must have either {' or '.join(' and '.join(way) for way in ways)}")


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[name])


def _check_text(text: str, rule: dict, at: str) -> None:
    if not rule.get("minLength", 0) <= len(text) <= rule.get("maxLength", math.inf):
        raise ProfileError(f"{at} must have {rule.get('minLength', 0)} to {rule['maxLength']} characters")
    if "pattern" in rule and ("\n" in text or not re.search(rule["pattern"], text)):
        raise ProfileError(f"{at} is {text[:64]!r}, which does not match {rule['pattern']}")


def _check_object(value: dict, rule: dict, at: str) -> None:
    for name in rule.get("required", []):
        if name not in value:
            raise ProfileError(f"{at} lacks the field {name}")
    if len(value) > rule.get("maxProperties", math.inf):
        raise ProfileError(f"{at} has {len(value)} fields, but at most {rule['maxProperties']} are possible")
    known = rule.get("properties", {})
    for name, field in value.items():
        if name in known:
            _check(field, known[name], f"{at}.{name}")
        elif isinstance(rule.get("additionalProperties"), dict):
            _check(field, rule["additionalProperties"], f"{at}[{name[:64]!r}]")


def _check_meaning(profile: dict) -> None:
    """What the ModelDeployment's own rules ask of these fields."""
    kind, classes = profile["kind"], profile.get("classes", [])
    names = [one["name"] for one in classes]
    values = [one["value"] for one in classes if "value" in one]
    if len(set(values)) != len(values):
        raise ProfileError("profile.classes names one value twice")
    if "positive" in profile and (kind != "probability" or len(names) != 2 or profile["positive"] not in names):
        raise ProfileError("profile.positive is one of two names in classes, with kind probability")
    reference = profile.get("reference")
    if reference is not None:
        _check_spread(reference, "profile.reference")
        if "bounds" in reference and kind not in ("number", "probability"):
            raise ProfileError("profile.reference.bounds are for kind number or probability")
        if "classes" in reference and kind == "number":
            raise ProfileError("profile.reference.classes are not for kind number")
        if "classes" in reference and kind == "probability" and len(names) != 2:
            raise ProfileError("profile.reference.classes of a probability need its two classes")
        unknown = [name for name in reference.get("classes", {}) if names and name not in names]
        if unknown:
            raise ProfileError(f"profile.reference.classes has {unknown[0]!r}, which is none of profile.classes")
    for name, feature in profile.get("features", {}).items():
        _check_spread(feature, f"profile.features[{name!r}]")


def _check_spread(spread: dict, at: str) -> None:
    counts = list(spread.get("classes", {}).values()) or spread.get("counts", [])
    if not any(count > 0 for count in counts):
        raise ProfileError(f"{at} has no count above 0")
    if "bounds" in spread:
        bounds = [float(bound) for bound in spread["bounds"]]
        if any(first >= second for first, second in zip(bounds, bounds[1:])):
            raise ProfileError(f"{at}.bounds must rise")
        if not bounds or len(spread["counts"]) != len(bounds) + 1:
            raise ProfileError(f"{at}.counts has one count more than bounds: up to the first, ..., above the last")
