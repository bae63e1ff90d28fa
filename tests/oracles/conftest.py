"""Every test here compares with PyTorch or Hugging Face transformers, and is skipped where they are not installed."""

from pathlib import Path

import jax
import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.oracle)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each dtype in turn, with 64-bit types switched on for the wider one."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def tolerance(dtype):
    """Relative to the largest value; some hundred roundings of 6e-8, or some thousand of 1e-16.

    Neither edition is exact: they sum in different orders over widths of about ten, and a layer norm may divide by a
    small variance. The mistakes that matter (an epsilon, the tanh GELU, Bessel's variance) begin at about 1e-4.
    """
    return {"float32": 2e-5, "float64": 1e-12}[dtype]
