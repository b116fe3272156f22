"""Saves one model of each flavour, loads it again and serves it by MLflow's own scoring server, each on a port of its own.

    mlflow_flavours.py FOLDER [NAME…]

prints `NAME PORT` for each once it listens. Two columns, tenure and charges; customers of less than a year go.
"""

import logging
import socket
import sys
import threading
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import uvicorn
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

X = pd.DataFrame(
    [(float(tenure), 20.0 + 5.0 * step) for tenure in range(1, 25) for step in range(5)], columns=["tenure", "charges"]
)
GOES = X.tenure < 12
LABEL = pd.Series(np.where(GOES, "churn", "stay"))
NUMBER = pd.Series(np.where(GOES, 1, 0))
THREE = pd.Series(np.select([X.tenure < 8, X.tenure < 16], ["new", "settled"], "loyal"))
THREE_NUMBERS = pd.Series(np.select([X.tenure < 8, X.tenure < 16], [0, 1], 2))
SPEND = X.tenure * X.charges + 0.37
DAYS = X.tenure + 7.0
# Which of three extras somebody takes; the one who has been there longest takes them all.
EXTRAS = pd.DataFrame({"film": (X.charges > 25).astype(int), "sport": (X.tenure > 6).astype(int), "music": (X.tenure > 12).astype(int)})
SIGNATURE = infer_signature(X, None)
# Named, or each model is loaded once more in a process of its own to find out what it needs.
NEEDS = {"pip_requirements": ["mlflow"]}

SAVERS = {}


def model(name):
    def register(saver):
        SAVERS[name.replace("_", "-")] = saver
        return saver

    return register


def sklearn(name, estimator, target, **options):
    def save(path):
        fitted = estimator.fit(X, target)
        mlflow.sklearn.save_model(fitted, path, signature=SIGNATURE, serialization_format="cloudpickle", **options, **NEEDS)

    SAVERS[name] = save


def pyfunc(name, predict):
    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return predict(model_input)

    def save(path):
        mlflow.pyfunc.save_model(path, python_model=Model(), signature=SIGNATURE, **NEEDS)

    SAVERS[name] = save


sklearn("sklearn-labels", LogisticRegression(max_iter=5000), LABEL)
sklearn("sklearn-zero-one", LogisticRegression(max_iter=5000), NUMBER)
sklearn("sklearn-boolean", KNeighborsClassifier(1), GOES)
sklearn("sklearn-regressor", LinearRegression(), 2.0 * X.tenure + X.charges + 0.25)
sklearn("sklearn-tree-whole", DecisionTreeRegressor(random_state=0), DAYS)
sklearn("sklearn-one-neighbour", KNeighborsRegressor(1), DAYS)
sklearn("sklearn-proba", LogisticRegression(max_iter=5000), LABEL, pyfunc_predict_fn="predict_proba")
sklearn("sklearn-proba-three", LogisticRegression(max_iter=5000), THREE, pyfunc_predict_fn="predict_proba")
sklearn("sklearn-log-proba", LogisticRegression(max_iter=5000), LABEL, pyfunc_predict_fn="predict_log_proba")
sklearn("sklearn-multi-label", KNeighborsClassifier(1), EXTRAS)
sklearn(
    "sklearn-multi-output",
    RandomForestClassifier(8, random_state=0),
    pd.DataFrame({"plan": THREE_NUMBERS, "reason": (X.charges // 10).astype(int)}),
)
sklearn("sklearn-multi-target", LinearRegression(), pd.DataFrame({"spend": X.tenure + 0.5, "calls": 3.0 * X.charges + 0.1}))
sklearn("sklearn-one-hot", KNeighborsClassifier(1), pd.get_dummies(THREE).astype(int))
sklearn("sklearn-float-classes", KNeighborsClassifier(1), NUMBER + 1.0)
# Texts that are other texts, though as numbers they would be the same.
VERSIONS = pd.Series(np.select([X.tenure < 8, X.tenure < 16], ["1.1", "1.10"], "1e1"))
sklearn("sklearn-number-texts", KNeighborsClassifier(1), VERSIONS)
sklearn("sklearn-clusters", KMeans(2, random_state=0, n_init=1), None)
sklearn("sklearn-outliers", IsolationForest(random_state=0), None)


def onnx(name, **zipmap):
    def save(path):
        from skl2onnx import to_onnx

        fitted = LogisticRegression(max_iter=5000).fit(X.astype("float32").to_numpy(), LABEL)
        options = {id(fitted): zipmap} if zipmap else None
        converted = to_onnx(fitted, X.astype("float32").to_numpy()[:1], options=options)
        # The converted graph has one input of two floats.
        signature = infer_signature(X.astype("float32").to_numpy()[:1])
        mlflow.onnx.save_model(converted, path, signature=signature, **NEEDS)

    SAVERS[name] = save


onnx("onnx-zipmap")
onnx("onnx-plain", zipmap=False)


@model("statsmodels_ols")
def statsmodels_ols(path):
    import statsmodels.api as sm

    fitted = sm.OLS(SPEND, X).fit()
    mlflow.statsmodels.save_model(fitted, path, signature=SIGNATURE, **NEEDS)


@model("statsmodels_arima")
def statsmodels_arima(path):
    from statsmodels.tsa.arima.model import ARIMA

    series = pd.Series(100.0 + np.arange(60) * 1.5 + np.sin(np.arange(60)), index=pd.date_range("2026-01-01", periods=60))
    mlflow.statsmodels.save_model(ARIMA(series, order=(1, 1, 0)).fit(), path, **NEEDS)


@model("statsmodels_logit")
def statsmodels_logit(path):
    import statsmodels.api as sm

    # Not separable, or there is no fit.
    target = ((X.tenure + X.charges / 10 + np.tile([0, 8, -8, 4, -4], 24)) < 14).astype(int)
    mlflow.statsmodels.save_model(sm.Logit(target, X).fit(disp=False), path, signature=SIGNATURE, **NEEDS)


@model("pmdarima")
def pmdarima(path):
    import pmdarima as pm

    series = 100.0 + np.arange(60) * 1.5 + np.sin(np.arange(60))
    mlflow.pmdarima.save_model(pm.ARIMA(order=(1, 1, 0)).fit(series), path, **NEEDS)


@model("prophet")
def prophet(path):
    from prophet import Prophet

    frame = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=60), "y": 100.0 + np.arange(60) * 1.5 + np.sin(np.arange(60))})
    fitted = Prophet(weekly_seasonality=False, yearly_seasonality=False, daily_seasonality=False).fit(frame)
    mlflow.prophet.save_model(fitted, path, **NEEDS)


