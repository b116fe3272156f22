"""Starts real model servers on loopback, asks them what is in cases/, and writes what they answer.

    record.py ENVIRONMENTS OUTPUT [--check] [NAME…]

ENVIRONMENTS is the folder of the virtual environments, one for each file in requirements/. With --check nothing is
written: the answers are compared with those in OUTPUT by shape (status, type, coding, and the structure of the JSON).
NAMEs are those of records; without any, all are recorded.
"""

import argparse
import base64
import gzip
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).absolute().parent
# A server that has to load its libraries on a busy machine.
STARTS_WITHIN = 180
ANSWERS_WITHIN = 60


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def versions(python, packages):
    script = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    return json.loads(subprocess.run([python, "-c", script, *packages], check=True, capture_output=True, text=True).stdout)


class Running:
    """A server in a process group of its own, with the ports of its models."""

    def __init__(self, server, environments, folder, names):
        self.log = Path(folder, "log").open("w+b")
        binaries = Path(environments, server.venv, "bin").absolute() if server.venv else None
        port = free_port()
        words = {"port": port, "folder": folder, "here": HERE}
        command = [word.format(**words) for word in server.command]
        if binaries:
            command[0] = str(binaries / command[0])
        if not server.ready:
            command += names
        environment = {**os.environ, **{key: value.format(**words) for key, value in server.environment.items()}}
        if binaries:
            environment["PATH"] = f"{binaries}:{environment['PATH']}"
        self.process = subprocess.Popen(
            command,
            cwd=HERE / "apps",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if not server.ready else self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.ports = {}
        if server.ready:
            self.ports = dict.fromkeys(names, port)
            self.wait(port, server.ready)
        else:
            self.announced()

    def announced(self):
        for line in self.process.stdout:
            name, _, rest = line.decode().strip().partition(" ")
            if name == "ready":
                return
            if rest.isdecimal():
                self.ports[name] = int(rest)
            else:
                print(f"  {name} {rest}", file=sys.stderr)
        raise SystemExit(f"the server ended before it was ready:\n{self.said()}")

    def wait(self, port, path):
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended before it answered:\n{self.said()}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status < 500:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"no answer on {path} within {STARTS_WITHIN} s:\n{self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-3000:]

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        self.log.close()


def bytes_as_text(name, content):
    """As text where that loses nothing."""
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def ask(port, exchange, places):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERS_WITHIN)
    body = exchange.body.encode() if isinstance(exchange.body, str) else exchange.body
    headers = dict(exchange.headers)
    if exchange.content_type:
        headers["Content-Type"] = exchange.content_type
    connection.putrequest(exchange.method, exchange.path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    for here, told in places.items():
        content = content.replace(here.encode(), told.encode())
    return {
        "case": exchange.case,
        "method": exchange.method,
        "path": exchange.path,
        "request_content_type": exchange.content_type,
        **bytes_as_text("request", body or b""),
        "status": answer.status,
        "response_content_type": answer.getheader("Content-Type"),
        "response_content_encoding": answer.getheader("Content-Encoding"),
        **bytes_as_text("response", content),
        "expect": exchange.expect,
    }


def record(server, environments, names):
    wanted = [one for one in server.records if not names or one.name in names]
    if not wanted:
        return
    python = str(Path(environments, server.venv, "bin", "python")) if server.venv else sys.executable
    found = versions(python, server.packages) if server.venv else server_versions(server)
    with tempfile.TemporaryDirectory() as folder:
        print(f"{server.venv or server.command[0]}: {len(wanted)} records", file=sys.stderr)
        # Stack traces name the files of whoever records.
        places = {str(Path(environments).absolute()): "/opt/environments", folder: "/srv/model", str(HERE): "/srv"}
        running = Running(server, environments, folder, [one.name for one in wanted])
        try:
            for one in wanted:
                if one.name not in running.ports:
                    raise SystemExit(f"{one.name} was not served:\n{running.said()}")
                exchanges = [ask(running.ports[one.name], exchange, places) for exchange in one.exchanges]
                yield {
                    "name": one.name,
                    "note": one.note,
                    "recorded": True,
                    "versions": found,
                    "kind": one.kind,
                    "by_itself": one.by_itself,
                    "settings": one.settings,
                    "exchanges": exchanges,
                }
        finally:
            running.stop()


def server_versions(server):
    """Of Debian packages."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *server.packages], capture_output=True, text=True)
    return dict(line.split(" ", 1) for line in query.stdout.splitlines())


def shape(value):
    """The structure of a JSON value: what its lists and objects hold, without the values."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            different = []
            for inner in map(shape, value):
                if inner not in different:
                    different.append(inner)
            return different
        case bool() | None:
            return type(value).__name__
        case int() | float():
            # Servers print 1.0 as 1, or do not: that is part of the shape. The sign and the digits are not.
            return type(value).__name__
        case _:
            return "str"


def answer_shape(exchange):
    content = exchange.get("response", "").encode() or base64.b64decode(exchange.get("response_base64", ""))
    if exchange["response_content_encoding"] == "gzip":
        content = gzip.decompress(content)
    try:
        body = shape(json.loads(content))
    except ValueError:
        body = "text"
    if exchange["status"] >= 400:
        # Messages of errors change with every version: whose fault they are told to be does not.
        body = sorted(body) if isinstance(body, dict) else body
    kept = ("status", "response_content_type", "response_content_encoding")
    return {**{key: exchange[key] for key in kept}, "body": body}


def differences(before, after):
    for one in after:
        old = before.get(one["name"])
        if old is None:
            yield f"{one['name']}: it is not among the recordings"
            continue
        cases = {exchange["case"]: exchange for exchange in old["exchanges"]}
        for exchange in one["exchanges"]:
            was = cases.get(exchange["case"])
            was, now = was and answer_shape(was), answer_shape(exchange)
            if was != now:
                yield f"{one['name']}, {exchange['case']}:\n    recorded {json.dumps(was)}\n    now      {json.dumps(now)}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("environments")
    arguments.add_argument("output", type=Path)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("names", nargs="*")
    given = arguments.parse_args()
    modules = [importlib.import_module(f"cases.{path.stem}") for path in sorted((HERE / "cases").glob("*.py"))]
    servers = [server for module in modules for server in module.SERVERS]
    order = [one.name for server in servers for one in server.records]
    unknown = set(given.names) - set(order)
    if unknown:
        raise SystemExit(f"no such record: {', '.join(sorted(unknown))}; there are {', '.join(order)}")
    recorded = [one for server in servers for one in record(server, given.environments, given.names)]
    before = {one["name"]: one for one in json.loads(given.output.read_text())["records"]} if given.output.exists() else {}
    if given.check:
        different = list(differences(before, recorded))
        print("\n".join(different))
        print(f"{len(recorded) - len(different)} records as they were, {len(different)} differences")
        raise SystemExit(1 if different else 0)
    known = {**before, **{one["name"]: one for one in recorded}}
    # Those of servers that are not installed here stay as they are.
    records = [known.pop(name) for name in order if name in known] + list(known.values())
    about = (
        "Answers of real model servers and MLflow flavours, recorded by tests/servers/record/run. `predictions` are what the "
        "model predicted for each row, in order, written by hand; those with `recorded: false` could not be installed and "
        "are written from their documentation."
    )
    given.output.write_text(json.dumps({"about": about, "records": records}, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(recorded)} recorded, {len(records)} in {given.output}", file=sys.stderr)


main()
