"""Attention rollout (2005.00928): how much of each patch reaches the first token through all layers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..contracts import algorithm
from ..tagging import line
from ..validation import as_arrays, require_count, require_floats, require_shapes

FUSIONS: dict[str, Callable[..., jax.Array]] = {"mean": jnp.mean, "max": jnp.max, "min": jnp.min}
"""How the heads of a layer become one."""


def _requires(A, first, fusion, rho):
    name = "rollout"
    (A,) = as_arrays(name, A=A)
    sizes = require_shapes(name, A=(A, "... L H l l"))
    require_floats(name, A=A)
    if fusion not in FUSIONS:
        raise ValueError(f"{name}: fusion is {fusion!r}, expected one of {', '.join(FUSIONS)}")
    require_count(name, "first", first, 1)
    if first >= sizes["l"]:
        raise ValueError(f"{name}: first is {first}, and of {sizes['l']} tokens at least one has to be a patch")
    if isinstance(rho, bool) or not isinstance(rho, int | float) or not 0 <= rho < 1:
        raise ValueError(f"{name}: rho is {rho!r}, expected a share of at least 0 and less than 1")
    return {"A": jnp.asarray(A)}


@algorithm(_requires, static=("first", "fusion", "rho"))
def rollout(
    A: Float[Array, "*batch L heads l l"], first: int = 1, fusion: str = "mean", rho: Any = 0.0
) -> Float[Array, "*batch patches"]:
    """The share of each patch in what the first token has become, the largest being 1.

    Args:
      A: (..., L, H, ℓ, ℓ) attention, row t_x over t_z, as `attention_maps` gives it for one image.
      first: how many tokens are no patches: N_cls + N_r.
      fusion: how the heads of a layer become one: "mean", "max" or "min".
      rho: the share of the smallest entries of a layer that are discarded, in [0, 1); never that of the first token for
        itself.
    Returns:
      (..., ℓ - first), to be reshaped to the grid of patches.
    Raises:
      ValueError: names the argument that is not as above.
    """
    l = A.shape[-1]
    identity = jnp.eye(l, dtype=A.dtype)
    R = jnp.broadcast_to(identity, (*A.shape[:-4], l, l))
    for layer in range(A.shape[-4]):
        F = line(3, "F", FUSIONS[fusion](A[..., layer, :, :, :], axis=-3))
        F = line(5, "F", _without_smallest(F, int(rho * l**2)))
        F = (F + jnp.broadcast_to(identity, F.shape)) / 2
        F = line(7, "F", F / F.sum(axis=-1, keepdims=True))
        R = line(8, "R", F @ R)
    m = R[..., 0, first:]
    return line(10, "m", m / m.max(axis=-1, keepdims=True))


def _without_smallest(F: jax.Array, count: int) -> jax.Array:
    """The `count` smallest entries of each matrix set to 0, but for entry (0, 0)."""
    if not count:
        return F
    flat = F.reshape(*F.shape[:-2], -1)
    rank = jnp.argsort(jnp.argsort(flat, axis=-1, stable=True), axis=-1)
    kept = (rank >= count).at[..., 0].set(True)
    return jnp.where(kept, flat, 0).reshape(F.shape)
