"""FastAPI under uvicorn, and Flask under gunicorn."""

from case import Exchange, Record, Server, rows, text

NEW, OLD = {"tenure": 3.0, "charges": 30.0}, {"tenure": 20.0, "charges": 30.0}
MANY = text({"customers": [NEW, OLD, NEW]})
# Long enough to be compressed.
THREE_HUNDRED = text({"customers": [NEW, OLD, NEW] * 100})
ACCEPTS = {"Accept-Encoding": "gzip, deflate"}
NONE = {"unrelated": True}
POSITIVE = {"classes": ["stay", "churn"]}


def at(path, case, customer, expect, **more):
    return Exchange(case, text(customer), expect, path=path, **more)


def both(path, new, old):
    return [at(path, "a new customer", NEW, rows(new)), at(path, "an old customer", OLD, rows(old))]


def both_without(path):
    """The same, where nothing is to be counted."""
    return [at(path, "a new customer", NEW, NONE), at(path, "an old customer", OLD, NONE)]


def batches(path, **more):
    return [
        Exchange("several rows", MANY, rows("churn", "stay", "churn"), path=path, **more),
        Exchange("one row", text({"customers": [OLD]}), rows("stay"), path=path, **more),
    ]


FASTAPI = [
    Record("fastapi-object", "class", "One customer a request", both("/predict", "churn", "stay")),
    Record("fastapi-batch", "class", "Many customers a request", batches("/predict/batch")),
    Record("fastapi-created", "class", "Status 201", both("/created", "churn", "stay")),
    Record("fastapi-bare-text", "class", "A text and nothing else", both("/bare/text", "yes", "no")),
    Record("fastapi-bare-boolean", "class", "A boolean and nothing else", both("/bare/boolean", "true", "false")),
    Record("fastapi-bare-number", "number", "A number and nothing else", both("/bare/number", 7.75, 50.25)),
    Record("fastapi-bare-list", "class", "A list and nothing else", batches("/bare/list")),
    Record(
        "fastapi-beside-a-list",
        "probability",
        "A list `predictions` of one label, and its probability beside it",
        both("/beside-a-list", 0.9, 0.1),
        settings={"kind": "probability", "path": "$.probability", **POSITIVE},
        by_itself=False,
    ),
    Record(
        "fastapi-named-probability",
        "probability",
        "A field that is called churn_probability",
        both("/named", 0.9, 0.1),
        settings={"kind": "probability", "path": "$.churn_probability", **POSITIVE},
    ),
    Record("fastapi-confidence", "class", "A label and how sure it is", both("/confident", "churn", "stay")),
    Record(
        "fastapi-wrapped",
        "class",
        "Two objects deep",
        both("/wrapped", "churn", "stay"),
        settings={"kind": "class", "path": "$.data.prediction"},
        by_itself=False,
    ),
    Record("fastapi-by-class", "class", "A label, and an object of class and probability", both("/by-class", "churn", "stay")),
    Record(
        "fastapi-price",
        "number",
        "A regressor that prints whole numbers without a fraction: 90 first, then 250.5",
        [
            at("/price", "a whole price", NEW, rows(90.0)),
            at("/price", "another", {"tenure": 2.0}, rows(60.0)),
            at("/price", "a broken one", {"tenure": 8.35}, rows(250.5)),
        ],
    ),
    Record(
        "fastapi-get-predict",
        "class",
        "A prediction that is asked for by GET, by a path that says so",
        [
            Exchange("a new customer", None, rows("churn"), path="/predict?tenure=3", method="GET", content_type=None),
            Exchange("an old customer", None, rows("stay"), path="/predict?tenure=20", method="GET", content_type=None),
        ],
    ),
    Record(
        "fastapi-get",
        "class",
        "A prediction that is asked for by GET, by any path",
        [
            Exchange("a new customer", None, rows("churn"), path="/asked?tenure=3", method="GET", content_type=None),
            Exchange("an old customer", None, rows("stay"), path="/asked?tenure=20", method="GET", content_type=None),
        ],
        settings={"kind": "class", "path": "$.prediction", "requestPath": "/asked"},
        by_itself=False,
    ),
    Record("fastapi-objects", "class", "A list of objects of class and score", batches("/objects")),
    Record("fastapi-code", "class", "The number of a class as a text, and a percentage", both("/code", "1", "0")),
    Record(
        "fastapi-sentence",
        "class",
        "A sentence for each class",
        both("/sentence", "The customer will leave", "The customer will stay"),
        settings={"kind": "class", "path": "$.result"},
    ),
    Record(
        "fastapi-output",
        "class",
        "An object within an object",
        both("/output", "churn", "stay"),
        settings={"kind": "class", "path": "$.output.label"},
        by_itself=False,
    ),
    Record("fastapi-ranked", "class", "One customer's classes, the likeliest first", both("/ranked", "churn", "stay")),
    Record(
        "fastapi-amount",
        "number",
        "A decimal as a text, in a field of its own name",
        both("/amount", 7.75, 50.25),
        settings={"kind": "number", "path": "$.predicted_amount"},
        by_itself=False,
    ),
    Record("fastapi-with-features", "class", "What was asked, beside the prediction", both("/with-features", "1", "0")),
    Record(
        "fastapi-lines",
        "none",
        "A line for each row, as streams are written: not read, and nothing else is made of it",
        [Exchange("several rows", MANY, rows(None, None, None), path="/lines")],
    ),
    Record(
        "fastapi-polite-error",
        "class",
        "An error told with status 200",
        both("/polite", "churn", "stay") + [at("/polite", "an error", {"tenure": -1.0}, {"blame": "unclear"})],
    ),
    Record(
        "fastapi-raises",
        "class",
        "A handler that raises, and validation",
        both("/raises", "churn", "stay")
        + [
            at("/raises", "an exception", {"tenure": -1.0}, {"blame": "model"}),
            at("/raises", "a refusal", {"tenure": 3.0, "charges": -1.0}, {"blame": "client"}),
            at("/raises", "a missing field", {"charges": 3.0}, {"blame": "client"}),
            at("/raises", "a text for a number", {"tenure": "three"}, {"blame": "client"}),
        ],
    ),
    Record(
        "fastapi-feedback-first",
        "class",
        "Other paths answer first, with a text, a boolean and an object",
        [
            Exchange("feedback", text({"right": True}), {"unrelated": True}, path="/feedback"),
            Exchange("login", text({"right": True}), {"unrelated": True}, path="/login"),
            Exchange("token", text({"right": True}), {"unrelated": True}, path="/token"),
            *both("/predict", "churn", "stay"),
        ],
        settings={"kind": "class", "path": "$.prediction", "requestPath": "/predict"},
    ),
]

