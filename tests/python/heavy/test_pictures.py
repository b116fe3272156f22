"""A Keras picture classifier goes the whole way with real TensorFlow: its workflow trains, describes and builds; `mlflow models
serve` answers rows of 3 MB behind the exporter. `tests/run heavy` runs it. Figures are printed, one a line."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import time
import urllib.request

import modelship_profile
import numpy
import pytest
from actions import TOP
from conftest import Server, free_port
from PIL import Image
from test_walkthroughs import Team

NAME = "keras-pictures"
SIDE = 224
# In flight at once, as a page of thumbnails asks.
TOGETHER = 10
# Of the exporter's own memory, in bytes: what a pod requests for it (src/resources/exporter.rs).
MOST_MEMORY = 24 * 1024 * 1024
# Seconds for one request, of the server and of the exporter: on a busy machine ten rows of 3 MB take longer than their minute.
LONGEST = 300


def figure(name, value, unit):
    print(f"figure: {name}: {value:.1f} {unit}")


def stripes(kind, random):
    """As the walk-through's training draws them: 0 across, 1 down, 2 plain."""
    pixels = random.uniform(0.0, 0.4, (SIDE, SIDE, 3))
    line = 0.6 * ((numpy.arange(SIDE) // 6) % 2)
    return pixels + (line[:, None, None] if kind == 0 else line[None, :, None] if kind == 1 else 0.0)


def body(*kinds):
    """A request for rows of these kinds, as clients write it: floats in full length, 3 MB a row."""
    random = numpy.random.default_rng(20)
    return json.dumps({"instances": [stripes(kind, random).tolist() for kind in kinds]}).encode()


def post(address, content):
    connection = http.client.HTTPConnection(address, timeout=LONGEST)
    try:
        connection.request("POST", "/invocations", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def page(address):
    """The exporter's series at one moment."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = (line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


def comes_to(address, wanted):
    """Waits until the series have these values: counts come behind the answers."""
    deadline = time.monotonic() + 10
    while (found := {name: page(address).get(name) for name in wanted}) != wanted:
        if time.monotonic() > deadline:
            assert found == wanted
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, mlflow_server, registry, builder):
    """The team, after a push of its repository."""
    team = Team(NAME, tmp_path_factory.mktemp("pictures"), mlflow_server, registry, builder)
    dockerfile = team.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("docker.io/library/python:3.11-slim", team.base))
    began = time.monotonic()
    team.push()
    figure("from a commit to its image, packages installed", time.monotonic() - began, "s")
    return team


@pytest.fixture(scope="module")
def served(shipped, tmp_path_factory):
    """Addresses of the model's server, of the exporter before it, and of the exporter's page."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    _, config = shipped.registry.image(shipped.image, "latest")
    # The image's own command, but on loopback, and where the workflow has put the model that it copied.
    command = [{"0.0.0.0": "127.0.0.1", "5000": str(port)}.get(word, word) for word in config["Cmd"]]
    command[command.index("model")] = str(shipped.tmp_path / "runner/publish/runner/modelship/model")
    began = time.monotonic()
    limit = {"MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(LONGEST)}
    server = Server(command, f"http://127.0.0.1:{port}/ping", folder / "server.log", **limit)
    figure("start of the server until it answers /ping", time.monotonic() - began, "s")
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "modelship-exporter"], cwd=TOP, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    own = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    exporter = Server(
        [
            str(target / "debug/modelship-exporter"),
            f"--upstream=127.0.0.1:{port}",
            "--health-path=/ping",
            f"--timeout={LONGEST}s",
            f"--settings={folder}",
            f"--profile={shipped.labels()['dev.modelship.profile']}",
            *(f"--{name}={at}" for name, at in zip(("listen", "metrics-listen", "probes-listen"), own)),
        ],
        f"http://{own[1]}/metrics",
        folder / "exporter.log",
    )
    yield f"127.0.0.1:{port}", own[0], own[1]
    exporter.stop()
    server.stop()


def test_autolog_and_one_line_tell_the_classes_of_a_network_by_their_position(shipped):
    profile = shipped.profile()
    assert profile["kind"] == "probabilities"
    assert [one["name"] for one in profile["classes"]] == ["across", "down", "plain"]
    assert set(profile["reference"]["classes"]) == {"across", "down", "plain"}
    assert sum(profile["reference"]["classes"].values()) == profile["rows"]
    assert profile["metrics"]["f1_score"] > 0.9 and profile["metrics"]["accuracy"] > 0.9
    # A row of 3 MB is no label: clients bring their own.
    assert "example" not in profile and "dropped" not in profile
    _, config = shipped.registry.image(shipped.image, shipped.job.commit)
    assert config["User"] == "10001" and config["Cmd"][:3] == ["mlflow", "models", "serve"]


def test_rows_of_three_megabytes_are_answered_as_without_the_exporter_and_counted_by_class(served):
    direct, exporter, metrics = served
    one, two = body(1), body(0, 2)
    assert len(one) > 3_000_000 and len(two) > 6_000_000
    for content in (one, two):
        status, answer = post(direct, content)
        assert status == 200, answer[:500]
        assert post(exporter, content) == (status, answer)
    wanted = {
        'model_predictions_total{class="across"}': 1,
        'model_predictions_total{class="down"}': 1,
        'model_predictions_total{class="plain"}': 1,
        'model_predictions_total{class="__other__"}': 0,
        "model_prediction_top_probability_count": 3,
        "model_rows_per_request_count": 2,
        "model_rows_per_request_sum": 3,
        'model_rows_per_request_bucket{le="1"}': 1,
        "http_request_size_bytes_sum": len(one) + len(two),
        'http_request_size_bytes_bucket{le="1000000"}': 0,
        'http_request_size_bytes_bucket{le="10000000"}': 2,
    }
    comes_to(metrics, wanted)


def test_ten_such_requests_at_once_cost_the_exporter_little_memory_and_the_client_little_time(served):
    direct, exporter, metrics = served
    content = body(1)
    idle = page(metrics)["modelship_exporter_resident_memory_bytes"]
    figure("the exporter's memory at rest", idle / 2**20, "MiB")

    def seconds(address):
        began = time.monotonic()
        status, answer = post(address, content)
        assert status == 200, answer[:500]
        return time.monotonic() - began

    alternately = [(seconds(direct), seconds(exporter)) for _ in range(8)]
    alone, behind = (statistics.median(times) for times in zip(*alternately))
    figure("one row, directly", alone * 1000, "ms")
    figure("one row, through the exporter", behind * 1000, "ms")
    most = 0.0
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        asked = [pool.submit(seconds, exporter) for _ in range(2 * TOGETHER)]
        while not all(one.done() for one in asked):
            most = max(most, page(metrics)["modelship_exporter_resident_memory_bytes"])
        times = [one.result() for one in asked]
    figure(f"one row, through the exporter, {TOGETHER} at once", statistics.median(times) * 1000, "ms")
    figure(f"the exporter's most memory, {TOGETHER} such requests at once", most / 2**20, "MiB")
    assert most < MOST_MEMORY
    # Parsing such a row takes the server tenths of a second; passing it on takes some thousandths.
    assert behind < alone * 1.5 + 0.2


def test_a_loader_of_keras_is_asked_for_its_pictures_once_and_its_class_indices_name_positions(tmp_path):
    # Here, since they take seconds to import.
    import keras
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    for name in ("dogs", "cats"):
        (tmp_path / name).mkdir()
        for at in range(3):
            Image.new("RGB", (16, 16), (80 * at, 0, 0)).save(tmp_path / name / f"{at}.png")
    network = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    loader = ImageDataGenerator().flow_from_directory(tmp_path, target_size=(16, 16), batch_size=2, shuffle=False)
    profile = modelship_profile.build(network, loader, classes=loader.class_indices)
    assert [one["name"] for one in profile["classes"]] == ["cats", "dogs"]
    assert profile["kind"] == "probabilities" and profile["rows"] == 6 and "features" not in profile
