"""MLflow, where a script uses it. Nothing here imports it: who has no run pays nothing."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, Optional
from urllib.parse import urlsplit, urlunsplit


def active_run() -> Optional[Any]:
    """The run of the script that calls us; none without MLflow, or outside of a run."""
    mlflow = sys.modules.get("mlflow")
    return mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None


def metrics_of(run: Any) -> dict:
    """What the run has logged so far; the object that is at hand remembers only its beginning."""
    mlflow = sys.modules["mlflow"]
    return dict(mlflow.get_run(run.info.run_id).data.metrics)


def log(path: pathlib.Path, profile: dict) -> None:
    """At the root of the run's artifacts and by the name that is looked for, whatever the file is called."""
    mlflow = sys.modules["mlflow"]
    from .profile import FILE

    if path.name == FILE:
        mlflow.log_artifact(str(path))
    else:
        mlflow.log_dict(profile, FILE)


def without_credentials(uri: str) -> Optional[str]:
    """A URI that may be shown to everybody; None for one that means nothing elsewhere, such as a folder."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.port:
        host += f":{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
