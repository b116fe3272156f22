"""Servers that are made for models: BentoML, LitServe, KServe, MLServer, vetiver."""

from case import Exchange, Record, Server, rows, text

ACCEPTS = {"Accept-Encoding": "gzip, deflate"}


def at(path, case, body, expect, **more):
    return Exchange(case, text(body), expect, path=path, **more)


def tenures(path, new, old):
    return [
        at(path, "several rows", {"tenures": [3.0, 20.0, 5.0]}, rows(new, old, new)),
        at(path, "one row", {"tenures": [20.0]}, rows(old)),
    ]


def tenure(path, new, old):
    return [at(path, "a new customer", {"tenure": 3.0}, rows(new)), at(path, "an old customer", {"tenure": 20.0}, rows(old))]


BENTO = [
    Record("bentoml-text", "class", "A method that returns str: text/plain", tenure("/text", "churn", "stay")),
    Record("bentoml-list", "class", "list[str]", tenures("/labels", "churn", "stay")),
    Record("bentoml-number", "number", "float", tenure("/number", 7.75, 50.25)),
    Record("bentoml-array", "class", "An array of whole numbers", tenures("/array", "1", "0")),
    Record("bentoml-probabilities", "probabilities", "An array of rows of two probabilities", tenures("/probabilities", "1", "0")),
    Record("bentoml-frame", "class", "A frame with a label and a score", tenures("/frame", "churn", "stay")),
    Record("bentoml-object", "class", "dict", tenure("/record", "churn", "stay")),
    Record(
        "bentoml-raises",
        "class",
        "A method that raises, and validation",
        tenure("/raises", "churn", "stay")
        + [
            at("/raises", "an exception", {"tenure": 0.0}, {"blame": "model"}),
            at("/raises", "a text for a number", {"tenure": "three"}, {"blame": "client"}),
            at("/raises", "a missing field", {}, {"blame": "client"}),
        ],
    ),
]


def litserve(kind, records):
    return Server(
        venv="litserve",
        command=["python", "litserve_app.py", kind, "{port}"],
        packages=["litserve", "fastapi", "uvicorn"],
        records=records,
        ready="/health",
    )


def one_input(case, value, expect):
    return at("/predict", case, {"input": value}, expect)


LITSERVE = [
    litserve(
        "class",
        [
            Record(
                "litserve-class",
                "class",
                'The answer of its example, {"output": 0}, of a classifier',
                [
                    one_input("a new customer", 3.0, rows("1")),
                    one_input("an old customer", 20.0, rows("0")),
                    one_input("an exception", 0.0, {"blame": "model"}),
                ],
            )
        ],
    ),
    litserve(
        "number",
        [
            Record(
                "litserve-number",
                "number",
                "The same of a regressor, whose numbers are whole for some",
                [one_input("a whole one", 4.0, rows(10.0)), one_input("a broken one", 3.0, rows(7.5))],
            )
        ],
    ),
]


def instances(model, *expect):
    path = f"/v1/models/{model}:predict"
    new, old = {"tenure": 3.0}, {"tenure": 20.0}
    return [
        at(path, "several rows", {"instances": [new, old, new]}, rows(expect[0], expect[1], expect[0])),
        at(path, "one row", {"instances": [old]}, rows(expect[1])),
    ]


KSERVE = [
    Record(
        "kserve-v1",
        "class",
        "KServe's SDK, v1",
        instances("wrapped", "churn", "stay")
        + [
            at("/v1/models/wrapped:predict", "no instances, which this model does not look for", {"rows": []}, {"blame": "model"}),
            at("/v1/models/wrapped:predict", "a row that the model raises for", {"instances": [{}]}, {"blame": "model"}),
            Exchange("no JSON", "{", {"blame": "client"}, path="/v1/models/wrapped:predict"),
            at("/v1/models/other:predict", "another model", {"instances": []}, {"blame": "client"}),
        ],
    ),
    Record("kserve-v1-bare", "class", "A model that returns a list: it is passed on as it is", instances("bare", "churn", "stay")),
    Record("kserve-v1-number", "number", "A regressor", instances("numbers", 3.5, 20.5)),
    Record(
        "kserve-v2",
        "class",
        "The open inference protocol",
        [
            at(
                "/v2/models/wrapped/infer",
                case,
                {"inputs": [{"name": "tenure", "shape": [len(data)], "datatype": "FP64", "data": data}]},
                expect,
            )
            for case, data, expect in (
                ("several rows", [3.0, 20.0, 5.0], rows("churn", "stay", "churn")),
                ("one row", [20.0], rows("stay")),
            )
        ],
    ),
]


