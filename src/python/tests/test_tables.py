"""Predictions and data in whatever holds them: pandas, polars, Arrow, NumPy, plain lists."""

import numpy
import pandas
import polars
import pyarrow
import pytest
from sklearn.linear_model import LinearRegression

from modelship_profile import ProfileError, build

ROWS = 120
X = pandas.DataFrame(numpy.random.default_rng(3).normal(size=(ROWS, 3)), columns=["age", "pay", "years"])
MONTHS = (X["pay"] * 10).round()


# --- frames, maps and whatever else predict gives ------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        pandas.DataFrame({"label": ["a", "b", "a"], "sure": [0.5, 0.75, 0.625]}),
        polars.DataFrame({"label": ["a", "b", "a"], "sure": [0.5, 0.75, 0.625]}),
        polars.LazyFrame({"label": ["a", "b", "a"], "sure": [0.5, 0.75, 0.625]}),
        pyarrow.table({"label": ["a", "b", "a"], "sure": [0.5, 0.75, 0.625]}),
        {"label": numpy.array(["a", "b", "a"]), "sure": numpy.array([0.5, 0.75, 0.625])},
        [{"label": "a", "sure": 0.5}, {"label": "b", "sure": 0.75}, {"label": "a", "sure": 0.625}],
    ],
    ids=["pandas", "polars", "lazy", "arrow", "map", "records"],
)
def test_of_several_columns_one_is_asked_for_and_their_names_are_no_classes(frame):
    with pytest.raises(ProfileError, match=r"columns, label, sure: say which one Modelship counts, such as path='\$\.label'"):
        build(predictions=frame)
    profile = build(predictions=frame, path="$.label")
    assert profile["kind"] == "class" and profile["reference"] == {"classes": {"a": 2, "b": 1}}
    with pytest.raises(ProfileError, match="path leads to 'gone', but the predictions have label, sure"):
        build(predictions=frame, path="$.gone")


def test_a_frame_of_probabilities_has_its_columns_for_classes():
    frame = pandas.DataFrame({"cat": [0.9, 0.2], "dog": [0.1, 0.8]})
    profile = build(predictions=frame, kind="probabilities")
    assert profile["classes"] == [{"name": "cat"}, {"name": "dog"}] and profile["reference"] == {"classes": {"cat": 1, "dog": 1}}


@pytest.mark.parametrize(
    "predictions, words",
    [
        ((numpy.array([0, 1]), numpy.array([[0.9, 0.1], [0.2, 0.8]])), "answers with a tuple of 2"),
        ([[0.5, 0.5], [1.0]], "differ in length or depth"),
        (numpy.zeros((2, 3, 4)), "differ in length or depth"),
        ([None, None], "all predictions are missing"),
        (pandas.Series(pandas.to_datetime(["2026-01-01", "2026-02-01"])), "the predictions are dates"),
        (numpy.array(["2026-01-01", "2026-02-01"], dtype="datetime64[ns]"), "the predictions are dates"),
        (pandas.DataFrame({"a": [], "b": []}), "several columns|no predictions"),
        (pandas.DataFrame({"a": []}), "there are no predictions"),
        ([{"x", "y"}], "among the predictions there is a set"),
        ([[-0.1, -2.3], [-1.2, -0.4]], "kind='probabilities' when the largest is its class"),
    ],
    ids=["tuple", "ragged", "deep", "missing", "dates", "moments", "empty frame", "empty column", "sets", "log"],
)
def test_what_no_kind_describes_is_an_error_with_its_remedy(predictions, words):
    with pytest.raises(ProfileError, match=words):
        build(predictions=predictions)


def test_missing_predictions_hide_no_kind():
    assert build(predictions=["a", None, "b"])["kind"] == "class"
    assert build(predictions=[1.5, None, 2.5])["kind"] == "number"


# --- data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [polars.from_pandas, lambda frame: polars.from_pandas(frame).lazy(), pyarrow.Table.from_pandas])
def test_tables_of_polars_and_arrow_are_read_as_pandas_are(of):
    expected = build(None, X, predictions=["a"] * ROWS)
    made = build(None, of(X), predictions=["a"] * ROWS)
    assert made == expected and list(made["features"]) == ["age", "pay", "years"]


def test_a_lazy_frame_is_fetched_once_and_given_to_the_model():
    model = LinearRegression().fit(X, MONTHS)
    lazy = polars.from_pandas(X).lazy()
    assert build(model, lazy)["reference"] == build(model, X)["reference"]


@pytest.mark.parametrize(
    "moments, day",
    [
        (pandas.date_range("2026-03-01 10:17:31", periods=3, freq="D"), "2026-03-02T00:00:00"),
        (pandas.date_range("2026-03-01 10:17:31", periods=3, freq="D", tz="UTC"), "2026-03-02T00:00:00+00:00"),
        (pandas.date_range("2026-03-01", periods=3, freq="D").date, "2026-03-02"),
    ],
    ids=["naive", "zoned", "dates"],
)
def test_an_example_has_a_day_for_a_moment_and_no_row_s_own(moments, day):
    data = pandas.DataFrame({"since": moments, "pay": [1.0, 2.0, 3.0]})
    profile = build(None, data, predictions=["a"] * 3)
    assert profile["example"]["body"]["dataframe_split"]["data"] == [[day, 2.0]]
    assert list(profile["features"]) == ["pay"]


def test_moments_in_an_array_are_no_quantities():
    data = {
        "since": numpy.array(["2026-01-01", "2026-01-02"], dtype="datetime64[ns]"),
        "took": numpy.array([5, 6], dtype="timedelta64[ns]"),
    }
    profile = build(None, data, predictions=["a", "b"])
    assert "features" not in profile
    assert profile["example"]["body"]["dataframe_split"]["data"][0] == ["2026-01-01T00:00:00", None]


def test_an_example_that_is_no_json_is_told():
    with pytest.raises(ProfileError, match="example is no JSON body of a request"):
        build(predictions=["a"], example={"inputs": X.head(1)})
