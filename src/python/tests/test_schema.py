"""schema.json, and that our reading of it is the real one."""

import copy
import json
import pathlib

import jsonschema
import pytest
import yaml

import modelship_profile
from modelship_profile import ProfileError, schema

GOOD = {
    "version": 1,
    "kind": "class",
    "path": "$.label",
    "classes": [{"value": "0", "name": "stay"}, {"value": "1", "name": "churn"}],
    "reference": {"classes": {"stay": 800, "churn": 200}},
    "example": {"body": {"inputs": [[1.0]]}, "path": "/predict"},
    "features": {"age": {"missing": 0, "bounds": ["30", "40.5"], "counts": [1, 2, 3]}},
    "rows": 1000,
    "metrics": {"f1_score": 0.8},
    "dropped": [],
}

# What is wrong, by the words of the message; the first ones a schema can tell, the others only we.
BAD = [
    (["kind"], "klass", "must be one of"),
    (["path"], "label", "does not match"),
    (["path"], "", "characters"),
    (["classes"], [{"value": "0"}], "lacks the field name"),
    (["classes"], {}, "type array"),
    (["classes", 0, "name"], "a" * 65, "64 characters"),
    (["reference", "classes", "stay"], -1, "between 0"),
    (["reference", "classes", "stay"], 1.5, "type integer"),
    (["reference", "classes", "stay"], True, "type integer"),
    (["reference"], {"classes": {f"c{number}": 1 for number in range(50)}}, "at most 49"),
    (["reference"], {"bounds": ["1"]}, "either classes or bounds and counts"),
    (["reference"], {"bounds": ["1"], "counts": [1, 2], "classes": {"stay": 1}}, "either"),
    (["features", "age", "bounds"], ["1e3", "2e3"], "does not match"),
    (["features", "age", "bounds"], [str(number) for number in range(31)], "at most 30"),
    (["features", "age"], {"missing": 1}, "either"),
    (["metrics", "f1_score"], "good", "type number"),
    (["example"], {}, "lacks the field body"),
]
WORSE = [
    (["features", "age", "bounds"], ["40.5", "30"], "must rise"),
    (["features", "age", "counts"], [1, 2], "one count more"),
    (["reference", "classes"], {"stay": 0}, "no count above 0"),
    (["reference", "classes"], {"gone": 1}, "none of profile.classes"),
    (["reference"], {"bounds": ["1"], "counts": [1, 1]}, "kind number or probability"),
    (["classes", 1, "value"], "0", "one value twice"),
    (["positive"], "churn", "kind probability"),
]


def changed(path, value):
    profile = copy.deepcopy(GOOD)
    at = profile
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return profile


def test_a_good_profile_is_good_to_both():
    schema.check(GOOD)
    jsonschema.Draft202012Validator.check_schema(schema.schema())
    jsonschema.Draft202012Validator(schema.schema()).validate(GOOD)


@pytest.mark.parametrize("path, value, words", BAD)
def test_what_the_schema_refuses_is_refused_with_its_field(path, value, words):
    profile = changed(path, value)
    assert not jsonschema.Draft202012Validator(schema.schema()).is_valid(profile)
    with pytest.raises(ProfileError, match=words):
        schema.check(profile)


@pytest.mark.parametrize("path, value, words", WORSE)
def test_what_no_schema_can_say_is_refused_too(path, value, words):
    with pytest.raises(ProfileError, match=words):
        schema.check(changed(path, value))


def test_a_profile_of_a_future_version_says_what_to_update():
    with pytest.raises(ProfileError, match="version 2, and this modelship_profile reads up to version 1: update it"):
        schema.check({**GOOD, "version": 2})


def test_unknown_fields_are_ignored():
    schema.check({**GOOD, "colour": "red"})


@pytest.mark.parametrize("text, words", [("{", "not JSON"), ('{"version": NaN}', "NaN is no JSON"), ("[]", "type object")])
def test_a_file_that_is_no_profile_is_named(tmp_path, text, words):
    file = tmp_path / "profile.json"
    file.write_text(text)
    with pytest.raises(ProfileError, match=f"profile.json.*{words}"):
        modelship_profile.load(file)


def test_a_file_of_any_length_is_not_read(tmp_path):
    file = tmp_path / "profile.json"
    file.write_text(" " * (schema.MOST_BYTES + 1))
    with pytest.raises(ProfileError, match="at most"):
        modelship_profile.load(file)


def test_labels_are_a_kind_to_both():
    labels = {**GOOD, "kind": "labels", "classes": [{"name": "stay"}, {"name": "churn"}]}
    schema.check(labels)
    jsonschema.Draft202012Validator(schema.schema()).validate(labels)


def crd_predictions():
    crd = next((pathlib.Path(__file__).parents[3] / "crds").glob("*.yaml"))
    version = yaml.safe_load(crd.read_text())["spec"]["versions"][0]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["predictions"]


@pytest.mark.parametrize(
    "said",
    [
        {"predictions": ["a", "b"]},
        {"predictions": [0, 1], "classes": ["stay", "churn"], "path": "$.label"},
        {"predictions": [[0.2, 0.8]], "classes": ["stay", "churn"]},
        {"predictions": [0.2, 0.4], "kind": "probability", "classes": ["a", "b"], "positive": "b", "threshold": 0.25},
        {"predictions": [1e-7, 250000.5, -3.25]},
    ],
)
def test_a_model_deployment_takes_these_fields_as_they_are(said, tmp_path, capsys):
    from modelship_profile import cli

    output = tmp_path / "profile.json"
    modelship_profile.write(output=output, **said)
    assert cli.main(["predictions", "--profile", str(output)]) == 0
    predictions = json.loads(capsys.readouterr().out)
    rules = crd_predictions()
    jsonschema.Draft202012Validator(rules).validate(predictions)
    assert set(predictions) <= set(rules["properties"])
    if "reference" in predictions:
        assert set(predictions["reference"]) <= set(rules["properties"]["reference"]["properties"])
