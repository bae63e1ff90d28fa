"""What every test runs under: 64-bit types at hand, JAX at its strictest, and the shapes in the signatures checked."""

import os

# Several devices on one CPU, for the tests of sharding; before JAX is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The bodies of the public functions see only arrays of the shapes that their signatures name.
_SHAPED = ("attention", "embedding", "normalization", "architectures", "losses", "training")
with install_import_hook([f"formal_tx.{name}" for name in _SHAPED], "beartype.beartype"):
    import formal_tx  # noqa: F401


@pytest.fixture
def x64():
    """Double precision for one test: equivalence is proved there."""
    with jax.enable_x64(True):
        yield
