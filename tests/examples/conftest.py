"""Examples run with JAX as a newcomer has it; at its strictest, optax's Adam does not run."""

import jax
import pytest


@pytest.fixture(autouse=True)
def jax_as_it_comes():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
