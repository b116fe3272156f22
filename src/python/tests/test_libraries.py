"""What models of real libraries tell of themselves; tests/python/requirements.txt has their versions."""

import catboost
import lightgbm
import numpy
import pandas
import pytest
import statsmodels.api
import xgboost
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelship_profile import ProfileError, build

ROWS = 120
RNG = numpy.random.default_rng(3)
X = pandas.DataFrame(RNG.normal(size=(ROWS, 3)), columns=["age", "pay", "years"])
CHURNS = (X["pay"] + RNG.normal(scale=0.5, size=ROWS) > 0).astype(int)
THREE = pandas.cut(X["age"], [-9, -0.5, 0.5, 9], labels=False)
# Not to be told from the features: a multinomial model of classes that are apart has no finite coefficients.
MIXED = pandas.Series(RNG.integers(0, 3, ROWS))
# Whole numbers, as a count of months is.
MONTHS = (X["pay"] * 10).round()
# Several topics a text.
TOPICS = numpy.column_stack([X["age"] > 0, X["pay"] > 0.3, X["years"] > -0.2]).astype(int)
# And none without any.
TOPICS[TOPICS.sum(axis=1) == 0, 2] = 1


def quiet_catboost(of, **said):
    return of(iterations=4, verbose=False, allow_writing_files=False, thread_count=1, **said)


# --- one prediction a row ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        quiet_catboost(catboost.CatBoostRegressor),
        lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1),
        xgboost.XGBRegressor(n_estimators=3, n_jobs=1),
        HistGradientBoostingRegressor(max_iter=3),
        make_pipeline(StandardScaler(), LinearRegression()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_regressor_predicts_numbers_whatever_else_it_carries(model):
    profile = build(model.fit(X, MONTHS), X)
    assert profile["kind"] == "number" and "classes" not in profile
    assert sum(profile["reference"]["counts"]) == ROWS
    # Whole predictions are no classes of theirs.
    assert build(model, X, predictions=MONTHS)["kind"] == "number"


@pytest.mark.parametrize(
    "model",
    [
        quiet_catboost(catboost.CatBoostClassifier),
        lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1),
        RandomForestClassifier(3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_of_texts_brings_the_names_of_its_classes(model):
    names = CHURNS.map({0: "stay", 1: "churn"})
    profile = build(model.fit(X, names), X)
    assert profile["kind"] == "class"
    assert profile["classes"] == [{"value": "churn", "name": "churn"}, {"value": "stay", "name": "stay"}]
    assert sum(profile["reference"]["classes"].values()) == ROWS


@pytest.mark.parametrize(
    "model",
    [
        quiet_catboost(catboost.CatBoostClassifier),
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1),
        lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_three_encoded_classes_get_the_names_that_are_given(model):
    profile = build(model.fit(X, THREE), X, classes=["young", "middle", "old"])
    assert profile["kind"] == "class" and [one["name"] for one in profile["classes"]] == ["young", "middle", "old"]
    assert sum(profile["reference"]["classes"].values()) == ROWS


@pytest.mark.parametrize(
    "model",
    [KMeans(3, n_init=1, random_state=0), IsolationForest(n_estimators=5, random_state=0)],
    ids=["clusters", "outliers"],
)
def test_clusters_and_outliers_are_classes(model):
    profile = build(model.fit(X), X)
    assert profile["kind"] == "class" and sum(profile["reference"]["classes"].values()) == ROWS


def test_fractions_of_a_classifier_are_asked_about():
    model = LogisticRegression().fit(X, CHURNS)
    scores = model.predict_proba(X)[:, 1]
    with pytest.raises(ProfileError, match="fractions, and not classes: say kind='probability', and of which class in positive"):
        build(model, X, predictions=scores)
    profile = build(model, X, predictions=scores, kind="probability", classes=["stay", "churn"], positive="churn")
    assert profile["classes"] == [{"name": "stay"}, {"name": "churn"}]


# --- probabilities that look like numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective, kind",
    [("binary", "probability"), ("multiclass", "probabilities"), ("l2", "number"), ("poisson", "number")],
)
def test_a_booster_of_lightgbm_is_what_its_objective_says(objective, kind):
    target = {"binary": CHURNS, "multiclass": THREE}.get(objective, MONTHS.abs())
    said = {"objective": objective, "verbose": -1, "num_threads": 1, **({"num_class": 3} if objective == "multiclass" else {})}
    model = lightgbm.train(said, lightgbm.Dataset(X, target), 3)
    assert build(model, X)["kind"] == kind
    # As it comes from a file, without its parameters.
    assert build(lightgbm.Booster(model_str=model.model_to_string()), X)["kind"] == kind


@pytest.mark.parametrize(
    "objective, kind",
    [
        ("binary:logistic", "probability"),
        ("multi:softprob", "probabilities"),
        ("multi:softmax", "class"),
        ("reg:squarederror", "number"),
        ("binary:logitraw", "number"),
    ],
)
def test_a_booster_of_xgboost_is_what_its_objective_says(objective, kind):
    target = CHURNS if objective.startswith("binary") else THREE if objective.startswith("multi") else MONTHS
    matrix = xgboost.DMatrix(X, target)
    said = {"objective": objective, "nthread": 1, **({"num_class": 3} if objective.startswith("multi") else {})}
    model = xgboost.train(said, matrix, 3)
    assert build(model, matrix)["kind"] == kind
    profile = build(model, X, predictions=model.predict(matrix))
    assert profile["kind"] == kind and list(profile["features"]) == list(X.columns)


def test_data_that_a_model_does_not_take_is_told_with_what_to_give():
    model = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, MONTHS), 2)
    with pytest.raises(ProfileError, match="does not take this data .*: give what it predicts as predictions="):
        build(model, X)


def of_one_s_own(predicted, data):
    return predicted - data.get_label(), numpy.ones(ROWS)


@pytest.mark.parametrize("objective", [of_one_s_own, "cross_entropy", "reg:logistic"])
def test_a_booster_whose_objective_does_not_tell_is_asked_about(objective):
    if objective == "reg:logistic":
        matrix = xgboost.DMatrix(X, CHURNS)
        model = xgboost.train({"objective": objective, "nthread": 1}, matrix, 3)
        predicted = model.predict(matrix)
    else:
        model = lightgbm.train({"objective": objective, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, CHURNS), 3)
        predicted = numpy.clip(model.predict(X), 0.01, 0.99)
    with pytest.raises(ProfileError, match="may be probabilities or quantities: say kind='probability' or kind='number'"):
        build(model, X, predictions=predicted)


def with_constant():
    return statsmodels.api.add_constant(X)


@pytest.mark.parametrize(
    "fit, kind",
    [
        (lambda: statsmodels.api.Logit(CHURNS, with_constant()).fit(disp=0), "probability"),
        (lambda: statsmodels.api.Probit(CHURNS, with_constant()).fit(disp=0), "probability"),
        (lambda: statsmodels.api.GLM(CHURNS, with_constant(), family=statsmodels.api.families.Binomial()).fit(), "probability"),
        (lambda: statsmodels.api.MNLogit(MIXED, with_constant()).fit(disp=0), "probabilities"),
        (lambda: statsmodels.api.OLS(MONTHS, with_constant()).fit(), "number"),
        (lambda: statsmodels.api.OLS(CHURNS * 0.2 + 0.3, with_constant()).fit(), "number"),
        (lambda: statsmodels.api.GLM(MONTHS.abs(), with_constant(), family=statsmodels.api.families.Poisson()).fit(), "number"),
    ],
    ids=["logit", "probit", "binomial", "multinomial", "ols", "ols within one", "poisson"],
)
def test_a_model_of_statsmodels_is_what_its_family_says(fit, kind):
    profile = build(fit(), with_constant())
    assert profile["kind"] == kind and "reference" in profile


def test_a_probability_of_a_booster_gets_its_classes_by_position():
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, CHURNS), 3)
    profile = build(model, X, classes=["stay", "churn"], positive="churn")
    assert profile["kind"] == "probability" and profile["classes"] == [{"name": "stay"}, {"name": "churn"}]
    assert sum(profile["reference"]["counts"]) == ROWS


