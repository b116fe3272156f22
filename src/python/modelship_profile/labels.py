"""The labels of a model's image.

============================================  =======================================================
``dev.modelship.profile``                     the profile, as compact JSON
``dev.modelship.mlflow.run-id``               the run that the model came from
``dev.modelship.mlflow.tracking-uri``         its server, without credentials; http and https only
``dev.modelship.model-version``               the version in MLflow's model registry
``org.opencontainers.image.revision``         the commit
``org.opencontainers.image.source``           the repository of the commit
``org.opencontainers.image.created``          when the image was made
============================================  =======================================================

Every pod start and every new version fetches the image's config, and the operator keeps some of it: all labels together
have at most 16 KiB, names included. What does not fit is left out of the profile in the order of DROPPED, and named in
its field ``dropped``; the artifact of the run has all of it.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
from typing import Optional
from urllib.parse import urlsplit

from . import schema
from .errors import ProfileError
from .tracking import without_credentials

MOST_BYTES = 16 * 1024
MOST_BYTES_OF_ANOTHER = 1024

PROFILE = "dev.modelship.profile"
RUN_ID = "dev.modelship.mlflow.run-id"
TRACKING_URI = "dev.modelship.mlflow.tracking-uri"
MODEL_VERSION = "dev.modelship.model-version"
REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"
CREATED = "org.opencontainers.image.created"

# First what only helps to understand a version, last what its metrics need.
DROPPED = ("features", "example", "metrics", "reference", "classes")


def make(
    profile: Optional[dict],
    *,
    run_id: Optional[str] = None,
    tracking_uri: Optional[str] = None,
    model_version: Optional[str] = None,
    revision: Optional[str] = None,
    source: Optional[str] = None,
    created: Optional[str] = None,
    most_bytes: int = MOST_BYTES,
) -> dict:
    """The labels by name, the profile's last, if there is one."""
    labels = {
        RUN_ID: run_id,
        TRACKING_URI: without_credentials(tracking_uri) if tracking_uri else None,
        MODEL_VERSION: model_version,
        REVISION: revision,
        SOURCE: web_address(source) if source else None,
        CREATED: created,
    }
    labels = {name: value for name, value in labels.items() if value}
    for name, value in labels.items():
        if not value.isprintable() or len(value.encode()) > MOST_BYTES_OF_ANOTHER:
            raise ProfileError(f"the label {name} takes one line of at most {MOST_BYTES_OF_ANOTHER} bytes")
    if profile is None:
        return labels
    schema.check(profile)
    room = most_bytes - size(labels) - len(PROFILE)
    return {**labels, PROFILE: fitted(profile, room)}


def size(labels: dict) -> int:
    """Bytes of all names and values."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in labels.items())


def fitted(profile: dict, room: int) -> str:
    """The profile as compact JSON of at most ``room`` bytes, without what has to be left out for that."""
    kept = dict(profile)
    dropped = list(profile.get("dropped", []))
    text = compact(kept)
    for name in DROPPED:
        if len(text.encode()) <= room:
            break
        if name in kept:
            del kept[name]
            dropped.append(name)
            # A reference counts classes by the names that are in classes; a positive class is one of them.
            kept.pop("positive", None) if name == "classes" else None
            text = compact({**kept, "dropped": dropped})
    if len(text.encode()) > room:
        raise ProfileError(
            f"the profile does not fit into {max(room, 0)} bytes of labels, even without {', '.join(DROPPED)}"
        )
    return text


def compact(profile: dict) -> str:
    """JSON in one line of ASCII, whatever the names: labels pass through shells, files and registries."""
    return json.dumps(profile, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def as_lines(labels: dict, form: str) -> list:
    """One line for each label: ``arguments`` of a build, a ``file`` of name=value, or instructions of a ``dockerfile``."""
    if form == "arguments":
        return [f"--label={name}={value}" for name, value in labels.items()]
    if form == "file":
        return [f"{name}={value}" for name, value in labels.items()]
    return [f'LABEL {name}="{_escaped(value)}"' for name, value in labels.items()]


def _escaped(value: str) -> str:
    # Within double quotes a Dockerfile still reads backslashes, quotes, and variables.
    return re.sub(r'([\\"$])', r"\\\1", value)


def created_now() -> str:
    """RFC 3339. SOURCE_DATE_EPOCH makes a build that can be repeated."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
        if epoch and epoch.isdigit()
        else datetime.datetime.now(datetime.timezone.utc)
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def revision_here() -> Optional[str]:
    """The commit: CI's word for it, else git's."""
    return os.environ.get("GITHUB_SHA") or _git("rev-parse", "--verify", "--quiet", "HEAD")


def source_here() -> Optional[str]:
    """The repository's address."""
    server, repository = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return f"{server}/{repository}" if server and repository else _git("remote", "get-url", "origin")


def web_address(remote: str) -> Optional[str]:
    """https://host/owner/name of a git remote; None for a folder. Passwords in it stay out."""
    short = re.fullmatch(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)", remote)
    if short:
        remote = f"https://{short[1]}/{short[2]}"
    parts = urlsplit(remote)
    if parts.scheme == "ssh" and parts.hostname:
        remote = f"https://{parts.hostname}{parts.path}"
    address = without_credentials(remote)
    return re.sub(r"\.git/?$", "", address) if address else None


def _git(*arguments: str) -> Optional[str]:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