def infer(case, data, expect, outputs=(), **more):
    body = {"id": "1", "inputs": [{"name": "tenure", "shape": [len(data), 1], "datatype": "FP64", "data": data}]}
    if outputs:
        body["outputs"] = [{"name": name} for name in outputs]
    return at("/v2/models/customers/infer", case, body, expect, **more)


THREE = [3.0, 20.0, 5.0]
MLSERVER = [
    Record(
        "mlserver-labels",
        "class",
        "Compressed above 500 bytes, for who accepts it",
        [
            infer("several rows", THREE, rows("churn", "stay", "churn"), headers=ACCEPTS),
            infer("one row", [20.0], rows("stay"), headers=ACCEPTS),
            infer("300 rows", THREE * 100, rows("churn", "stay", "churn", times=100), headers=ACCEPTS),
            infer("300 rows for who accepts no coding", THREE * 100, rows("churn", "stay", "churn", times=100)),
        ],
    ),
    Record(
        "mlserver-probabilities",
        "probabilities",
        "A matrix in one flat list, with its shape",
        [
            infer("several rows", THREE, rows("churn", "stay", "churn"), ["predict_proba"]),
            infer("one row", [20.0], rows("stay"), ["predict_proba"]),
        ],
        settings={"classes": ["churn", "stay"]},
    ),
    Record(
        "mlserver-number",
        "number",
        "Numbers",
        [
            infer("several rows", [3.0, 20.5, 5.0], rows(7.5, 51.25, 12.5), ["value"]),
            infer("one row", [20.5], rows(51.25), ["value"]),
        ],
    ),
    Record(
        "mlserver-two-outputs",
        "class",
        "Labels first, their probabilities as a second output",
        [
            infer("several rows", THREE, rows("churn", "stay", "churn"), ["predict", "predict_proba"]),
            infer("one row", [20.0], rows("stay"), ["predict", "predict_proba"]),
        ],
    ),
    Record(
        "mlserver-raises",
        "class",
        "A model that raises, and validation",
        [
            infer("several rows", THREE, rows("churn", "stay", "churn")),
            infer("one row", [20.0], rows("stay")),
            infer("an exception", [0.0], {"blame": "model"}),
            at("/v2/models/customers/infer", "no inputs", {"rows": []}, {"blame": "client"}),
            Exchange("no JSON", "{", {"blame": "client"}, path="/v2/models/customers/infer"),
            at("/v2/models/other/infer", "another model", {"inputs": []}, {"blame": "client"}),
        ],
    ),
]


def vetiver(kind, records):
    return Server(
        venv="vetiver",
        command=["python", "vetiver_app.py", kind, "{port}"],
        packages=["vetiver", "fastapi", "uvicorn", "scikit-learn"],
        records=records,
        ready="/ping",
    )


def customers(new, old):
    one, other = {"tenure": 3.0, "charges": 30.0}, {"tenure": 20.0, "charges": 30.0}
    return [
        at("/predict", "several rows", [one, other, one], rows(new, old, new)),
        at("/predict", "one row", [other], rows(old)),
        at("/predict", "a missing column", [{"tenure": 3.0}], {"blame": "client"}),
    ]


SERVERS = [
    Server(
        venv="bentoml",
        command=["bentoml", "serve", "bento_app:Customers", "--host", "127.0.0.1", "--port", "{port}"],
        packages=["bentoml", "starlette", "uvicorn"],
        records=BENTO,
        ready="/readyz",
        environment={"BENTOML_HOME": "{folder}", "BENTOML_DO_NOT_TRACK": "True"},
    ),
    *LITSERVE,
    Server(
        venv="kserve",
        command=["python", "kserve_app.py", "{port}"],
        packages=["kserve", "fastapi", "uvicorn"],
        records=KSERVE,
        ready="/v2/health/ready",
    ),
    Server(
        venv="mlserver",
        command=["mlserver", "start", "mlserver"],
        packages=["mlserver", "fastapi", "uvicorn"],
        records=MLSERVER,
        ready="/v2/health/ready",
        environment={
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_GRPC_PORT": "0",
            "MLSERVER_METRICS_ENDPOINT": "",
            "MLSERVER_PARALLEL_WORKERS": "0",
            "PYTHONPATH": "{here}/apps/mlserver",
        },
    ),
    vetiver("class", [Record("vetiver-class", "class", "A classifier", customers("churn", "stay"))]),
    vetiver("number", [Record("vetiver-number", "number", "A regressor", customers(7.75, 50.25))]),
]
