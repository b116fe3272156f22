"""Packs what is handed over: pack.py OUT REPOSITORY SCRIPTS. See the script pack; unpack.py reads it."""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
from typing import Iterator

from modelship_profile.tracking import without_credentials


def main(out: str, repository: str, ours: str) -> None:
    folder = pathlib.Path(out)
    kind = (folder / "told/build").read_text(encoding="utf-8").strip()
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    facts = {name: run.get(name) for name in ("run_id", "model_version", "metrics")}
    # Everybody may read this who may read the repository: no password that an address holds.
    facts["tracking_uri"] = without_credentials(run.get("tracking_uri") or "")
    # Old ones must not be taken for this training's.
    (folder / "handed-over.tar").unlink(missing_ok=True)
    partial = folder / "handed-over.tar.partial"
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "facts.json", json.dumps({"build": kind, "run": facts}).encode())
        if (folder / "profile.json").is_file():
            add(tar, "profile.json", (folder / "profile.json").read_bytes())
        add_folder(tar, "artifacts", folder / "artifacts")
        # MLflow's Dockerfile has its own copy of the model.
        add_folder(tar, *(("context", folder / "context") if kind == "mlflow" else ("model", folder / "model")))
        if kind == "dockerfile":
            top = pathlib.Path(repository)
            for file in written(top, {folder, pathlib.Path(ours)}):
                add_file(tar, f"repository/{file.relative_to(top).as_posix()}", file)
    partial.rename(folder / "handed-over.tar")


def written(top: pathlib.Path, ours: set) -> Iterator[pathlib.Path]:
    """What of the repository is not as its commit has it: the training's doing, which the team's own Dockerfile may copy."""
    unchanged = listed(top) - listed(top, "--modified")
    for root, folders, names in os.walk(top):
        here = pathlib.Path(root)
        # Of no use on another machine: Python's caches, and virtual environments.
        folders[:] = sorted(
            name
            for name in folders
            if name not in (".git", "__pycache__")
            and here / name not in ours
            and not (here / name).is_symlink()
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (here / name for name in sorted(names) if (here / name).relative_to(top).as_posix() not in unchanged)


def listed(top: pathlib.Path, *which: str) -> set:
    done = subprocess.run(["git", "ls-files", "-z", *which], cwd=top, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"pack: {top} is no checkout of a repository: {done.stderr.decode(errors='replace').strip()}")
    return set(filter(None, os.fsdecode(done.stdout).split("\0")))


def add_folder(tar: tarfile.TarFile, name: str, folder: pathlib.Path) -> None:
    for root, _, names in os.walk(folder):
        for file in sorted(pathlib.Path(root) / name for name in names):
            add_file(tar, f"{name}/{file.relative_to(folder).as_posix()}", file)


def add_file(tar: tarfile.TarFile, name: str, file: pathlib.Path) -> None:
    if file.is_symlink() or not file.is_file():
        print(f"pack: left out, for it is a link or no file: {name!r}", file=sys.stderr)
        return
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = file.stat().st_size, 0o755 if os.access(file, os.X_OK) else 0o644
    with file.open("rb") as content:
        tar.addfile(entry, content)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
