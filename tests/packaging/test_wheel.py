"""The wheel is whole: what it holds, and that it runs where there is no checkout.

`python -m build` makes the source archive from the checkout and the wheel from the source archive, so a file that
either of the two forgets is missed here.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PSEUDOCODE = [
    "algorithm_01_token_embedding.py",
    "algorithm_02_positional_embedding.py",
    "algorithm_03_basic_single_query_attention.py",
    "algorithm_04_attention.py",
    "algorithm_05_mh_attention.py",
    "algorithm_06_layer_norm.py",
    "algorithm_07_unembedding.py",
    "algorithm_08_ed_transformer.py",
    "algorithm_09_e_transformer.py",
    "algorithm_10_d_transformer.py",
    "algorithm_11_ed_training.py",
    "algorithm_12_e_training.py",
    "algorithm_13_d_training.py",
    "algorithm_14_d_inference.py",
    "algorithm_15_ed_inference.py",
    "decoding/beam_search.py",
    "decoding/filters.py",
    "decoding/speculative_sampling.py",
]


def run(*command, **options):
    """Run a command that must succeed; return what it wrote to standard output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with the source archive and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder outside the checkout into which the wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    run(*pip, "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


@pytest.fixture
def python(installed, tmp_path):
    """Run Python with the installed wheel and its dependencies, the checkout out of reach.

    `-S` leaves out the `.pth` file by which an editable install points to the checkout.
    """
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])

    def call(*arguments):
        return run(sys.executable, "-S", *arguments, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})

    return call


def test_wheel_holds_code_pseudocode_and_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/")[0] for name in inside} == {"formal_tx"}
    assert {f"formal_tx/algorithms/{name}" for name in ["__init__.py", *PSEUDOCODE]} <= inside
    assert {"formal_tx/__init__.py", "formal_tx/py.typed", "formal_tx/cli/__init__.py"} <= inside
    assert not [name for name in inside if "__pycache__" in name]


def test_wheel_holds_every_file_of_the_package(wheel):
    """Nothing under `formal_tx/` or `algorithms/` stays behind: the corpus, its provenance, type markers, …"""
    expected = set()
    for folder, place in [("formal_tx", "formal_tx"), ("algorithms", "formal_tx/algorithms")]:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                expected.add(f"{place}/{path.relative_to(ROOT / folder).as_posix()}")
    with zipfile.ZipFile(wheel) as archive:
        missing = expected - set(archive.namelist())
    assert not missing
    assert [name for name in expected if name.startswith("formal_tx/data/") and name.endswith(".tsv.xz")], "no corpus"


def test_wheel_says_who_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        assert "formal-tx = formal_tx.cli:main" in archive.read(entry_points).decode().splitlines()
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
        assert [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert "Name: formal-tx" in lines
    assert "License-Expression: Apache-2.0" in lines
    assert not [line for line in lines if line.startswith("Requires-Dist: torch") and "extra" not in line]


def test_source_archive_holds_what_a_reader_needs(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "Makefile", "pyproject.toml", "requirements/test.lock"} <= names
    assert {f"algorithms/{name}" for name in PSEUDOCODE} <= names


def test_installed_wheel_is_the_one_that_runs(python, installed):
    assert Path(python("-c", "import formal_tx; print(formal_tx.__file__)").strip()).parent == installed / "formal_tx"


def test_check_works_outside_the_checkout(python):
    report = json.loads(python("-m", "formal_tx.cli", "check", "1", "--json"))
    assert report["agrees"] is True
    assert [entry["algorithm"] for entry in report["algorithms"]] == [1]


def test_console_script_works(python, installed):
    assert "Usage" in python(installed / "bin" / "formal-tx", "--help")
