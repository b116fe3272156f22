"""Bytes of the objects that watch a model."""

import json

import modelship
import specs
from table import head, method, row, title

KINDS = ["ServiceMonitor", "PrometheusRule", "dashboard ConfigMap", "AlertmanagerConfig"]


def kind(child):
    dashboard = child["kind"] == "ConfigMap" and child["metadata"]["name"].endswith("-dashboard")
    return "dashboard ConfigMap" if dashboard else child["kind"]


def measure():
    title("Bytes of the bundle of one model")
    method(
        """What `modelship render` shows of each kind, as compact JSON in UTF-8: the objects without what only a cluster
        adds (uid, owner reference, managed fields). The sum of all objects of the kind."""
    )
    head(specs.SPECS)
    bundles = [modelship.children(specs.deployments(spec, 1)[0]) for spec in specs.SPECS.values()]
    sums = [0] * len(bundles)
    for wanted in KINDS:
        sizes = [sum(size(child) for child in bundle if kind(child) == wanted) for bundle in bundles]
        sums = [total + size for total, size in zip(sums, sizes)]
        row(wanted, sizes)
    row("all", sums)


def size(child):
    return len(json.dumps(child, separators=(",", ":"), ensure_ascii=False).encode())
