"""What the tests of training runs share."""

import signal

import pytest

from tests.runs import running


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A shell that starts the tests in the background has them ignore SIGINT, and so the processes that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def as_users_have_it():
    with running.as_users_have_it():
        yield


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The text of each architecture."""
    directory = tmp_path_factory.mktemp("sources")
    return {name: running.sources_for(name, directory) for name in running.ARCHITECTURES}


@pytest.fixture(scope="session")
def models(tmp_path_factory, sources):
    """A trained model of each architecture: (its directory, the model). Nobody may change the directories."""
    directory = tmp_path_factory.mktemp("models")
    with running.as_users_have_it():
        return {
            name: (directory / name, running.run(name, directory / name, sources[name]))
            for name in running.ARCHITECTURES
        }
