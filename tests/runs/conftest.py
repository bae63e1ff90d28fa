"""What the tests of training runs share."""

import pytest

from tests.runs import running


@pytest.fixture(scope="module")
def as_users_have_it():
    with running.as_users_have_it():
        yield


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The text of each architecture."""
    directory = tmp_path_factory.mktemp("sources")
    return {name: running.sources_for(name, directory) for name in running.ARCHITECTURES}
