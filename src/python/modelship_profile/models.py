"""What a fitted model tells of its own predictions. Read from its attributes: nothing here imports its library."""

from __future__ import annotations

import json
import re
from typing import Any, Optional

from .values import as_list

# scikit-learn's words for what an estimator is, which CatBoost, LightGBM and XGBoost use too.
ESTIMATORS = {"classifier": "class", "clusterer": "class", "outlier_detector": "class", "regressor": "number"}
# Objectives whose predictions are no numbers, by the names of LightGBM and XGBoost. Those of `binary` speak of label 1.
OBJECTIVES = {
    "binary": "probability",
    "multiclass": "probabilities",
    "multiclassova": "probabilities",
    "binary:logistic": "probability",
    "binary:hinge": "class",
    "multi:softmax": "class",
    "multi:softprob": "probabilities",
}
# Only the one who trained knows: an objective of one's own, and those that learn a probability or any other part of one.
UNKNOWN = ("custom", "none", "", "cross_entropy", "cross_entropy_lambda", "reg:logistic")
# Models of statsmodels, by the classes that they are kinds of.
STATISTICS = {"BinaryModel": "probability", "MultinomialModel": "probabilities", "OrderedModel": "probabilities"}


def native(model: Any) -> Any:
    """The library's own model within one that MLflow has loaded; the model itself when it is none of MLflow's."""
    if not callable(getattr(model, "unwrap_python_model", None)):
        return model
    try:
        return model.get_raw_model()
    except Exception:
        # Somebody's own class (PythonModel), or a flavour that gives nothing out. MLflow has an exception for it, and we no MLflow.
        return None


def answers_by_predict(model: Any) -> bool:
    """Whether its answers are those of the native model's ``predict``; MLflow may have been told another method."""
    metadata = getattr(model, "metadata", None)
    flavour = (getattr(metadata, "flavors", None) or {}).get("python_function", {})
    return flavour.get("predict_fn", "predict") == "predict"


def kind_of(model: Any) -> Optional[str]:
    """What it predicts, as a profile's ``kind``; None when it does not say."""
    for told in (_by_estimator, _by_objective, _by_statistics, _by_last_layer):
        kind = told(model)
        if kind is not None:
            return kind
    # Older classifiers of others have nothing but this.
    return "class" if classes_of(model) else None


def classes_of(model: Any) -> Optional[list]:
    """Its classes, or a list of them for each output; None when it has none. A regressor's may be there, and empty."""
    known = as_list(_attribute(model, "classes_"))
    if not known:
        return None
    lists = [as_list(one) for one in known]
    return lists if all(one is not None for one in lists) else known


def has_several_labels(model: Any) -> bool:
    """Whether it is known to have learned labels of which a row may have several, or several targets."""
    known = classes_of(model)
    return bool(known and isinstance(known[0], list)) or _attribute(model, "multilabel_") is True


def _attribute(of: Any, name: str) -> Any:
    """None for what is not there, or cannot be told: some are properties of models that raise."""
    try:
        return getattr(of, name, None)
    except Exception:
        return None


def _by_estimator(model: Any) -> Optional[str]:
    told = _attribute(model, "_estimator_type")
    if told is None and callable(_attribute(type(model), "__sklearn_tags__")):
        try:
            told = model.__sklearn_tags__().estimator_type
        except Exception:
            return None
    return ESTIMATORS.get(told) if isinstance(told, str) else None


def _by_objective(model: Any) -> Optional[str]:
    """Of a Booster, which is no estimator."""
    try:
        if callable(_attribute(model, "model_to_string")):
            found = re.search(r"^objective=(\S+)", model.model_to_string(num_iteration=1), re.MULTILINE)
            objective = found[1] if found else ""
        elif callable(_attribute(model, "save_config")):
            objective = json.loads(model.save_config())["learner"]["objective"]["name"]
        else:
            return None
    except Exception:
        return None
    return None if objective in UNKNOWN else OBJECTIVES.get(objective, "number")


def _by_statistics(model: Any) -> Optional[str]:
    """Of results of statsmodels, or of its generalised linear models by their family."""
    fitted = _attribute(model, "model")
    if not type(fitted).__module__.startswith("statsmodels."):
        return None
    for one in type(fitted).__mro__:
        if one.__name__ in STATISTICS:
            return STATISTICS[one.__name__]
    return "probability" if type(_attribute(fitted, "family")).__name__ == "Binomial" else "number"


def _by_last_layer(model: Any) -> Optional[str]:
    """Of a Keras model: what its last layer makes of what it has found."""
    layers = _attribute(model, "layers")
    if not isinstance(layers, list) or not layers:
        return None
    activation = _attribute(_attribute(layers[-1], "activation"), "__name__")
    if activation == "sigmoid":
        return "probability" if _attribute(layers[-1], "units") == 1 else None
    return "probabilities" if activation == "softmax" else None
