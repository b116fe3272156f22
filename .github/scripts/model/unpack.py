"""Unpacks what another job has handed over, and believes nothing of it: unpack.py FILE OUT REPOSITORY. See the script unpack.

Only plain files in known folders are taken, each by a plain path, through no link, all of them bounded.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

FOLDERS = ("artifacts", "context", "model", "repository")
# Bytes that are read as a whole.
FILES = {"facts.json": 4 << 20, "profile.json": 4 << 20}
# A runner has some 14 GB of room.
MOST_BYTES = 12 << 30
MOST_FILES = 200_000
KINDS = ("mlflow", "dockerfile", "recipe")
# Ids of runs and versions become labels, tags and words of a table.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def fail(sentence: str) -> None:
    sys.exit(f"unpack: {sentence}; the job that trained has written it, or something in its place: nothing was taken over")


def main(file: str, out: str, repository: str) -> None:
    source, folder = pathlib.Path(file), pathlib.Path(out)
    if source.is_symlink() or not source.is_file():
        fail(f"there is no file {source.name} in what was downloaded")
    try:
        with tarfile.open(source, "r:") as tar:
            files = members(tar)
            found = facts(read(tar, files, "facts.json") or b"")
            if found["build"] == "dockerfile":
                check_out(pathlib.Path(repository), folder / "repository")
            for name, member in files.items():
                if name not in FILES:
                    write(tar, member, folder, name)
            profile = read(tar, files, "profile.json")
    except (tarfile.TarError, EOFError) as error:
        fail(f"{source.name} is no archive that can be read ({error})")
    (folder / "artifacts").mkdir(exist_ok=True)
    if profile is not None:
        (folder / "profile.json").write_bytes(profile)
    (folder / "run.json").write_text(json.dumps(found["run"], indent=2) + "\n", encoding="utf-8")
    taken = folder / "taken"
    taken.mkdir(exist_ok=True)
    for name, value in (("build", found["build"]), ("run-id", found["run"]["run_id"]), ("model-version", found["run"]["model_version"])):
        (taken / name).write_text(value or "", encoding="utf-8")


def members(tar: tarfile.TarFile) -> dict:
    """The files by name, none of them read yet."""
    files, bytes_ = {}, 0
    for member in tar:
        name = member.name
        parts = name.split("/")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
            fail(f"{name!r} is no plain file")
        if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or not name.isprintable():
            fail(f"{name!r} is no path that files are taken over by")
        if name not in FILES and (len(parts) == 1 or parts[0] not in FOLDERS):
            fail(f"{name!r} is in none of the folders {', '.join(FOLDERS)}")
        if name in files:
            fail(f"{name!r} is there twice")
        bytes_ += member.size
        files[name] = member
        if bytes_ > MOST_BYTES or len(files) > MOST_FILES:
            fail(f"there is more than {MOST_BYTES >> 30} GiB, or more than {MOST_FILES} files")
    return files


def read(tar: tarfile.TarFile, files: dict, name: str) -> bytes | None:
    member = files.get(name)
    if member is None:
        return None
    if member.size > FILES[name]:
        fail(f"{name} has {member.size} bytes, and at most {FILES[name]} are read")
    return tar.extractfile(member).read()


def facts(content: bytes) -> dict:
    """What is known of the run, each field as it may be."""
    try:
        found = json.loads(content)
        run, build = found["run"], found["build"]
        metrics = {str(name): float(value) for name, value in run["metrics"].items()}
        kept = {name: run[name] for name in ("run_id", "model_version", "tracking_uri")}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fail(f"facts.json says nothing of a run ({type(error).__name__})")
    if build not in KINDS:
        fail(f"facts.json says to build by {build!r}")
    for name in ("run_id", "model_version"):
        kept[name] = None if kept[name] is None else str(kept[name])
        if kept[name] is not None and not PLAIN.fullmatch(kept[name]):
            fail(f"facts.json has a {name} that is none: {kept[name][:100]!r}")
    uri = kept["tracking_uri"]
    if uri is not None and not (isinstance(uri, str) and uri.isprintable() and len(uri) <= 1024):
        fail("facts.json has a tracking_uri that is none")
    return {"build": build, "run": {**kept, "metrics": {name: value for name, value in metrics.items() if not math.isnan(value)}}}


def check_out(repository: pathlib.Path, target: pathlib.Path) -> None:
    """The commit's own files, apart from the checkout, in which git works with a token later."""
    target.mkdir()
    done = subprocess.run(
        ["git", "checkout-index", "--all", f"--prefix={target}/"], cwd=repository, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"unpack: the commit's files cannot be laid out: {done.stderr.strip()}")


def write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: pathlib.Path, name: str) -> None:
    parts = name.split("/")
    here = folder
    for part in parts[:-1]:
        here /= part
        # The commit may hold links, which lead wherever they like.
        if here.is_symlink():
            fail(f"{name!r} lies behind a link")
        if here.exists() and not here.is_dir():
            here.unlink()
        here.mkdir(exist_ok=True)
    target = here / parts[-1]
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    mode = 0o755 if member.mode & 0o100 else 0o644
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as written:
        shutil.copyfileobj(tar.extractfile(member), written)
    target.chmod(mode)


if __name__ == "__main__":
    main(*sys.argv[1:])
