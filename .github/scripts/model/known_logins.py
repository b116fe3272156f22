"""Lays out what a builder knows of registries, for a log-in that leaves no trace: known_logins.py BUILDER HOST FOLDER.

Writes config.json for Docker, auth.json for buildah and podman. What is known of HOST is kept in no helper, which would keep
the password for longer.
"""

import json
import os
import pathlib
import sys


def main(builder: str, host: str, folder: str) -> None:
    target = pathlib.Path(folder)
    if builder == "docker":
        known = read(docker())
        # Named and empty: in the file itself, whatever credsStore says of all others.
        known.setdefault("credHelpers", {})[host] = ""
        (target / "config.json").write_text(json.dumps(known), encoding="utf-8")
        return
    known = {"auths": {}, "credHelpers": {}}
    # The first that knows a registry counts.
    for file in reversed(of_containers()):
        for name, entries in known.items():
            entries.update(read(file).get(name) or {})
    known["credHelpers"].pop(host, None)
    (target / "auth.json").write_text(json.dumps(known), encoding="utf-8")


def home() -> pathlib.Path:
    return pathlib.Path(os.environ.get("HOME") or "/")


def docker() -> pathlib.Path:
    return pathlib.Path(os.environ.get("DOCKER_CONFIG") or home() / ".docker") / "config.json"


def of_containers() -> list:
    """Where buildah and podman look, in their order."""
    if os.environ.get("REGISTRY_AUTH_FILE"):
        return [pathlib.Path(os.environ["REGISTRY_AUTH_FILE"])]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    first = pathlib.Path(runtime) / "containers" if runtime else pathlib.Path("/run/containers") / str(os.getuid())
    settings = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config")
    return [first / "auth.json", settings / "containers/auth.json", docker()]


def read(file: pathlib.Path) -> dict:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Not there, or not to be read: the builder would not know more.
        return {}
    return known if isinstance(known, dict) else {}


if __name__ == "__main__":
    main(*sys.argv[1:])
