"""How fast this machine can multiply matrices: the limit that a training step is measured against."""

import time
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from .configuration import Configuration


@cache
def products_per_second(dtype: str = "float32") -> float:
    """Floating-point operations per second of a product of square matrices, the best of a few."""
    n = 1024 if jax.default_backend() == "cpu" else 8192
    A = jnp.ones((n, n), dtype)
    multiply = jax.jit(lambda A: A @ A)
    multiply(A).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        multiply(A).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds) * jax.device_count()


def operations_per_token(c: Configuration, params: Any) -> float:
    """Floating-point operations of training for a token: 6 for each weight that it meets, and 12 L d ℓ for attention.

    Embedding tables are looked up, not multiplied, unless they are the unembedding as well. Of an encoder-decoder
    a token meets one side: it is the mean of both.
    """
    tables = params.W_p.size + (0 if params.W_u is None else params.W_e.size)
    weights = sum(W.size for W in jax.tree.leaves(params)) - tables
    layers = (c.L or 0) + (c.L_enc or 0) + 2 * (c.L_dec or 0)
    operations = 6.0 * weights + 12.0 * layers * c.d_e * c.l_max
    return operations / 2 if c.architecture == "encoder-decoder" else operations
