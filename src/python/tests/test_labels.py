"""The labels of an image, within their limits."""

import json

import pytest

from modelship_profile import ProfileError, build, cli, labels

PROFILE = {
    "version": 1,
    "kind": "class",
    "classes": [{"value": "0", "name": "stay"}, {"value": "1", "name": "churn"}],
    "reference": {"classes": {"stay": 8, "churn": 2}},
    "example": {"body": {"inputs": [[1.0, 2.0]]}},
    "features": {"age": {"missing": 0, "bounds": ["30"], "counts": [4, 6]}},
    "metrics": {"f1_score": 0.8},
}


def room_for(*dropped):
    """Bytes of a profile without these."""
    kept = {name: value for name, value in PROFILE.items() if name not in dropped}
    return len(labels.compact({**kept, "dropped": list(dropped)}))


def test_all_labels_have_their_place():
    made = labels.make(
        PROFILE,
        run_id="4a5b",
        tracking_uri="https://alice:secret@dagshub.com/alice/churn.mlflow?token=x",
        model_version="3",
        revision="0c0ffee",
        source="git@github.com:alice/churn.git",
        created="2026-11-24T10:00:00Z",
    )
    assert json.loads(made.pop("dev.modelship.profile")) == PROFILE
    assert made == {
        "dev.modelship.mlflow.run-id": "4a5b",
        "dev.modelship.mlflow.tracking-uri": "https://dagshub.com/alice/churn.mlflow",
        "dev.modelship.model-version": "3",
        "org.opencontainers.image.revision": "0c0ffee",
        "org.opencontainers.image.source": "https://github.com/alice/churn",
        "org.opencontainers.image.created": "2026-11-24T10:00:00Z",
    }


@pytest.mark.parametrize("address", ["file:///home/alice/mlruns", "sqlite:///mlflow.db", "./mlruns", "databricks"])
def test_a_tracking_server_that_means_nothing_elsewhere_is_left_out(address):
    assert labels.TRACKING_URI not in labels.make(PROFILE, tracking_uri=address)


@pytest.mark.parametrize(
    "remote, address",
    [
        ("https://token@github.com/alice/churn.git", "https://github.com/alice/churn"),
        ("ssh://git@github.com/alice/churn.git", "https://github.com/alice/churn"),
        ("http://[::1]:3000/alice/churn", "http://[::1]:3000/alice/churn"),
        ("/srv/git/churn", None),
    ],
)
def test_a_remote_becomes_a_web_address_without_passwords(remote, address):
    assert labels.web_address(remote) == address


@pytest.mark.parametrize(
    "dropped",
    [
        ["features"],
        ["features", "example"],
        ["features", "example", "metrics"],
        ["features", "example", "metrics", "reference"],
        ["features", "example", "metrics", "reference", "classes"],
    ],
)
def test_what_does_not_fit_is_left_out_in_order_and_named(dropped):
    kept = json.loads(labels.fitted(PROFILE, room_for(*dropped)))
    assert kept["dropped"] == dropped
    assert set(kept) == {*PROFILE, "dropped"} - set(dropped)


def test_labels_that_cannot_fit_are_an_error():
    with pytest.raises(ProfileError, match="does not fit into 20 bytes"):
        labels.fitted(PROFILE, 20)


def test_the_largest_profile_stays_within_the_limit():
    wide = build(
        None,
        {f"feature {number}": [float(row * number) for row in range(1000)] for number in range(100)},
        predictions=["name of a class " + str(row % 49) for row in range(1000)],
    )
    made = labels.make(wide, run_id="r" * 32, revision="c" * 40)
    assert labels.size(made) <= 16 * 1024
    assert json.loads(made[labels.PROFILE])["dropped"] == ["features"]


@pytest.mark.parametrize("value", ["two\nlines", "a" * 1025])
def test_another_label_takes_one_short_line(value):
    with pytest.raises(ProfileError, match="model-version takes one line"):
        labels.make(PROFILE, model_version=value)


def test_labels_are_ascii_in_one_line_for_any_name():
    made = labels.make(build(predictions=['d"é$HOME\\', "日本"]))
    assert made[labels.PROFILE].isascii() and "\n" not in made[labels.PROFILE]
    (line,) = labels.as_lines(made, "dockerfile")
    # A Dockerfile's double quotes know these three escapes.
    value = line.split("=", 1)[1][1:-1]
    for character in '"$\\':
        value = value.replace("\\" + character, {'"': "\0", "$": "\1", "\\": "\2"}[character])
    assert "$" not in value and '"' not in value
    assert value.replace("\0", '"').replace("\1", "$").replace("\2", "\\") == made[labels.PROFILE]


@pytest.mark.parametrize("form, start", [("arguments", "--label=dev"), ("file", "dev"), ("dockerfile", "LABEL dev")])
def test_the_command_prints_one_line_for_each_label(form, start, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.setenv("GITHUB_SHA", "abc")
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(PROFILE))
    command = ["labels", "--profile", str(file), "--run-id", "4a5b", "--source", "https://example.org/a/b"]
    assert cli.main([*command, "--format", form]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].startswith(start)
    assert any("image.created" in line and "1970-01-01T00:00:00Z" in line for line in lines)
    assert any("image.revision" in line and "abc" in line for line in lines)


def test_the_command_says_what_it_left_out_and_fails_when_nothing_fits(tmp_path, capsys):
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(PROFILE))
    command = ["labels", "--profile", str(file), "--source", "https://example.org/a/b", "--revision", "abc"]
    assert cli.main([*command, "--created", "now", "--most-bytes", "420"]) == 0
    assert "left out of the labels, for their size: features" in capsys.readouterr().err
    assert cli.main([*command, "--created", "now", "--most-bytes", "10"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "does not fit" in captured.err
