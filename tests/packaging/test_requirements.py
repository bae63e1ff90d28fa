"""What the project says it needs is what it uses and what the lock installs."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DISTRIBUTION = {"PIL": "pillow", "orbax": "orbax-checkpoint"}  # where a module is not named after what brings it


def locked(name):
    """The pins of a lock file, {canonical name: version}; a line that is not a plain pin is an error."""
    pins = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line:
            pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!_-]+)", line)
            assert pin, f"{name}: {line!r} is not NAME==VERSION"
            pins[canonicalize_name(pin[1])] = pin[2]
    return pins


def names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def imported(folder):
    """The top-level modules that the files of a folder import anywhere, also inside functions."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("test.lock", ["test", "lint"]), ("oracles.lock", ["test", "lint", "oracles", "docs", "browser"])],
)
def test_lock_has_a_version_that_the_project_allows(lock, extras):
    pins = locked(lock)
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in EXTRAS[extra])]:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{lock} lacks {requirement}: run `make lock`"
        assert requirement.specifier.contains(version), f"{lock} has {version}, not {requirement}: run `make lock`"


def test_oracles_lock_adds_to_the_test_lock_and_changes_nothing():
    assert locked("test.lock").items() <= locked("oracles.lock").items()


def test_library_imports_only_what_it_declares():
    declared = names(PROJECT["dependencies"])
    modules = {canonicalize_name(DISTRIBUTION.get(name, name)) for name in imported("formal_tx")}
    # What others wrote is looked at if it is there, and what goes into their tests is imported by these: no dependency.
    theirs = {"equinox", "pytest", "torch", "transformers"}
    assert modules - theirs - {"formal-tx"} <= declared


def test_pseudocode_imports_numpy_alone():
    assert imported("algorithms") == {"numpy"}
