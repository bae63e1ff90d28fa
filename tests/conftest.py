"""What every test runs under: 64-bit types at hand, and JAX at its strictest."""

import os

# Several devices on one CPU, for the tests of sharding; before JAX is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test: equivalence is proved there."""
    with jax.enable_x64(True):
        yield
