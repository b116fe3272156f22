"""What is asked of a server, and what its answers mean. The meaning is written by hand, from what the model predicts."""

import json
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True)
class Exchange:
    case: str
    body: str | bytes | None
    # {"predictions": […]}: one per row, in order; {"blame": "client" | "model" | "unclear"}; {"unrelated": True} for an
    # answer that holds no prediction at all.
    expect: dict
    path: str = "/invocations"
    method: str = "POST"
    content_type: str | None = JSON
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    name: str
    # class, probability, probabilities, number, labels; none where nothing can be counted.
    kind: str
    note: str
    exchanges: list
    # What a user writes in `spec.predictions` where the answers alone cannot tell.
    settings: dict | None = None
    # Whether the answers alone tell; if not, `settings` are needed.
    by_itself: bool = True


@dataclass(frozen=True)
class Server:
    venv: str
    # {port} and {folder} are filled in; the first word is looked up beside the environment's Python.
    command: list
    # Packages whose versions are recorded.
    packages: list
    records: list
    # Where it answers once it is up; none if the program prints `NAME PORT` for each of its models, and then `ready`.
    ready: str | None = None
    environment: dict = field(default_factory=dict)


def rows(*predictions, **more):
    return {"predictions": list(predictions), **more}


def text(value):
    return json.dumps(value)
