"""Servers by other languages' own libraries, and two that wrap a model for people or for a graph."""

import shutil

from case import Exchange, Record, Server, rows, text

NEW, OLD = {"tenure": 3.0}, {"tenure": 20.5}
MANY, ONE = text({"customers": [NEW, OLD, NEW]}), text({"customers": [OLD]})


def batches(path, new="churn", old="stay", **more):
    return [
        Exchange("several rows", MANY, rows(new, old, new), path=path, **more),
        Exchange("one row", ONE, rows(old), path=path, **more),
    ]


def seldon(name, records):
    return Server(
        venv="seldon",
        command=["seldon-core-microservice", name, "--service-type", "MODEL", "--http-port", "{port}", "--single-threaded", "0"],
        packages=["seldon-core", "flask", "gunicorn"],
        records=records,
        ready="/health/ping",
        environment={"PYTHONPATH": "{here}/apps/seldon"},
    )


def arrays(new, old, **more):
    def ask(case, data, expect):
        return Exchange(case, text({"data": {"names": ["tenure", "charges"], "ndarray": data}}), expect, path="/predict")

    return [
        ask("several rows", [[3.0, 30.0], [20.0, 30.0], [3.0, 30.0]], rows(new, old, new)),
        ask("one row", [[20.0, 30.0]], rows(old)),
    ]


def gradio(path, new, old):
    def ask(case, tenure, expect):
        return Exchange(case, text({"data": [tenure]}), expect, path=f"/gradio_api/run/{path}")

    return [ask("a new customer", 3.0, rows(new)), ask("an old customer", 20.0, rows(old))]


COMPRESSED = {"Accept-Encoding": "gzip, deflate"}

SERVERS = [
    Server(
        venv="web",
        command=["python", "aiohttp_app.py", "{port}"],
        packages=["aiohttp"],
        records=[Record("aiohttp", "class", "JSON with a character set in its type", batches("/predict"))],
        ready="/health",
    ),
    seldon("Customers", [Record("seldon-labels", "class", "Seldon's wrapper: texts in an ndarray", arrays("churn", "stay"))]),
    seldon(
        "Probabilities",
        [
            Record(
                "seldon-probabilities",
                "probabilities",
                "A matrix, with the names of its columns",
                arrays("churn", "stay"),
                settings={"classes": ["stay", "churn"]},
            )
        ],
    ),
    seldon("Numbers", [Record("seldon-number", "number", "A flat ndarray of numbers", arrays(7.75, 50.25))]),
    Server(
        venv="gradio",
        command=["python", "gradio_app.py", "{port}"],
        packages=["gradio", "fastapi", "uvicorn"],
        records=[
            Record(
                "gradio-label",
                "class",
                "Gradio's Label: the likeliest, and a list of label and confidence",
                gradio("predict", "churn", "stay"),
                settings={"kind": "class", "path": "$.data[0].label"},
                by_itself=False,
            ),
            Record(
                "gradio-number",
                "number",
                "Gradio's Number: a list of one",
                gradio("value", 7.75, 50.25),
                settings={"kind": "number", "path": "$.data[0]"},
                by_itself=False,
            ),
        ],
        ready="/",
        environment={"HOME": "{folder}", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
    ),
]

# Where a language is missing, its recordings stay as they are.
if shutil.which("node"):
    SERVERS.append(
        Server(
            venv="",
            command=["node", "node_app.js", "{port}"],
            packages=["nodejs"],
            records=[
                Record("node-labels", "class", "Node's own server: no Content-Type", batches("/predict")),
                Record("node-number", "number", "Numbers as JavaScript prints them: 1.5 and 10.25", batches("/score", 1.5, 10.25)),
            ],
            ready="/",
        )
    )
if shutil.which("go"):
    SERVERS.append(
        Server(
            venv="",
            command=["go", "run", "go_app.go", "{port}"],
            packages=["golang"],
            records=[
                Record("go-labels", "class", "Go's net/http: JSON that is guessed to be text/plain", batches("/predict")),
                Record("go-number", "number", "Numbers as Go prints them", batches("/number", 1.5, 10.25)),
            ],
            ready="/health",
        )
    )
