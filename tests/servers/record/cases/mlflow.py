"""MLflow's scoring server with one model of each flavour."""

from case import Exchange, Record, Server, rows, text

NEW, OLD, NEWER = [3.0, 30.0], [20.0, 30.0], [5.0, 40.0]
COLUMNS = ["tenure", "charges"]


def split(*data):
    return text({"dataframe_split": {"columns": COLUMNS, "data": list(data)}})


def three_and_one(new, old, newer, **more):
    """Three customers in one request, and one of them alone."""
    return [
        Exchange("several rows", split(NEW, OLD, NEWER), rows(new, old, newer)),
        Exchange("one row", split(OLD), rows(old)),
    ]


# Customers who differ in all: what a model of whole numbers says cannot be told from classes before there are many.
MANY = [[float(tenure), 30.0] for tenure in range(1, 25)]


def flavour(name, kind, note, *predictions, **more):
    return Record(name, kind, note, three_and_one(*predictions), **more)


def one_each(new, old):
    return [Exchange("a new customer", split(NEW), rows(new)), Exchange("an old customer", split(OLD), rows(old))]


# Whose fault MLflow's errors are.
ERRORS = [
    Exchange("a null in a required double", split([None, 30.0]), {"blame": "client"}),
    Exchange("no rows", split(), {"blame": "client"}),
    Exchange("a CSV header alone", "tenure,charges\n", {"blame": "client"}, content_type="text/csv"),
    Exchange("no content type", split(NEW), {"blame": "client"}, content_type=None),
    Exchange("a missing column", text({"dataframe_records": [{"tenure": 3.0}]}), {"blame": "client"}),
    Exchange("a text in a column of numbers", split(["three", 30.0]), {"blame": "client"}),
    Exchange("no JSON", "{", {"blame": "client"}),
    Exchange("an empty body", "", {"blame": "client"}),
    Exchange("a list of texts", text({"instances": ["three"]}), {"blame": "client"}),
    Exchange("a list that is too short", text({"inputs": [[3.0]]}), {"blame": "client"}),
]

CLASSES = {"classes": ["churn", "stay"]}
POSITIVE = {"classes": ["stay", "churn"]}

