"""The pages that Prometheus reads for many models: of each model's exporter, of the operator, of the kubelet."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import specs
from exposition import Sample, at, parts, samples
from prometheus import target

# How long everything has been counted when the measurement begins.
HISTORY = 3600


def model_labels(number):
    model = specs.name(number)
    return {
        "namespace": specs.NAMESPACE,
        "pod": f"{model}-6d5f8c9b7d-x7k2q",
        "container": "exporter",
        "service": f"{model}-metrics",
        "endpoint": "metrics",
        "instance": f"10.0.{number // 250}.{number % 250 + 1}:9801",
        "job": "ml_model_exporter",
        "model": model,
        "track": "stable",
    }


def apart(kind):
    """Labels of a page on which many models are: it has their namespaces itself."""
    return {"job": kind, "instance": kind}


def operator(number):
    """What the operator says of a model in which all is well."""
    model = f'model_namespace="{specs.NAMESPACE}",model="{specs.name(number)}"'
    conditions = {"Ready": 1, "Available": 1, "Progressing": 0, "ImageResolved": 1, "Stalled": 0, "MonitoringReady": 1}
    for condition, value in conditions.items():
        yield Sample("modelship_model_condition", f'{model},type="{condition}"', value, False)
    version = f'{model},track="stable",digest="0123456789ab",tag="latest"'
    yield Sample("modelship_model_version_info", version, 1, False)
    gauges = {
        "rollout_in_progress": 0,
        "rollout_failed": 0,
        "stable_since_timestamp_seconds": 1700000000,
        "replicas_wanted": 1,
        "replicas_available": 1,
        "restarts_total": 0,
        "cpu_limit_cores": 1,
        "memory_limit_bytes": 1 << 30,
    }
    for name, value in gauges.items():
        yield Sample(f"modelship_model_{name}", model, value, False)


def containers(number):
    """What the kubelet says of a model's container."""
    pod = model_labels(number)["pod"]
    labels = f'container="model",pod="{pod}",namespace="{specs.NAMESPACE}"'
    yield Sample("container_memory_working_set_bytes", labels, 300 << 20, False)
    yield Sample("container_cpu_usage_seconds_total", labels, 1234.5, True)
    yield Sample("container_cpu_cfs_periods_total", labels, 36000, True)
    yield Sample("container_cpu_cfs_throttled_periods_total", labels, 720, True)


class Pages:
    def __init__(self, exporter_page, count):
        """`exporter_page`: a real one; every model has it, and all that is counted on it grew evenly within HISTORY."""
        self.count, self.origin = count, time.time() - HISTORY
        self.parts = parts(exporter_page)
        self.exporter = samples(exporter_page)
        self.operator = [sample for number in range(count) for sample in operator(number)]
        self.containers = [sample for number in range(count) for sample in containers(number)]
        self.made = {}

    def share(self, when):
        return (when - self.origin) / HISTORY

    def line(self, sample, when):
        return f"{sample.name}{{{sample.labels}}} {at(sample, self.share(when))}"

    def page(self, path):
        """The same for all who ask within a second: making it should cost this machine little."""
        second = int(time.time())
        if self.made.get(path, (0, ""))[0] != second:
            found = {"/operator": self.operator, "/containers": self.containers}.get(path, self.parts)
            lines = [part if isinstance(part, str) else self.line(part, second) for part in found]
            self.made[path] = second, ("\n".join(lines) + "\n").encode()
        return self.made[path][1]

    def targets(self, address):
        models = [target(address, "/model", model_labels(number)) for number in range(self.count)]
        return models + [target(address, f"/{kind}", apart(kind)) for kind in ("operator", "containers")]

    def serve(self, port):
        pages = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                page = pages.page(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server
