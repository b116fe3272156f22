"""The commands for teams that cannot change their training script."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from modelship_profile import cli
from modelship_profile.values import typed

HERE = pathlib.Path(__file__).parent

CSV = "age,town,left\n" + "".join(f"{20 + row % 40},{'Ulm' if row % 3 else 'Bonn'},{row % 2}\n" for row in range(60))


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "train.csv"
    file.write_text(CSV)
    return file


def made(tmp_path, *arguments):
    output = tmp_path / "profile.json"
    assert cli.main([*arguments, "--output", str(output)]) == 0
    return json.loads(output.read_text())


def test_a_csv_with_a_target_gives_a_profile(tmp_path, data):
    profile = made(tmp_path, "from-data", "--data", str(data), "--prediction", "left", "--classes", "0=stay,1=churn")
    assert profile["reference"] == {"classes": {"churn": 30, "stay": 30}}
    assert list(profile["features"]) == ["age", "town"]


def test_columns_that_are_no_feature_are_left_out(tmp_path, data):
    arguments = ["from-data", "--data", str(data), "--prediction", "left", "--kind", "number", "--leave-out", "town"]
    assert list(made(tmp_path, *arguments)["features"]) == ["age"]


@pytest.mark.parametrize(
    "text, arguments, words",
    [
        (CSV, ["--prediction", "gone"], "has no column 'gone'; it has age, town, left"),
        (CSV, ["--prediction", "left", "--leave-out", "x"], "no column 'x' to leave out"),
        (CSV, ["--prediction", "left", "--leave-out", "left"], "'left' is the prediction, and cannot be left out"),
        (CSV, ["--prediction", "left"], "kind='class' or kind='number'"),
        ("a,b\n1\n", ["--prediction", "a"], "line 2: 1 fields, but the header has 2"),
        ("a,b\n", ["--prediction", "a"], "no header or no rows"),
    ],
)
def test_a_csv_that_cannot_be_read_is_told(tmp_path, capsys, text, arguments, words):
    file = tmp_path / "train.csv"
    file.write_text(text)
    assert cli.main(["from-data", "--data", str(file), *arguments, "--output", str(tmp_path / "out.json")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    "texts, values",
    [
        (["1", "-2", "+3", ""], [1, -2, 3, None]),
        (["1", "2.5", "1e3", ".5", "3."], [1.0, 2.5, 1000.0, 0.5, 3.0]),
        (["1", "NA", "nan"], [1, None, None]),
        # Zip codes, account numbers, versions, what only Python takes for a number, and a country.
        (["01234", "89073"], ["01234", "89073"]),
        (["0", "00"], ["0", "00"]),
        (["1", "12345678901234567890"], ["1", "12345678901234567890"]),
        (["1.10.0", "1.2"], ["1.10.0", "1.2"]),
        (["1_000", "2"], ["1_000", "2"]),
        (["infinity", "1"], ["infinity", "1"]),
        (["NA", "DE", ""], ["NA", "DE", None]),
        (["True", "false", "", "TRUE"], [True, False, None, True]),
        (["true", "1"], ["true", "1"]),
        (["", ""], [None, None]),
    ],
)
def test_a_column_of_a_csv_is_what_all_of_it_can_be(texts, values):
    read = typed(texts)
    assert read == values and [type(one) for one in read] == [type(one) for one in values]


def test_a_csv_of_booleans_and_zip_codes_keeps_both(tmp_path):
    file = tmp_path / "train.csv"
    file.write_text("zip,member,left\n" + "01234,True,false\n02345,False,true\n" * 5)
    profile = made(tmp_path, "from-data", "--data", str(file), "--prediction", "left")
    assert profile["kind"] == "class" and profile["reference"] == {"classes": {"false": 5, "true": 5}}
    assert profile["features"]["zip"] == {"missing": 0, "classes": {"01234": 5, "02345": 5}}
    assert profile["example"]["body"]["dataframe_split"]["data"][0][1] in (True, False)


def test_check_tells_good_from_bad(tmp_path, data, capsys):
    made(tmp_path, "from-data", "--data", str(data), "--prediction", "town")
    assert cli.main(["check", str(tmp_path / "profile.json")]) == 0
    (tmp_path / "bad.json").write_text('{"version": 9, "kind": "class"}')
    assert cli.main(["check", str(tmp_path / "bad.json")]) == 1
    assert "update it" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_it_runs_on_other_pythons_with_nothing_installed(version, tmp_path, data):
    python = other_python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    command = [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); "
               "from modelship_profile.cli import main; sys.exit(main(sys.argv[1:]))"]
    output = tmp_path / "profile.json"
    subprocess.run([*command, "from-data", "--data", data, "--prediction", "town", "--output", output], check=True)
    printed = subprocess.run([*command, "labels", "--profile", output], check=True, capture_output=True, text=True)
    assert "dev.modelship.profile=" in printed.stdout


def other_python(version):
    """An interpreter of that version: on the PATH, or among those of pyenv."""
    known = sorted(pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    for candidate in [*map(str, known), shutil.which(f"python{version}")]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return sys.executable if sys.version.startswith(f"{version}.") else None
