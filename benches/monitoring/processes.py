"""Programs that are measured: each on the loopback, ended by its process id, and never longer there than this one."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.request


def free_ports(count):
    """Below those that the machine gives to clients, so that none of them takes one in between."""
    found = []
    for port in range(18600, 18700):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("ports 18600 to 18699 are all taken")


@contextlib.contextmanager
def running(command, log):
    with open(log, "ab") as output:
        # Should this process be killed, the kernel kills the other one.
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(process):
    """User and system time of all its threads so far."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def get(url, body=None):
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=30) as answer:
        return answer.read().decode()


def wait_for(what, condition, seconds=60, every=0.2):
    """The condition's first true value. An error of the network counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if value := condition():
                return value
        time.sleep(every)
    raise SystemExit(f"after {seconds} s still not: {what}")
