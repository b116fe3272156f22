"""Compares dashboards with the types of Grafana's own schema, as the SDK has them.

The SDK's readers take anything and drop what they do not know. So each board is read, written again and compared, and
every value that was read is held against the type that the SDK declares for it.
"""

import copy
import enum
import json
import sys
import types
import typing

from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard, units

UNITS = {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}
# Grafana's data source for Prometheus reads these from its annotations; the schema leaves annotations open.
OF_PROMETHEUS_ANNOTATIONS = {"step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
# Grafana writes it beside a variable's query, for its list of variables; the schema leaves it out.
OF_QUERY_VARIABLES = {"definition"}


def findings(board):
    """What is wrong with a board, each with its place."""
    for panel in panels(board):
        panel.pop("modelship", None)
        where = f"panel '{panel.get('title')}'"
        if panel["type"] != "row" and runtime.panelcfg_config(panel["type"]) is None:
            yield f"{where}: Grafana has no panel of type {panel['type']}"
        config = panel.get("fieldConfig", {})
        properties = [p for override in config.get("overrides", []) for p in override["properties"]]
        used = [config.get("defaults", {}).get("unit")] + [p["value"] for p in properties if p["id"] == "unit"]
        for unit in used:
            if unit is not None and unit not in UNITS:
                yield f"{where}: Grafana has no unit {unit}"
    try:
        read = dashboard.Dashboard.from_json(board)
        written = json.loads(json.dumps(read, cls=JSONEncoder))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        yield f"cannot be read: {error!r}"
        return
    yield from dropped(board, written, "")
    yield from mistyped(read, dashboard.Dashboard, "")


def panels(board):
    for panel in board.get("panels", []):
        yield panel
        yield from panels(panel)


def dropped(given, kept, at):
    """Fields that the types do not have."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            here = f"{at}.{name}"
            if name in kept:
                yield from dropped(value, kept[name], here)
            elif value is not None and not is_open(at, name):
                yield f"{here}: Grafana's types have no such field"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (one, other) in enumerate(zip(given, kept)):
            yield from dropped(one, other, f"{at}[{index}]")
    elif given != kept:
        yield f"{at}: {given!r} is read as {kept!r}"


def is_open(at, name):
    return (at.startswith(".annotations.list[") and name in OF_PROMETHEUS_ANNOTATIONS) or (
        at.startswith(".templating.list[") and name in OF_QUERY_VARIABLES
    )


def mistyped(value, hint, at):
    """Values that are not of their declared type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        tried = [list(mistyped(value, one, at)) for one in arguments]
        if all(tried):
            # The one that got furthest says what is meant.
            yield max((found[0] for found in tried), key=lambda text: text.count(".", 0, text.index(": ")))
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{at}: {value!r} is none of {', '.join(map(str, arguments))}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{at}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from mistyped(item, arguments[0], f"{at}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{at}: {value!r} is no object"
            return
        for key, item in value.items():
            yield from mistyped(item, arguments[1], f"{at}.{key}")
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [member.value for member in hint]:
            yield f"{at}: {value!r} is none of {', '.join(str(member.value) for member in hint)}"
    elif hint in (object, typing.Any):
        yield from fields(value, at)
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{at}: {value!r} is no number"
    elif hasattr(hint, "from_json") and isinstance(value, dict):
        # Some lists are kept as they were read.
        read = hint.from_json(value)
        yield from dropped(value, json.loads(json.dumps(read, cls=JSONEncoder)), at)
        yield from fields(read, at)
    elif isinstance(hint, type):
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            yield f"{at}: {value!r} is no {hint.__name__}"
        yield from fields(value, at)


def fields(value, at):
    """Of an object of the SDK, each; of anything else, nothing is declared."""
    if not hasattr(value, "to_json"):
        return
    module = vars(sys.modules[type(value).__module__])
    for name, hint in typing.get_type_hints(type(value), module).items():
        yield from mistyped(getattr(value, name), hint, f"{at}.{name}")


def notices_nothing(board):
    """Faults put into a good board that go unnoticed: then the check itself is broken."""

    def first(board, kind):
        return next(panel for panel in panels(board) if panel["type"] == kind)

    faults = {
        "a field of the board": lambda board: board.update(refreshEvery="30s"),
        "the type of a value": lambda board: board.update(tags="modelship"),
        "a panel's type": lambda board: first(board, "timeseries").update(type="graf"),
        "an option of a panel": lambda board: first(board, "stat")["options"].update(colour="red"),
        "the value of an option": lambda board: first(board, "stat")["options"].update(colorMode="bright"),
        "a field's own setting": lambda board: first(board, "timeseries")["fieldConfig"]["defaults"]["custom"].update(lines=1),
        "a field of a query": lambda board: first(board, "timeseries")["targets"][0].update(query="up"),
        "a unit": lambda board: first(board, "stat")["fieldConfig"]["defaults"].update(unit="parsecs"),
    }
    for name, put in faults.items():
        faulty = copy.deepcopy(board)
        put(faulty)
        if not list(findings(faulty)):
            yield f"the check does not notice a fault in {name}"


def main(paths):
    plugins.register_default_plugins()
    wrong = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            board = json.load(file)
        found = list(findings(copy.deepcopy(board))) or list(notices_nothing(board))
        for finding in found:
            print(f"{path}: {finding}", file=sys.stderr)
        wrong += len(found)
        print(f"{path}: {sum(panel['type'] != 'row' for panel in panels(board))} panels, {len(found)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