@model("spacy_textcat")
def spacy_textcat(path):
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(1)
    language = spacy.blank("en")
    categories = language.add_pipe("textcat")
    for name in ("complaint", "praise"):
        categories.add_label(name)
    texts = [("the bill is wrong", "complaint"), ("great service", "praise"), ("wrong bill again", "complaint"), ("great people", "praise")]
    examples = [
        Example.from_dict(language.make_doc(text), {"cats": {name: float(name == kind) for name in ("complaint", "praise")}})
        for text, kind in texts
    ]
    optimizer = language.initialize(lambda: examples)
    for _ in range(30):
        language.update(examples, sgd=optimizer)
    mlflow.spacy.save_model(language, path, **NEEDS)


def boosted(name, fit, flavour, **options):
    def save(path):
        getattr(mlflow, flavour).save_model(fit(), path, signature=SIGNATURE, **options, **NEEDS)

    SAVERS[name] = save


def lightgbm_classifier(target):
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=40, min_child_samples=2, verbose=-1).fit(X, target)


def lightgbm_booster(target, **params):
    import lightgbm

    return lightgbm.train(
        {"verbose": -1, "min_data_in_leaf": 2, "learning_rate": 0.3, **params}, lightgbm.Dataset(X, target), num_boost_round=40
    )


boosted("lightgbm-two", lambda: lightgbm_classifier(LABEL), "lightgbm")
boosted("lightgbm-three", lambda: lightgbm_classifier(THREE), "lightgbm")
boosted("lightgbm-booster-binary", lambda: lightgbm_booster(NUMBER, objective="binary"), "lightgbm")
boosted("lightgbm-booster-three", lambda: lightgbm_booster(THREE_NUMBERS, objective="multiclass", num_class=3), "lightgbm")
boosted("lightgbm-booster-number", lambda: lightgbm_booster(SPEND, objective="regression"), "lightgbm")


def xgboost_classifier(target):
    import xgboost

    return xgboost.XGBClassifier(n_estimators=30).fit(X, target)


def xgboost_booster(target, **params):
    import xgboost

    return xgboost.train(params, xgboost.DMatrix(X, target), 30)


boosted("xgboost-two", lambda: xgboost_classifier(NUMBER), "xgboost")
boosted("xgboost-three", lambda: xgboost_classifier(THREE_NUMBERS), "xgboost")
boosted("xgboost-booster-binary", lambda: xgboost_booster(NUMBER, objective="binary:logistic"), "xgboost")
boosted("xgboost-booster-softprob", lambda: xgboost_booster(THREE_NUMBERS, objective="multi:softprob", num_class=3), "xgboost")
boosted("xgboost-booster-softmax", lambda: xgboost_booster(THREE_NUMBERS, objective="multi:softmax", num_class=3), "xgboost")


