"""What a profile says of a model and its data."""

import itertools
import json
import math

import numpy
import pandas
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import LabelEncoder

import modelship_profile
from modelship_profile import ProfileError, build


@pytest.fixture(scope="module")
def staff():
    rng = numpy.random.default_rng(7)
    return pandas.DataFrame(
        {
            "age": rng.integers(18, 65, 400),
            "pay": rng.gamma(3.0, 1000.0, 400),
            "department": rng.choice(["sales", "research"], 400),
        }
    )


@pytest.fixture(scope="module")
def leaver(staff):
    """A classifier over label-encoded classes, and its encoder."""
    encoder = LabelEncoder()
    encoded = encoder.fit_transform(numpy.where(staff["pay"] > 3000, "stay", "churn"))
    return RandomForestClassifier(10, random_state=0).fit(staff[["age", "pay"]], encoded), encoder


def test_names_of_a_label_encoder_stand_for_the_encoded_values(staff, leaver):
    model, encoder = leaver
    features = staff[["age", "pay"]]
    profile = build(model, features, classes=encoder)
    assert profile["kind"] == "class"
    assert profile["classes"] == [{"value": "0", "name": "churn"}, {"value": "1", "name": "stay"}]
    encoded = model.predict(features)
    assert profile["reference"] == {"classes": {"churn": int((encoded == 0).sum()), "stay": int((encoded == 1).sum())}}
    assert profile["rows"] == 400


def test_a_list_of_names_follows_the_model_s_own_classes(staff):
    features = staff[["age", "pay"]]
    model = LogisticRegression(max_iter=500).fit(features / 1000, numpy.where(staff["pay"] > 3000, 7, 5))
    profile = build(model, features / 1000, classes=["low", "high"])
    assert profile["classes"] == [{"value": "5", "name": "low"}, {"value": "7", "name": "high"}]


def test_texts_are_not_renamed_by_their_order():
    predictions = ["stay", "churn", "stay"]
    assert build(predictions=predictions, classes=["churn", "stay"])["reference"] == {"classes": {"churn": 1, "stay": 2}}
    with pytest.raises(ProfileError, match="'stay', which has no name"):
        build(predictions=predictions, classes=["left", "churn"])
    renamed = build(predictions=predictions, classes={"stay": "loyal", "churn": "gone"})
    assert renamed["reference"] == {"classes": {"gone": 1, "loyal": 2}}


def test_rows_of_probabilities_are_counted_by_the_likeliest_class():
    profile = build(predictions=[[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.3, 0.5, 0.2]], classes=["cat", "dog", "owl"])
    assert profile["kind"] == "probabilities"
    assert profile["classes"] == [{"name": "cat"}, {"name": "dog"}, {"name": "owl"}]
    assert profile["reference"] == {"classes": {"cat": 1, "dog": 2}}
    with pytest.raises(ProfileError, match="3 probabilities, but classes has 2 names"):
        build(predictions=[[0.1, 0.7, 0.2]], classes=["cat", "dog"])


@pytest.mark.parametrize(
    "classes",
    [
        {0: "cat", 1: "dog", 2: "owl"},
        {"2": "owl", "0": "cat", "1": "dog"},
        # As class_indices of Keras' loaders.
        {"owl": 2, "cat": 0, "dog": 1},
    ],
)
def test_names_by_position_stand_where_their_position_says_however_it_is_written(classes):
    profile = build(predictions=[[0.1, 0.7, 0.2], [0.8, 0.1, 0.1]], classes=classes)
    assert profile["classes"] == [{"name": "cat"}, {"name": "dog"}, {"name": "owl"}]
    assert profile["reference"] == {"classes": {"cat": 1, "dog": 1}}


@pytest.mark.parametrize("classes", [{"c": "cat", "d": "dog"}, {1: "cat", 2: "dog"}])
def test_a_position_that_nobody_tells_is_asked_for(classes):
    with pytest.raises(ProfileError, match="give the names as a list in the order of the row"):
        build(predictions=[[0.3, 0.7]], classes=classes)


def test_a_probability_has_ranges_and_a_positive_class():
    profile = build(
        predictions=[0.05, 0.1, 0.9, 0.95], kind="probability", classes=["stay", "churn"], positive="churn", threshold=0.4
    )
    assert profile["positive"] == "churn" and profile["threshold"] == "0.4"
    assert sum(profile["reference"]["counts"]) == 4
    with pytest.raises(ProfileError, match="positive is one of two names"):
        build(predictions=[0.1], kind="probability", classes=["stay", "churn"], positive="gone")


def test_numbers_are_spread_over_tenths():
    profile = build(predictions=list(range(1, 101)), kind="number")
    assert profile["reference"] == {
        "bounds": ["10", "20", "30", "40", "50", "60", "70", "80", "90"],
        "counts": [10] * 10,
    }


