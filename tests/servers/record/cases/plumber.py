"""R's plumber, from Debian's packages."""

import shutil

from case import Exchange, Record, Server, rows, text

MANY, ONE = text([{"tenure": 3}, {"tenure": 20}, {"tenure": 5}]), text([{"tenure": 20}])


def single(path, new, old):
    return [
        Exchange("a new customer", text({"tenure": 3}), rows(new), path=path),
        Exchange("an old customer", text({"tenure": 20}), rows(old), path=path),
    ]


def frame(path, new, old):
    return [
        Exchange("several rows", MANY, rows(new, old, new), path=path),
        Exchange("one row", ONE, rows(old), path=path),
    ]


RECORDS = [
    Record("plumber-class", "class", "A text: a list of one", single("/class", "churn", "stay")),
    Record(
        "plumber-number",
        "number",
        "A number, with four digits: one that is whole first",
        [
            Exchange("a whole one", text({"tenure": 7}), rows(1.0), path="/number"),
            Exchange("a broken one", text({"tenure": 20}), rows(2.8571), path="/number"),
            Exchange("a small one", text({"tenure": 5}), rows(0.7143), path="/number"),
        ],
    ),
    Record("plumber-zero-one", "class", "1.0 and 0.0, which are printed without a fraction", single("/zero-one", "1", "0")),
    Record("plumber-object", "class", "list(prediction, probability): lists of one", single("/object", "churn", "stay")),
    Record("plumber-tidymodels", "class", "A frame with .pred_class", frame("/tidy", "churn", "stay")),
    Record(
        "plumber-tidymodels-probabilities",
        "probabilities",
        "A frame with a column .pred_CLASS for each",
        frame("/tidy-probabilities", ".pred_churn", ".pred_stay"),
    ),
    Record(
        "plumber-missing",
        "class",
        "NA is left out of what can be counted",
        [
            Exchange("several rows", text([{"tenure": 3}, {"tenure": 22}, {"tenure": 20}]), rows("churn", None, "stay"), path="/missing"),
            Exchange("one row", ONE, rows("stay"), path="/missing"),
        ],
    ),
    Record("plumber-factor", "class", "Classes of rpart", frame("/factor", "churn", "stay")),
    Record(
        "plumber-matrix",
        "probabilities",
        "Probabilities of rpart: a matrix",
        frame("/matrix", "churn", "stay"),
        settings={"classes": ["churn", "stay"]},
    ),
    Record(
        "plumber-raises",
        "class",
        "A handler that stops",
        [
            *single("/raises", "churn", "stay"),
            Exchange("an error", text({"tenure": -1}), {"blame": "model"}, path="/raises"),
            Exchange("no such path", text({"tenure": 3}), {"blame": "client"}, path="/predict"),
        ],
    ),
]

# Where R cannot be installed, the recordings stay as they are.
SERVERS = [
    Server(
        venv="",
        command=["Rscript", "plumber.R", "{port}"],
        packages=["r-base-core", "r-cran-plumber", "r-cran-rpart"],
        records=RECORDS,
        ready="/health",
    )
] if shutil.which("Rscript") else []