GZIPPED = [
    Record(
        "fastapi-gzip",
        "class",
        "GZipMiddleware: above 500 bytes, for who accepts it",
        [
            *batches("/predict/batch", headers=ACCEPTS),
            Exchange(
                "300 rows", THREE_HUNDRED, rows("churn", "stay", "churn", times=100), path="/predict/batch", headers=ACCEPTS
            ),
        ],
    )
]

# What the answers alone do not tell is told as unread; the settings say it.
FASTAPI += [
    Record("fastapi-found", "none", "Entities of one text, by themselves", both_without("/found")),
    Record(
        "fastapi-found-labels",
        "labels",
        "Entities of one text: each kind of them once",
        [
            at("/found", "a new customer", NEW, rows(["PER", "LOC"])),
            at("/found", "an old customer", OLD, rows(["LOC", "ORG"])),
        ],
        settings={"kind": "labels"},
        by_itself=False,
    ),
    Record("fastapi-sure", "none", "A class that has a name of its own beside a score", both_without("/sure")),
    Record(
        "fastapi-sure-path",
        "class",
        "A class that has a name of its own beside a score, with its path",
        both("/sure", "churn", "stay"),
        settings={"kind": "class", "path": "$.decision"},
        by_itself=False,
    ),
    Record("fastapi-two-figures", "none", "Two figures, and nobody says which is predicted", both_without("/two-figures")),
    Record("fastapi-quantiles", "none", "Quantiles that add up to 1", [Exchange("rows", MANY, NONE, path="/quantiles")]),
    Record("fastapi-dumped-rows", "class", "Rows that are texts with JSON in them", batches("/dumped-rows")),
]

FLASK = [
    Record("flask-json", "class", "jsonify: a list even for one", batches("/predict")),
    Record("flask-text-html", "class", "JSON that is returned as a text: its type is text/html", batches("/text")),
    Record(
        "flask-bare",
        "class",
        "A label and nothing else, without quotes, as text/html",
        [
            Exchange("a new customer", text({"customers": [NEW]}), rows("churn"), path="/bare"),
            Exchange("an old customer", text({"customers": [OLD]}), rows("stay"), path="/bare"),
        ],
    ),
    Record("flask-byte-order-mark", "class", "JSON after a byte-order mark", batches("/marked")),
    Record(
        "flask-form",
        "none",
        "A page for people",
        [
            Exchange(
                "a form",
                "tenure=3",
                {"unrelated": True},
                path="/form",
                content_type="application/x-www-form-urlencoded",
            )
        ],
    ),
    Record(
        "flask-raises",
        "class",
        "A handler that raises",
        [
            *batches("/raises"),
            Exchange("an exception", text({"customers": [{"tenure": 0}]}), {"blame": "model"}, path="/raises"),
            Exchange("no JSON", "{", {"blame": "client"}, path="/raises"),
            Exchange("no content type", MANY, {"blame": "client"}, path="/raises", content_type=None),
        ],
    ),
]


def uvicorn(app, records):
    return Server(
        venv="web",
        command=["uvicorn", app, "--host", "127.0.0.1", "--port", "{port}", "--log-level", "error"],
        packages=["fastapi", "starlette", "uvicorn"],
        records=records,
        ready="/health",
    )


SERVERS = [
    uvicorn("fastapi_app:app", FASTAPI),
    uvicorn("fastapi_app:gzipped", GZIPPED),
    Server(
        venv="web",
        command=["gunicorn", "--bind", "127.0.0.1:{port}", "flask_app:app"],
        packages=["flask", "werkzeug", "gunicorn"],
        records=FLASK,
        ready="/health",
    ),
]