@pytest.mark.parametrize("classes", [None, ["stay", "churn"]])
def test_figures_from_0_to_1_of_whatever_model_are_asked_about(classes):
    with pytest.raises(ProfileError, match="say kind='probability'"):
        build(predictions=numpy.array([[0.02], [0.97], [0.5]], dtype="float32"), classes=classes)
    assert build(predictions=[0.02, 1.97])["kind"] == "number"


class Layer:
    """A last layer, in the attributes of Keras'."""

    def __init__(self, activation, units):
        self.units = units
        self.activation = lambda: None
        self.activation.__name__ = activation


class Network:
    """TensorFlow is larger than all that is installed here."""

    def __init__(self, activation, units):
        self.layers = [Layer(activation, units)]

    def predict(self, data):
        scores = numpy.full((len(data), self.layers[0].units), 0.25, dtype="float32")
        return scores / scores.sum(axis=1, keepdims=True) if self.layers[0].units > 1 else scores


def test_a_network_is_what_its_last_layer_says():
    assert build(Network("sigmoid", 1), X)["kind"] == "probability"
    assert build(Network("softmax", 4), X, classes=["a", "b", "c", "d"])["kind"] == "probabilities"
    with pytest.raises(ProfileError, match="say kind='probability' or kind='number'"):
        build(Network("linear", 1), X)


