"""Products by head, where several heads of queries may share one of keys and values (grouped-query attention)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def scores(Q: jax.Array, K: jax.Array) -> jax.Array:
    """Q K^T: scores (..., H, l_x, l_z) of queries (..., H, l_x, d) and keys (..., H_kv, l_z, d).

    A single query is multiplied from the right, since XLA's CPU backend else copies all keys transposed: with a cache
    of 1,024 tokens attention takes half the time.
    """
    if Q.shape[-2] > 1:
        return by_groups(Q, K.mT)
    return _below_each_other(lambda Q: (K @ Q.mT).mT, Q, K)


def by_groups(A: jax.Array, B: jax.Array) -> jax.Array:
    """A @ B by head, where H/H_kv consecutive heads of A (..., H, ·, ·) go with each of B (..., H_kv, ·, ·)."""
    return _below_each_other(lambda A: A @ B, A, B)


def _below_each_other(product: Callable[[jax.Array], jax.Array], A: jax.Array, B: jax.Array) -> jax.Array:
    """product(A) by rows, with those of the heads that share one of B below each other: one product, no copy of B."""
    if not _shared(B, A):
        return product(A)
    *batch, H, rows, inner = A.shape
    grouped = product(A.reshape(*batch, B.shape[-3], H // B.shape[-3] * rows, inner))
    return grouped.reshape(*grouped.shape[:-3], H, rows, grouped.shape[-1])


def for_each_head(A: jax.Array, Q: jax.Array) -> jax.Array:
    """Keys or values (..., H_kv, ℓ, d) once for each of the H heads of Q, where several share one."""
    return jnp.repeat(A, Q.shape[-3] // A.shape[-3], axis=-3) if _shared(A, Q) else A


def _shared(A: jax.Array, Q: jax.Array) -> bool:
    """Whether several heads of Q go with each of A. Without heads the axes are a batch's, and fewer are one for all."""
    return A.ndim > 2 and Q.ndim > 2 and Q.shape[-3] > A.shape[-3]