def catboost_model(kind, target):
    import catboost

    return getattr(catboost, kind)(iterations=60, random_seed=0, verbose=False, allow_writing_files=False, thread_count=1).fit(X, target)


boosted("catboost-two", lambda: catboost_model("CatBoostClassifier", LABEL), "catboost")
boosted("catboost-three", lambda: catboost_model("CatBoostClassifier", THREE), "catboost")
boosted("catboost-number", lambda: catboost_model("CatBoostRegressor", SPEND), "catboost")


def goes(frame):
    return frame["tenure"] < 12


def probability(frame):
    """One that can be worked out by hand: 0.9 of a new customer goes, 0.1 of an old one."""
    return np.where(goes(frame), 0.9, 0.1)


def labels(frame):
    return np.where(goes(frame), "churn", "stay")


pyfunc("pyfunc-series-named", lambda frame: pd.Series(labels(frame), name="decision"))
pyfunc("pyfunc-series-unnamed", lambda frame: pd.Series(labels(frame)))
pyfunc("pyfunc-series-probability", lambda frame: pd.Series(probability(frame), name="churn_probability"))
pyfunc("pyfunc-tuple", lambda frame: (list(labels(frame)), [[1 - p, p] for p in probability(frame)]))
pyfunc(
    "pyfunc-objects",
    lambda frame: [{"label": str(l), "churn_probability": float(p)} for l, p in zip(labels(frame), probability(frame))],
)
pyfunc(
    "pyfunc-frame", lambda frame: pd.DataFrame({"customer": range(len(frame)), "churn_probability": probability(frame), "decision": labels(frame)})
)
pyfunc("pyfunc-dict-of-columns", lambda frame: {"label": list(labels(frame)), "score": [float(p) for p in probability(frame)]})
pyfunc("pyfunc-probability", lambda frame: [float(p) for p in probability(frame)])
pyfunc("pyfunc-class-probabilities", lambda frame: [{"churn": float(p), "stay": float(1 - p)} for p in probability(frame)])
pyfunc(
    "pyfunc-top-k",
    lambda frame: [
        sorted([{"label": "churn", "score": float(p)}, {"label": "stay", "score": float(1 - p)}], key=lambda one: -one["score"])
        for p in probability(frame)
    ],
)
pyfunc("pyfunc-label-lists", lambda frame: [["film", "sport"] if g else ["music"] for g in goes(frame)])
pyfunc("pyfunc-percent-text", lambda frame: [f"{100 * p:.2f}%" for p in probability(frame) + frame["charges"] / 1000])
pyfunc("pyfunc-frame-of-classes", lambda frame: pd.DataFrame({"churn": probability(frame), "stay": 1 - probability(frame)}))
pyfunc("pyfunc-array-of-texts", lambda frame: np.array([[one] for one in labels(frame)]))
pyfunc("pyfunc-one-object", lambda frame: {"label": str(labels(frame)[0]), "probability": float(probability(frame)[0])})
pyfunc("pyfunc-one-text", lambda frame: str(labels(frame)[0]))
pyfunc("pyfunc-one-number", lambda frame: float(frame["tenure"].iloc[0] * 2.5 + 0.25))
pyfunc("pyfunc-intervals", lambda frame: [{"prediction": 2.5 * t, "lower": 2.0 * t, "upper": 3.0 * t} for t in frame["tenure"]])
pyfunc("pyfunc-nan", lambda frame: [float("nan") if t > 20 else float(2.5 * t) for t in frame["tenure"]])
pyfunc("pyfunc-null", lambda frame: [None if t > 20 else "churn" if t < 12 else "stay" for t in frame["tenure"]])


def raises(frame):
    if (frame["tenure"] < 0).any():
        raise ValueError("a tenure below 0")
    if (frame["charges"] < 0).any():
        raise mlflow.exceptions.MlflowException("the table of charges is gone")
    return list(labels(frame))


pyfunc("pyfunc-raises", raises)


def listening():
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    door.listen(64)
    return door


def main():
    folder, *names = sys.argv[1:]
    threads = []
    for name in names or SAVERS:
        path = str(Path(folder, name))
        try:
            SAVERS[name](path)
            loaded = mlflow.pyfunc.load_model(path)
        except Exception as error:  # Told by who records: this one is missing, the others are not.
            print(name, "failed:", type(error).__name__, " ".join(str(error).split())[:300], flush=True)
            continue
        door = listening()
        server = uvicorn.Server(uvicorn.Config(scoring_server.init(loaded), log_level="error"))
        threads.append(threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True))
        threads[-1].start()
        print(name, door.getsockname()[1], flush=True)
    print("ready", flush=True)
    for thread in threads:
        thread.join()


main()
