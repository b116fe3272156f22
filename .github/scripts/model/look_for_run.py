"""Ends well when the tracking server has the run: look_for_run.py ID. Asks as MLflow's client would, without MLflow, so that
nothing is installed for a run that is not there."""

from __future__ import annotations

import base64
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

from modelship_profile.words import first_line

# Seconds.
LONGEST = 30


def main(run: str) -> None:
    server = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    parts = urllib.parse.urlsplit(server)
    if parts.scheme not in ("http", "https"):
        # A folder or a database, which MLflow alone can read.
        return
    shown = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    path = f"/api/2.0/mlflow/runs/get?{urllib.parse.urlencode({'run_id': run})}"
    request = urllib.request.Request(shown + path, headers=credentials(parts))
    try:
        with urllib.request.urlopen(request, timeout=LONGEST) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"publish: {shown}: {said(error)}{remedy(error.code)}")
    except (OSError, ValueError) as error:
        sys.exit(f"publish: {shown} cannot be asked for the run {run}: {first_line(getattr(error, 'reason', error))}")
    status = found.get("run", {}).get("info", {}).get("status")
    if status != "FINISHED":
        sys.exit(f"publish: the run {run} is {status}: only a finished run has a model to ship")


def credentials(parts: urllib.parse.SplitResult) -> dict:
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if parts.username:
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    if user:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def said(error: urllib.error.HTTPError) -> str:
    """In the server's own words, where it has some."""
    try:
        return first_line(json.loads(error.read(1 << 16))["message"])
    except (ValueError, TypeError, KeyError):
        return f"it answers {error.code} {error.reason}"


def remedy(code: int) -> str:
    if code in (401, 403):
        return "; check the user and token for this tracking server (DAGSHUB_USERNAME, DAGSHUB_TOKEN)"
    return "; name a run of this server, or another server in MODEL_TRACKING_URI" if code == 404 else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
