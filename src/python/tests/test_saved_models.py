"""from-model on what real flavours of MLflow save: what a command line has to say of them, and what they tell themselves."""

import json
import shutil

import lightgbm
import mlflow
import pandas
import pytest
import skl2onnx
import statsmodels.api
from sklearn.linear_model import LinearRegression, LogisticRegression

from modelship_profile import cli

ROWS = 60
X = pandas.DataFrame({"age": [20.0 + row % 40 for row in range(ROWS)], "pay": [1.0 + row % 7 for row in range(ROWS)]})
CHURNS = (X["pay"] > 3).astype(int)
NEEDS = {"pip_requirements": ["mlflow"]}


class Plain(mlflow.pyfunc.PythonModel):
    """Without type hints: takes and gives what it likes."""

    def __init__(self, answer):
        self.answer = answer

    def predict(self, context, model_input, params=None):
        return self.answer(model_input)


class Hinted(mlflow.pyfunc.PythonModel):
    """Its type hints are its signature."""

    def predict(self, model_input: list[dict[str, float]], params=None) -> list[str]:
        return ["churn" if row["pay"] > 3 else "stay" for row in model_input]


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory):
    """MLflow puts a database where it is called, even for what is only saved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture
def saved(tmp_path, capsys):
    """Saves by a flavour, and gives what from-model makes of it: its profile, or its error."""

    def saved(flavour, *arguments, data=None, **said):
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        # As a script does it that knows no run and no server.
        flavour.save_model(path=str(folder), **NEEDS, **said)
        output = tmp_path / "profile.json"
        command = ["from-model", "--model", str(folder), "--output", str(output), *arguments]
        if data is not None:
            (tmp_path / "train.csv").write_text(data)
            command += ["--data", str(tmp_path / "train.csv")]
        code = cli.main(command)
        words = capsys.readouterr().err
        return (json.loads(output.read_text()), words) if code == 0 else (None, words)

    return saved


def as_csv(frame=X):
    return frame.to_csv(index=False)


# --- flavours ------------------------------------------------------------------------------------------------------


def test_a_model_that_was_only_saved_gives_its_own_example(saved):
    profile, _ = saved(mlflow.sklearn, sk_model=LogisticRegression().fit(X, CHURNS), input_example=X.head(1))
    assert profile["kind"] == "class" and [one["value"] for one in profile["classes"]] == ["0", "1"]
    assert profile["example"]["body"]["dataframe_split"]["columns"] == ["age", "pay"]
    assert "reference" not in profile


def test_a_python_model_says_nothing_of_itself_and_is_asked_for_what_its_answers_do_not_tell(saved):
    profile, _ = saved(mlflow.pyfunc, python_model=Plain(lambda data: ["yes"] * len(data)), data=as_csv())
    assert profile["kind"] == "class" and profile["reference"] == {"classes": {"yes": ROWS}}


@pytest.mark.parametrize("arguments, words", [([], "say kind='class' or kind='number'"), (["--kind", "number"], None)])
def test_a_python_model_of_whole_numbers_is_asked_about(saved, arguments, words):
    profile, said = saved(mlflow.pyfunc, *arguments, python_model=Plain(lambda data: [3] * len(data)), input_example=X.head(2))
    assert words in said if words else profile["kind"] == "number"


def test_a_python_model_of_probabilities_is_asked_about_with_the_arguments_of_the_command(saved):
    model = Plain(lambda data: pandas.Series([0.25] * len(data)))
    profile, words = saved(mlflow.pyfunc, python_model=model, data=as_csv())
    assert profile is None and "say kind='probability' or kind='number'" in words
    arguments = ["--kind", "probability", "--classes", "stay,churn", "--positive", "churn"]
    profile, _ = saved(mlflow.pyfunc, *arguments, python_model=model, data=as_csv())
    assert profile["positive"] == "churn"


def test_a_python_model_with_type_hints_is_read(saved):
    model = Hinted()
    profile, _ = saved(mlflow.pyfunc, python_model=model, input_example=X.head(3).to_dict("records"))
    assert profile["kind"] == "class" and {one["name"] for one in profile["classes"]} == {"stay"}


def test_a_python_model_that_answers_with_objects_is_asked_for_the_path(saved):
    model = Plain(lambda data: [{"label": "a", "score": 0.75}] * len(data))
    profile, words = saved(mlflow.pyfunc, python_model=model, data=as_csv())
    assert profile is None and "such as path='$.label'" in words
    profile, _ = saved(mlflow.pyfunc, "--path", "$.label", python_model=model, data=as_csv())
    assert profile["path"] == "$.label" and profile["reference"] == {"classes": {"a": ROWS}}


def test_probabilities_that_mlflow_was_told_to_ask_for_are_no_classes(saved):
    model = LogisticRegression().fit(X, CHURNS)
    profile, _ = saved(mlflow.sklearn, sk_model=model, pyfunc_predict_fn="predict_proba", data=as_csv())
    assert profile["kind"] == "probabilities" and profile["classes"] == [{"name": "0"}, {"name": "1"}]


def test_a_regressor_on_whole_targets_is_one_behind_mlflow_too(saved):
    profile, _ = saved(mlflow.sklearn, sk_model=LinearRegression().fit(X, X["age"] * 0), data=as_csv())
    assert profile["kind"] == "number"


def test_a_booster_behind_mlflow_speaks_probabilities(saved):
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, CHURNS), 2)
    profile, _ = saved(mlflow.lightgbm, "--classes", "stay,churn", lgb_model=model, data=as_csv())
    assert profile["kind"] == "probability" and profile["classes"] == [{"name": "stay"}, {"name": "churn"}]


def test_a_logit_behind_mlflow_speaks_probabilities(saved):
    noisy = CHURNS.copy()
    noisy[::5] = 1 - noisy[::5]
    model = statsmodels.api.Logit(noisy, X).fit(disp=0)
    profile, _ = saved(mlflow.statsmodels, statsmodels_model=model, data=as_csv())
    assert profile["kind"] == "probability"


@pytest.mark.parametrize("signed_by", ["frame", "array"])
def test_an_onnx_classifier_has_a_label_and_probabilities_of_which_one_is_asked_for(saved, signed_by):
    rows = X.astype("float32")
    model = LogisticRegression().fit(rows.to_numpy(), CHURNS.map({0: "stay", 1: "churn"}))
    said = {
        "onnx_model": skl2onnx.to_onnx(model, rows.to_numpy()[:1]),
        "signature": mlflow.models.infer_signature(rows if signed_by == "frame" else rows.to_numpy()),
        "data": as_csv(),
    }
    profile, words = saved(mlflow.onnx, **said)
    assert profile is None and "several columns, output_label, output_probability" in words
    assert "path='$.output_label'" in words
    profile, _ = saved(mlflow.onnx, "--path", "$.output_label", **said)
    assert profile["kind"] == "class" and set(profile["reference"]["classes"]) == {"stay", "churn"}
    assert list(profile["example"]["body"]) == ["dataframe_split" if signed_by == "frame" else "inputs"]


# --- the data of a CSV file ----------------------------------------------------------------------------------------

SHOP = pandas.DataFrame(
    {
        "zip": ["01234", "89073"] * 30,
        "member": [True, False, False] * 20,
        "since": pandas.date_range("2026-01-01", periods=ROWS, freq="D"),
        "visits": range(ROWS),
    }
)


def seen(data):
    """The types that a model was given, one class each row."""
    zip_code = data["zip"].iloc[0]
    types = [type(zip_code).__name__, zip_code, data["member"].dtype, data["since"].dtype.kind, data["visits"].dtype]
    return [" ".join(map(str, types))] * len(data)


@pytest.mark.parametrize("signed", [True, False])
def test_a_zip_code_stays_text_and_a_boolean_one(saved, signed):
    said = {"signature": mlflow.models.infer_signature(SHOP)} if signed else {}
    profile, words = saved(mlflow.pyfunc, python_model=Plain(seen), data=SHOP.to_csv(index=False), **said)
    # Without a signature nothing tells that a text is a date.
    moment = "M" if signed else "O"
    assert profile, words
    assert list(profile["reference"]["classes"]) == [f"str 01234 bool {moment} int64"]
    assert profile["features"]["zip"] == {"missing": 0, "classes": {"01234": 30, "89073": 30}}
    assert profile["features"]["member"] == {"missing": 0, "classes": {"false": 40, "true": 20}}
    example = profile["example"]["body"]["dataframe_split"]
    row = dict(zip(example["columns"], example["data"][0]))
    assert row["zip"] == "01234" and row["member"] is False
    assert row["since"] == ("2026-01-30T00:00:00" if signed else "")


def test_a_text_of_digits_is_one_where_the_signature_says_so(saved):
    shop = SHOP.assign(zip=["10115", "89073"] * 30)
    signature = mlflow.models.infer_signature(shop)
    profile, _ = saved(mlflow.pyfunc, python_model=Plain(seen), data=shop.to_csv(index=False), signature=signature)
    assert list(profile["reference"]["classes"]) == ["str 10115 bool M int64"]


def test_what_does_not_fit_the_signature_is_told_with_its_column(saved):
    signature = mlflow.models.infer_signature(SHOP)
    for column, value in (("visits", "many"), ("member", "perhaps"), ("since", "yesterday-ish")):
        wrong = SHOP.astype(str).assign(**{column: value})
        profile, words = saved(mlflow.pyfunc, python_model=Plain(seen), data=wrong.to_csv(index=False), signature=signature)
        assert profile is None and f"column {column!r}: the model's signature says" in words, words


def test_the_example_of_a_date_is_one_that_the_model_takes(saved, tmp_path):
    signature = mlflow.models.infer_signature(SHOP)
    profile, _ = saved(mlflow.pyfunc, python_model=Plain(seen), data=SHOP.to_csv(index=False), signature=signature)
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    schema = mlflow.models.Model.load(str(tmp_path / "model")).get_input_schema()
    data = infer_and_parse_data(profile["example"]["body"], schema)
    assert len(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(data)) == 1
