"""The pages run as a reader would run them: JAX as it comes, in an empty folder, at a terminal of 150 columns."""

import sys

import jax
import pytest

from formal_tx.cli.console import messages, output


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder to read a page in; what the page imports from there is forgotten afterwards."""
    for console in (output, messages):
        monkeypatch.setattr(console, "width", 150)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield folder
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
