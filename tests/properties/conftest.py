"""Every property is tried in double precision; most of them in both editions of the paper."""

import jax
import pytest

from .strategies import LIBRARY, PAPER


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=[LIBRARY, PAPER], ids=["library", "paper"])
def edition(request):
    """The library, or the executable pseudocode behind the library's conventions."""
    return request.param