# --- several values a row ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(3, random_state=0),
        KNeighborsClassifier(),
        MultiOutputClassifier(LogisticRegression()),
        OneVsRestClassifier(LogisticRegression()),
        ClassifierChain(LogisticRegression()),
        RidgeClassifier(),
        MLPClassifier((8,), solver="lbfgs", random_state=0),
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1),
        quiet_catboost(catboost.CatBoostClassifier, loss_function="MultiLogloss"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_of_several_labels_counts_each_label_once_a_row(model):
    names = MultiLabelBinarizer().fit([["art", "money", "sport"]])
    model.fit(X, TOPICS)
    profile = build(model, X, classes=names)
    assert profile["kind"] == "labels"
    assert profile["classes"] == [{"name": "art"}, {"name": "money"}, {"name": "sport"}]
    predicted = numpy.asarray(model.predict(X)).astype(int)
    labelled = X[predicted.sum(axis=1) > 0]
    counts = predicted.sum(axis=0)
    reference = build(model, labelled, classes=names)["reference"]["classes"]
    assert min(counts) > 0 and reference == dict(zip(["art", "money", "sport"], map(int, counts)))
    # A row without any label has no place in a reference, and would look like drift.
    assert ("reference" in profile) == (len(labelled) == ROWS)


def test_rows_with_one_label_each_are_still_labels_of_a_model_that_has_several():
    one_each = numpy.eye(3, dtype=int)[THREE]
    assert build(DecisionTreeClassifier(random_state=0).fit(X, one_each), X)["kind"] == "labels"
    with pytest.raises(ProfileError, match="kind='labels' when a row may have several of them, kind='probabilities'"):
        build(predictions=one_each)
    with pytest.raises(ProfileError, match="has 3 labels, but classes has 2 names"):
        build(predictions=one_each, kind="labels", classes=["a", "b"])


def test_probabilities_that_are_certain_of_every_row_are_probabilities():
    model = DecisionTreeClassifier(random_state=0).fit(X, THREE)
    profile = build(model, X, predictions=model.predict_proba(X), classes=["young", "middle", "old"])
    assert profile["kind"] == "probabilities" and [one["name"] for one in profile["classes"]] == ["young", "middle", "old"]


def test_what_labels_are_made_of_is_not_guessed_at():
    model = OneVsRestClassifier(LogisticRegression()).fit(X, TOPICS)
    with pytest.raises(ProfileError, match="a prediction has 3 values, and Modelship counts one"):
        build(model, X, predictions=model.predict_proba(X))
    with pytest.raises(ProfileError, match="not rows of 0 and 1, of probabilities, or of names"):
        build(model, X, predictions=model.decision_function(X), kind="labels")


def test_of_labels_probabilities_count_from_the_threshold_on():
    said = {"predictions": [[0.9, 0.4], [0.2, 0.3], [0.5, 0.6]], "kind": "labels", "classes": ["art", "sport"]}
    assert "reference" not in build(**said), "the second row has none"
    assert build(**said, threshold=0.3)["reference"] == {"classes": {"art": 2, "sport": 3}}


def test_lists_of_names_are_labels_where_they_can_be_nothing_else():
    profile = build(predictions=[["art", "sport"], ["art"], ["sport", "sport", "art"]])
    assert profile["kind"] == "labels"
    assert profile["classes"] == [{"value": "art", "name": "art"}, {"value": "sport", "name": "sport"}]
    assert profile["reference"] == {"classes": {"art": 3, "sport": 2}}
    assert "reference" not in build(predictions=[["art"], []])
    with pytest.raises(ProfileError, match="a prediction has 2 values.*or kind='labels' when all of them are labels of the row"):
        build(predictions=[["red", "big"], ["blue", "small"]])
    with pytest.raises(ProfileError, match="predicts 'sport', which has no name in classes"):
        build(predictions=[["art", "sport"], ["art"]], classes=["art"])


def test_of_several_outputs_one_is_asked_for_and_its_classes_are_known():
    model = RandomForestClassifier(3, random_state=0).fit(X, numpy.column_stack([THREE, CHURNS + 5]))
    with pytest.raises(ProfileError, match=r"Modelship counts one: say which in path, from path='\$\[0\]' to '\$\[1\]'"):
        build(model, X)
    profile = build(model, X, path="$[1]")
    assert profile["kind"] == "class" and profile["path"] == "$[1]"
    assert [one["value"] for one in profile["classes"]] == ["5", "6"]
    assert sum(profile["reference"]["classes"].values()) == ROWS


def test_of_several_targets_one_is_asked_for():
    shares = pandas.DataFrame({"rent": [0.25, 0.5] * (ROWS // 2), "food": [0.75, 0.5] * (ROWS // 2)})
    model = LinearRegression().fit(X, shares)
    # They are 1 together in every row, and no probabilities.
    with pytest.raises(ProfileError, match="a prediction has 2 values, and Modelship counts one"):
        build(model, X)
    assert build(model, X, path="$[0]")["kind"] == "number"
    with pytest.raises(ProfileError, match=r"path has the step 7"):
        build(model, X, path="$[7]")
