"""What every test runs under: 64-bit types at hand, JAX at its strictest, and the shapes in the signatures checked."""

import gc
import os
import sys

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


# Every compiled function takes a few memory maps, of which Linux gives a process 65,530: one that has none left aborts.
_MAPS = 30_000


def _make_room() -> None:
    """Forgets what was compiled where a process has many memory maps."""
    if sys.platform == "linux":
        with open("/proc/self/maps") as maps:
            many = sum(1 for _ in maps) > _MAPS
        if many:
            jax.clear_caches()
            gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _room_for_compiled_functions():
    """After each file, since to count the maps takes as long as a small test."""
    yield
    _make_room()


@pytest.fixture
def room_between_tests():
    """For files whose tests take hundreds of maps each."""
    yield
    _make_room()