RECORDS = [
    Record(
        "sklearn-labels",
        "class",
        "LogisticRegression with texts as classes",
        three_and_one("churn", "stay", "churn")
        + [
            Exchange("records", text({"dataframe_records": [{"tenure": 3.0, "charges": 30.0}]}), rows("churn")),
            Exchange("CSV", "tenure,charges\n3.0,30.0\n20.0,30.0\n", rows("churn", "stay"), content_type="text/csv"),
        ]
        + ERRORS,
    ),
    flavour("sklearn-zero-one", "class", "LogisticRegression with 0 and 1 as classes", "1", "0", "1"),
    flavour("sklearn-boolean", "class", "KNeighborsClassifier with booleans as classes", "true", "false", "true"),
    flavour("sklearn-regressor", "number", "LinearRegression", 36.25, 70.25, 50.25),
    Record(
        "sklearn-tree-whole",
        "number",
        "DecisionTreeRegressor on whole targets: every answer is a whole number",
        three_and_one(10.0, 27.0, 12.0) + [Exchange("many rows", split(*MANY), rows(*[t + 7.0 for t, _ in MANY]))],
    ),
    Record(
        "sklearn-one-neighbour",
        "number",
        "KNeighborsRegressor(1) on whole targets",
        three_and_one(10.0, 27.0, 12.0) + [Exchange("many rows", split(*MANY), rows(*[t + 7.0 for t, _ in MANY]))],
    ),
    flavour("sklearn-proba", "probabilities", "predict_proba by pyfunc_predict_fn", "churn", "stay", "churn", settings=CLASSES),
    flavour(
        "sklearn-proba-three",
        "probabilities",
        "predict_proba of three classes",
        "new",
        "loyal",
        "new",
        settings={"classes": ["loyal", "new", "settled"]},
    ),
    flavour(
        "sklearn-log-proba",
        "probabilities",
        "predict_log_proba: rows of numbers below 0, the largest is the prediction",
        "churn",
        "stay",
        "churn",
        settings={"kind": "probabilities", **CLASSES},
        by_itself=False,
    ),
    flavour(
        "sklearn-multi-label",
        "labels",
        "KNeighborsClassifier with three columns of 0 and 1: which extras somebody takes",
        ["film"],
        ["film", "sport", "music"],
        ["film"],
        settings={"kind": "labels", "classes": ["film", "sport", "music"]},
    ),
    flavour(
        "sklearn-multi-output",
        "class",
        "RandomForestClassifier with two columns of classes; the setting reads the first",
        "0",
        "2",
        "0",
        settings={"kind": "class", "path": "$[0]"},
        by_itself=False,
    ),
    flavour(
        "sklearn-multi-target",
        "number",
        "LinearRegression with two targets; the setting reads the first",
        3.5,
        20.5,
        5.5,
        settings={"kind": "number", "path": "$[0]"},
        by_itself=False,
    ),
    flavour(
        "sklearn-one-hot",
        "probabilities",
        "Three columns of 0 and 1 of which one is set: the class by its position",
        "new",
        "loyal",
        "new",
        settings={"kind": "probabilities", "classes": ["loyal", "new", "settled"]},
        by_itself=False,
    ),
    flavour("sklearn-float-classes", "class", "Classes that are floats: 2.0 and 1.0", "2", "1", "2"),
    Record(
        "sklearn-number-texts",
        "class",
        "Classes that are texts of numbers: 1.1 and 1.10 are two",
        [
            Exchange("several rows", split(NEW, OLD, [12.0, 30.0]), rows("1.1", "1e1", "1.10")),
            Exchange("one row", split([12.0, 30.0]), rows("1.10")),
        ],
    ),
    flavour("sklearn-clusters", "class", "KMeans: the number of a cluster", "0", "0", "1"),
    Record(
        "sklearn-outliers",
        "class",
        "IsolationForest: 1, and -1 for an outlier",
        [
            Exchange("several rows", split([12.0, 30.0], [500.0, 900.0], [11.0, 30.0]), rows("1", "-1", "1")),
            Exchange("one row", split([12.0, 30.0]), rows("1")),
        ],
    ),
    Record(
        "onnx-zipmap",
        "class",
        "LogisticRegression converted by skl2onnx: labels and a list of objects of class and probability",
        [
            Exchange("several rows", text({"inputs": [NEW, OLD, NEWER]}), rows("churn", "stay", "churn")),
            Exchange("one row", text({"inputs": [OLD]}), rows("stay")),
        ],
    ),
    Record(
        "onnx-plain",
        "class",
        "The same without zipmap: labels and rows of probabilities",
        [
            Exchange("several rows", text({"inputs": [NEW, OLD, NEWER]}), rows("churn", "stay", "churn")),
            Exchange("one row", text({"inputs": [OLD]}), rows("stay")),
        ],
    ),
    flavour(
        "statsmodels-ols",
        "number",
        "OLS: records of one column that is called 0",
        148.906, 584.273, 224.151
    ),
    flavour("lightgbm-two", "class", "LGBMClassifier, two classes", "churn", "stay", "churn"),
    flavour("lightgbm-three", "class", "LGBMClassifier, three classes", "new", "loyal", "new"),
    flavour("lightgbm-booster-binary", "probability", "A binary Booster answers probabilities", 1.0, 0.0, 1.0, settings=POSITIVE),
    flavour("lightgbm-booster-three", "probabilities", "A Booster of three classes", "0", "2", "0"),
    flavour("lightgbm-booster-number", "number", "A Booster for regression", 90.981, 600.275, 199.99),
    flavour("xgboost-two", "class", "XGBClassifier, two classes", "1", "0", "1"),
    flavour("xgboost-three", "class", "XGBClassifier, three classes", "0", "2", "0"),
    flavour("xgboost-booster-binary", "probability", "A binary Booster answers probabilities", 0.9816, 0.0156, 0.9816, settings=POSITIVE),
    flavour("xgboost-booster-softprob", "probabilities", "A Booster with multi:softprob", "0", "2", "0"),
    flavour("xgboost-booster-softmax", "class", "A Booster with multi:softmax: classes as floats", "0", "2", "0"),
    flavour("catboost-two", "class", "CatBoostClassifier, two classes: a flat list", "churn", "stay", "churn"),
    flavour("catboost-three", "class", "CatBoostClassifier, three classes: each in a list of its own", "new", "loyal", "new"),
    flavour("catboost-number", "number", "CatBoostRegressor", 89.248, 597.117, 206.458),
    Record("statsmodels-arima", "number", "ARIMA: records of one column, predicted_mean, with steps of time left out", [
        Exchange("several rows", text({"dataframe_records": [{"start": 60, "end": 62}]}), rows(190.194, 191.172, 192.076)),
        Exchange("one row", text({"dataframe_records": [{"start": 60, "end": 60}]}), rows(190.194)),
    ]),
    flavour("statsmodels-logit", "probability", "Logit: records of one column that is called 0", 0.901, 0.0488, 0.9334, settings=POSITIVE),
    Record("pmdarima", "number", "pmdarima's ARIMA: records of one column, yhat", [
        Exchange("several rows", text({"dataframe_records": [{"n_periods": 3}]}), rows(190.458, 191.872, 193.336)),
        Exchange("one row", text({"dataframe_records": [{"n_periods": 1}]}), rows(190.458)),
    ]),
    Record("prophet", "number", "Prophet: records with the date, the prediction yhat, its bounds and its parts", [
        Exchange("several rows", text({"dataframe_records": [{"ds": f"2026-03-0{day}"} for day in (1, 2, 3)]}), rows(188.672, 190.184, 191.697)),
        Exchange("one row", text({"dataframe_records": [{"ds": "2026-03-02"}]}), rows(190.184)),
    ]),
    Record("spacy-textcat", "probabilities", "A text category of spaCy: records of one column, an object of class and probability", [
        Exchange("several rows", text({"dataframe_records": [{"text": t} for t in ("the bill is wrong", "great service", "wrong bill again")]}), rows("complaint", "praise", "complaint")),
        Exchange("one row", text({"dataframe_records": [{"text": "great people"}]}), rows("praise")),
    ]),
    flavour("pyfunc-series-named", "class", "A Series with a name: records of one column", "churn", "stay", "churn"),
    flavour("pyfunc-series-unnamed", "class", "A Series without a name", "churn", "stay", "churn"),
    flavour("pyfunc-series-probability", "probability", "A Series called churn_probability", 0.9, 0.1, 0.9, settings={"kind": "probability", "path": "$.churn_probability", "classes": ["stay", "churn"]}),
    flavour("pyfunc-tuple", "class", "(labels, probabilities): looks like two rows; both are of all three customers", "churn", "stay", "churn"),
    flavour("pyfunc-objects", "class", "Objects with a label and a probability", "churn", "stay", "churn"),
    flavour("pyfunc-frame", "class", "A frame with an identifier, a probability and a decision", "churn", "stay", "churn", settings={"path": "$.decision"}, by_itself=False),
    flavour("pyfunc-dict-of-columns", "class", "An object of columns", "churn", "stay", "churn"),
    flavour("pyfunc-probability", "probability", "A list of probabilities", 0.9, 0.1, 0.9, settings=POSITIVE),
    flavour("pyfunc-class-probabilities", "probabilities", "Objects of class and probability", "churn", "stay", "churn"),
    flavour("pyfunc-top-k", "class", "Lists of label and score, the likeliest first", "churn", "stay", "churn"),
    flavour("pyfunc-label-lists", "labels", "Lists of texts, of any length", ["film", "sport"], ["music"], ["film", "sport"]),
    Record(
        "pyfunc-percent-text",
        "none",
        "Texts with a number in each: not classes, there would be one for every customer",
        [
            Exchange(
                "many rows",
                split(*[[3.0, 20.0 + step / 10] for step in range(100)]),
                rows(*[None] * 100),
            ),
        ],
    ),
    flavour("pyfunc-frame-of-classes", "probabilities", "A frame with a column of probabilities for each class", "churn", "stay", "churn"),
    flavour("pyfunc-array-of-texts", "class", "An array of one column", "churn", "stay", "churn"),
    Record("pyfunc-one-object", "class", "One object, for whatever was asked", one_each("churn", "stay")),
    Record("pyfunc-one-text", "class", "One text, for whatever was asked", one_each("churn", "stay")),
    Record("pyfunc-one-number", "number", "One number, for whatever was asked", one_each(7.75, 50.25)),
    flavour("pyfunc-intervals", "number", "A number and its bounds", 7.5, 50.0, 12.5),
    Record("pyfunc-nan", "number", "A number, and NaN where the model knows none", [
        Exchange("several rows", split(NEW, [22.0, 30.0], NEWER), rows(7.5, None, 12.5)),
        Exchange("one row", split(OLD), rows(50.0)),
    ]),
    Record("pyfunc-null", "class", "A class, and null where the model knows none", [
        Exchange("several rows", split(NEW, [22.0, 30.0], OLD), rows("churn", None, "stay")),
        Exchange("one row", split(OLD), rows("stay")),
    ]),
    Record("pyfunc-raises", "class", "A PythonModel that raises for some rows", three_and_one("churn", "stay", "churn") + [
        # It may have been right to raise: nobody can tell whether the row was wrong or the code.
        Exchange("a ValueError in predict", split([-1.0, 30.0]), {"blame": "unclear"}),
        Exchange("an MlflowException in predict", split([3.0, -30.0]), {"blame": "model"}),
        Exchange("a null that this model takes", split([None, 30.0]), rows("stay")),
        Exchange("no rows, which this model takes", split(), rows()),
        Exchange("no content type", split(NEW), {"blame": "client"}, content_type=None),
        Exchange("a wrong method", None, {"blame": "client"}, method="PUT", content_type=None),
        Exchange("a wrong path", split(NEW), {"blame": "client"}, path="/predict"),
    ]),
]

SERVERS = [
    Server(
        venv="mlflow",
        command=["python", "mlflow_flavours.py", "{folder}"],
        packages=[
            "mlflow", "uvicorn", "scikit-learn", "pandas", "numpy", "skl2onnx", "onnxruntime", "statsmodels", "pmdarima",
            "prophet", "spacy", "lightgbm", "xgboost", "catboost",
        ],
        records=RECORDS,
    )
]
