"""What the tests of the commands for training and for its models share."""

import pytest

from tests.runs import running
from tests.runs.conftest import as_users_have_it, models, sources  # noqa: F401  # fixtures


@pytest.fixture
def wide(monkeypatch):
    """Wide enough for no line to be broken."""
    from formal_tx.cli import console

    for each in (console.output, console.messages):
        monkeypatch.setattr(each, "width", 300)


@pytest.fixture
def arguments(sources):  # noqa: F811
    """The arguments of `formal-tx` for a small run in a directory."""

    def of(architecture, directory, *more, **entries):
        return running.command(architecture, directory, sources[architecture], *more, **entries)[3:]

    return of
