"""Vectors of a few quick algorithms, written once."""

import pytest

from formal_tx.crosscheck import find
from formal_tx.vectors import write_vectors

QUICK = (1, 3, 4, 6, 14)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A directory of vectors that nobody changes."""
    directory = tmp_path_factory.mktemp("vectors")
    write_vectors(directory, [find(number) for number in QUICK])
    return directory


@pytest.fixture
def copied(written, tmp_path):
    """A directory of vectors to be changed."""
    for path in written.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