def test_a_bound_counts_what_is_equal_to_it_and_what_is_not_finite_is_left_out():
    profile = build(predictions=[1.0, 1.0, 1.0, 2.0, math.nan, math.inf, -math.inf], kind="number")
    assert profile["reference"] == {"bounds": ["1"], "counts": [3, 1]}


def test_a_constant_prediction_has_a_reference_too():
    assert build(predictions=[5.0, 5.0], kind="number")["reference"] == {"bounds": ["5"], "counts": [2, 0]}


def test_whole_numbers_are_not_guessed_at(staff):
    with pytest.raises(ProfileError, match="kind='class' or kind='number'"):
        build(predictions=[1, 2, 3])
    features = staff[["age"]]
    assert build(LinearRegression().fit(features, staff["age"]), features)["kind"] == "number"


def test_more_classes_than_a_reference_holds_leave_it_out():
    predictions = [f"class-{number}" for number in range(50)]
    profile = build(predictions=predictions)
    assert "reference" not in profile and len(profile["classes"]) == 50
    assert "reference" in build(predictions=predictions[:49])
    assert "classes" not in build(predictions=[f"class-{number}" for number in range(101)])


@pytest.mark.parametrize("name", ["", "__other__", "two\nlines", "a" * 65, "ä" * 33])
def test_what_cannot_name_a_class_is_refused(name):
    with pytest.raises(ProfileError, match="cannot be the name of a class"):
        build(predictions=[0, 1], classes=["good", name])


def test_no_row_of_the_data_and_nothing_rare_is_in_a_profile():
    people = pandas.DataFrame(
        {
            "mail": [f"person{number}@example.org" for number in range(60)],
            "town": ["Ulm"] * 30 + ["Bonn"] * 26 + ["Eltz"] * 4,
            "pay": [1000.0 + 37 * number for number in range(60)],
        }
    )
    profile = build(None, people, predictions=["yes"] * 60)
    text = json.dumps(profile)
    assert "person" not in text and "Eltz" not in text
    assert profile["features"]["town"] == {"missing": 0, "classes": {"Bonn": 26, "Ulm": 30, "__other__": 4}}
    assert profile["features"]["mail"] == {"missing": 0, "classes": {"__other__": 60}}
    row = profile["example"]["body"]["dataframe_split"]["data"][0]
    assert row[:2] == ["", "Ulm"]


def test_an_example_is_one_that_the_model_takes(staff, leaver):
    model, _ = leaver
    example = build(model, staff[["age", "pay"]])["example"]["body"]["dataframe_split"]
    row = pandas.DataFrame(example["data"], columns=example["columns"])
    assert len(model.predict(row)) == 1
    assert isinstance(example["data"][0][0], int), "an integer column stays one: MLflow's schema insists"


def test_missing_values_are_counted_and_no_bin_has_them():
    data = pandas.DataFrame({"pay": [1.0, None, 3.0, 4.0], "town": ["Ulm"] * 2 + [None, pandas.NA]})
    features = build(None, data, predictions=["a"] * 4)["features"]
    assert features["pay"]["missing"] == 1 and sum(features["pay"]["counts"]) == 3
    assert features["town"]["missing"] == 2


def test_images_have_no_features_and_wide_tables_neither():
    assert "features" not in build(None, numpy.zeros((4, 8, 8)), predictions=["cat"] * 4)
    assert "features" not in build(None, numpy.zeros((4, 101)), predictions=["cat"] * 4)


def test_a_loader_that_begins_anew_for_ever_is_no_table():
    class Loader:
        def __len__(self):
            return 2

        def __iter__(self):
            for at in itertools.count():
                assert at < 1000, "it would be walked through for ever"
                yield [0.5, 0.5]

    profile = build(None, Loader(), predictions=["cat", "dog"])
    assert "features" not in profile and "example" not in profile


@pytest.mark.parametrize("data", [[{"pay": 1.5}, {"pay": 2.5}], {"pay": [1.5, 2.5]}, [[1.5], [2.5]]])
def test_tables_without_pandas_are_read(data):
    (feature,) = build(None, data, predictions=["a", "b"])["features"].values()
    assert feature == {"missing": 0, "bounds": ["1.5"], "counts": [1, 1]}


def test_figures_are_plain_decimals_of_bounded_length():
    bounds = build(predictions=[1e-19, 0.1 + 0.2, 123456789.123, 1e18], kind="number")["reference"]["bounds"]
    assert bounds == ["0.0000000000000000001", "0.3", "123457000"]
    with pytest.raises(ProfileError, match="more than 24 digits"):
        build(predictions=[1e40, 1e41], kind="number")


def test_metrics_that_are_no_numbers_are_left_out():
    profile = build(predictions=["a"], metrics={"f1": numpy.float64(0.5), "loss": math.nan, "note": "x"})
    assert profile["metrics"] == {"f1": 0.5}


def test_the_file_is_written_without_any_run(tmp_path):
    output = tmp_path / "out" / "modelship-profile.json"
    profile = modelship_profile.write(predictions=["a", "b"], output=output)
    assert modelship_profile.load(output) == profile
