"""A lean image of a saved MLflow model, as a folder to build from: recipe.py MODEL_FOLDER CONTEXT.

Python's slim image of the model's own version, what the model requires, the model, and MLflow's scoring server on port
8080: no nginx, and not as root.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import sys
from typing import Optional

# From here on the scoring server is FastAPI's.
FASTAPI = (2, 21)
FIRST = (1, 20)


def main(model: str, context: str) -> None:
    folder, target = pathlib.Path(model), pathlib.Path(context)
    target.mkdir(parents=True)
    shutil.copytree(folder, target / "model")
    version = mlflow_version(folder)
    (target / "requirements.txt").write_text(requirements(folder, version), encoding="utf-8")
    base = os.environ.get("MODEL_BASE_IMAGE") or f"docker.io/library/python:{python_version(folder)}-slim"
    install = os.environ.get("MODEL_INSTALL", "") != "none"
    (target / "Dockerfile").write_text(dockerfile(base, version, install), encoding="utf-8")


def dockerfile(base: str, version: tuple, install: bool) -> str:
    lines = [f"FROM {base}"]
    if install:
        lines += [
            "COPY requirements.txt /opt/requirements.txt",
            "RUN pip install --no-cache-dir --disable-pip-version-check --requirement /opt/requirements.txt",
        ]
    lines += [
        "COPY model /opt/model",
        # HOME: libraries that keep caches need a place that any user may write to.
        "ENV __pyfunc_model_path__=/opt/model PYTHONUNBUFFERED=1 GIT_PYTHON_REFRESH=quiet HOME=/tmp",
        # By number, so that Kubernetes sees that it is not root.
        "USER 10001:10001",
        "EXPOSE 8080",
        # In place of the shell, so that it is the server that is told to end.
        f'CMD ["sh", "-c", "exec {server(version)}"]',
    ]
    return "\n".join(lines) + "\n"


def server(version: tuple) -> str:
    workers = "${MLFLOW_MODELS_WORKERS:-1}"
    if version >= FASTAPI:
        return f"python3 -m uvicorn mlflow.pyfunc.scoring_server.app:app --host 0.0.0.0 --port 8080 --workers {workers}"
    return f"gunicorn --bind 0.0.0.0:8080 --workers {workers} mlflow.pyfunc.scoring_server.wsgi:app"


def field(folder: pathlib.Path, name: str, pattern: str) -> Optional[str]:
    """One field of a flat YAML file of MLflow's."""
    file = folder / name
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE) if file.is_file() else None
    return found[1] if found else None


def mlflow_version(folder: pathlib.Path) -> tuple:
    text = field(folder, "MLmodel", r"^mlflow_version:\s*['\"]?(\d+\.\d+)")
    version = tuple(map(int, text.split("."))) if text else (0, 0)
    if version < FIRST:
        sys.exit("build: the model was saved by an MLflow before 1.20, or does not say by which: use your own Dockerfile")
    return version


def python_version(folder: pathlib.Path) -> str:
    text = field(folder, "python_env.yaml", r"^python:\s*['\"]?(\d+\.\d+)") or field(
        folder, "conda.yaml", r"python=+(\d+\.\d+)"
    )
    if not text and not os.environ.get("MODEL_BASE_IMAGE"):
        sys.exit("build: the model does not say for which Python it is: name an image of it in base-image")
    return text or ""


def requirements(folder: pathlib.Path, version: tuple) -> str:
    file = folder / "requirements.txt"
    text = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if re.search(r"^mlflow(-skinny)?\s*([=<>~!\[].*)?$", text, re.MULTILINE | re.IGNORECASE) is None:
        # The server of the version that saved the model reads it.
        text = f"mlflow=={version[0]}.{version[1]}.*\n{text}"
    return text.strip() + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
