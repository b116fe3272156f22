"""Real servers on loopback, started for the tests and ended with them: MLflow with passwords, and a registry."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

USER, PASSWORD = "alice", "open-sesame-for-mlflow"
REGISTRY_PASSWORD = "open-sesame"
# bcrypt of REGISTRY_PASSWORD, which the registry insists on.
REGISTRY_HASH = "$2b$04$QB/Z.mYHtDp94jMMrHU5v.dorLrD//xDHFFhtgGK8nM1Qt/REK8CW"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A process that answers at an address, in a group of its own that ends with it."""

    def __init__(self, command, url, log, **environment):
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=log.parent,
                env={**os.environ, **environment},
            )
        deadline = time.monotonic() + 120
        while not answers(url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"{command[0]} does not answer at {url}:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=20)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        # It is there, and wants a password.
        return error.code == 401
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """The address of a tracking server that wants a user and a password, as DagsHub does."""
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    server = Server(
        command,
        f"http://127.0.0.1:{port}/health",
        folder / "server.log",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of the tests",
        # Seven more processes, for evaluations that no test asks for.
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )
    yield f"http://127.0.0.1:{port}"
    server.stop()


class Registry:
    """What a cluster would see of a registry."""

    def __init__(self, host):
        self.host = host

    def get(self, path, accept="*/*"):
        token = base64.b64encode(f"{USER}:{REGISTRY_PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"http://{self.host}/v2/{path}", headers={"Accept": accept, "Authorization": f"Basic {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer), answer.headers

    def tags(self, name):
        try:
            return sorted(self.get(f"{name}/tags/list")[0]["tags"])
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return []

    def image(self, name, tag):
        """The digest of a tag, and its image's config."""
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        manifest, headers = self.get(f"{name}/manifests/{tag}", kinds)
        config, _ = self.get(f"{name}/blobs/{manifest['config']['digest']}")
        return headers["Docker-Content-Digest"], config["config"]


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """A registry that wants a user and a password."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    host = f"127.0.0.1:{free_port()}"
    (folder / "htpasswd").write_text(f"{USER}:{REGISTRY_HASH}\n")
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {folder}/data}}\nhttp: {{addr: '{host}'}}\n"
        f"auth:\n  htpasswd: {{realm: test, path: {folder}/htpasswd}}\n"
    )
    server = Server([program, "serve", str(folder / "config.yml")], f"http://{host}/v2/", folder / "registry.log")
    yield Registry(host)
    server.stop()


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    """Environment for building images by buildah with a storage of its own, and a base that stands in for Python's: it has a
    shell, and programs that install nothing."""
    busybox = shutil.which("busybox")
    if shutil.which("buildah") is None or busybox is None or os.geteuid() != 0:
        pytest.skip("building images here needs root, buildah and busybox-static")
    folder = tmp_path_factory.mktemp("builder")
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    environment = {
        "MODEL_BUILDER": "buildah",
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
        "TMPDIR": str(folder),
    }
    context = folder / "base"
    context.mkdir()
    (context / "bin").mkdir()
    (context / "apt.conf.d").mkdir()
    (context / "apt.conf.d/none").write_text("")
    shutil.copy(busybox, context / "bin/sh")
    # What the Dockerfiles of teams and of MLflow call.
    for program in ("pip", "python", "apt-get", "chmod", "rm"):
        (context / "bin" / program).write_text("#!/bin/sh\nexit 0\n")
        (context / "bin" / program).chmod(0o755)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY bin /bin\nCOPY apt.conf.d /etc/apt/apt.conf.d\nENV PATH=/bin\n")
    base = "localhost/base:test"
    subprocess.run(
        ["buildah", "bud", "--quiet", "--tag", base, str(context)],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    yield environment, base
    subprocess.run(["buildah", "rm", "--all"], capture_output=True, env={**os.environ, **environment})
    shutil.rmtree(folder, ignore_errors=True)
