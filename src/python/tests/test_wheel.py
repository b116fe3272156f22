"""The wheel as pip makes it: what an index, a type checker and a lawyer read of it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.metadata import Metadata

SOURCE = pathlib.Path(__file__).parents[1]
TOP = SOURCE.parents[1]


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Of the build too: setuptools tells by warnings what it will refuse one day.
    assert "eprecat" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # Of a copy: setuptools leaves its own beside what it builds.
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        SOURCE, folder / "source", ignore=shutil.ignore_patterns("walkthroughs", "tests", "build", "*.egg-info")
    )
    pip("wheel", "--no-deps", "--wheel-dir", folder, folder / "source")
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(files.read(name), validate=True)


def test_the_licence_is_named_and_lies_inside(wheel, metadata):
    assert (metadata.license_expression, metadata.license_files) == ("Apache-2.0", ["LICENSE"])
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        assert files.read(name) == (TOP / "LICENSE").read_bytes()


def test_it_says_where_it_comes_from(metadata):
    repository = "https://github.com/modelship/modelship"
    assert set(metadata.project_urls) == {"Homepage", "Documentation", "Source", "Issues"}
    assert all(url.startswith(repository) for url in metadata.project_urls.values())
    assert "Typing :: Typed" in metadata.classifiers


def test_links_of_its_description_lead_somewhere_from_an_index_too(metadata):
    links = re.findall(r"\]\(([^)]+)\)", metadata.description)
    assert links and all(link.startswith(("https://", "#")) for link in links), links


def test_it_runs_where_it_is_installed_and_type_checkers_read_it(wheel, tmp_path):
    pip("install", "--no-index", "--no-deps", "--target", tmp_path, wheel)
    assert (tmp_path / "modelship_profile" / "py.typed").is_file()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [tmp_path / "bin" / "modelship-profile", "--help"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "from-model" in done.stdout, done.stderr
