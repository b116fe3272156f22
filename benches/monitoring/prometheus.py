"""A real Prometheus with a temporary data directory."""

import contextlib
import json
import re
import urllib.parse
from pathlib import Path

from processes import get, running, wait_for

GROUP = re.compile(r'prometheus_rule_group_(\w+)\{rule_group="([^"]*)"\} (\S+)')


def target(address, path, labels):
    # With these labels prometheus-operator would have it; __metrics_path__ is where the page is.
    return {"targets": [address], "labels": {"__metrics_path__": path} | labels}


class Prometheus:
    def __init__(self, folder, port, interval):
        self.folder, self.interval = Path(folder), interval
        self.url, self.address = f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"
        self.data = self.folder / "data"
        self.file = self.folder / "prometheus.yml"
        self.folder.mkdir(parents=True)

    def configure(self, targets, rules=None):
        every = f"{self.interval}s"
        self.file.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
                    "rule_files": [str(rules)] if rules else [],
                    "scrape_configs": [{"job_name": "models", "static_configs": targets}],
                }
            )
        )

    @contextlib.contextmanager
    def running(self):
        command = ["prometheus", f"--config.file={self.file}", f"--storage.tsdb.path={self.data}"]
        command += [f"--web.listen-address={self.address}", "--web.enable-lifecycle", "--log.level=warn"]
        with running(command, self.folder / "log") as self.process:
            wait_for("Prometheus is ready", lambda: get(f"{self.url}/-/ready"))
            yield self

    def reload(self):
        get(f"{self.url}/-/reload", b"")

    def query(self, expression):
        """Of each series of the answer: labels and value."""
        answer = json.loads(get(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def number(self, expression):
        return sum(value for _, value in self.query(expression))

    def own(self):
        """Its own metrics page."""
        return get(f"{self.url}/metrics")


def groups(page, figure):
    """A figure of every rule group, such as iterations_total."""
    return {group: float(value) for name, group, value in GROUP.findall(page) if name == figure}


def figure(page, name):
    """The sum of a figure over all its labels."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", page, re.M))
