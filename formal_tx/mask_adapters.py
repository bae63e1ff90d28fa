"""Masks from other libraries' conventions, each by its name: none of them is taken for another silently."""

import jax
import jax.numpy as jnp

from .contracts import is_concrete
from .validation import as_arrays


def from_additive(bias: jax.Array) -> jax.Array:
    """A boolean mask from one that is added to the scores: 0 keeps, -inf (or the dtype's least value) drops.

    Raises:
      TypeError: if the mask is not of a floating dtype.
      ValueError: if a value is neither, as in a learned or positional bias, which no mask can express. (A row whose
        values cannot be seen, and hold another, keeps nothing: attention then gives nan.)
    """
    (bias,) = as_arrays("masks.from_additive", mask=bias)
    if not jnp.issubdtype(bias.dtype, jnp.floating):
        raise TypeError(f"masks.from_additive: the mask has dtype {bias.dtype}, expected a floating dtype")
    bias = jnp.asarray(bias)
    drops = bias <= jnp.finfo(bias.dtype).min
    return _legal_rows(
        ~drops,
        drops | (bias == 0),
        "masks.from_additive: the mask holds other values than 0 and -inf (or the dtype's least value)",
    )


def from_torch(mask: jax.Array) -> jax.Array:
    """A boolean mask from PyTorch's `MultiheadAttention`, where true means *drop*.

    (`scaled_dot_product_attention` is the other way round: true means keep there, as here.)

    Raises:
      TypeError: if the mask is not boolean; PyTorch adds one of floats to the scores, see `from_additive`.
    """
    (mask,) = as_arrays("masks.from_torch", mask=mask)
    if mask.dtype != bool:
        raise TypeError(
            f"masks.from_torch: the mask has dtype {mask.dtype}, expected bool; one of floats is for "
            "masks.from_additive"
        )
    return ~jnp.asarray(mask)


def from_padding(real: jax.Array) -> jax.Array:
    """A mask (..., 1, ℓ_z) from Hugging Face's `attention_mask` (..., ℓ_z): true or 1 marks a real token.

    Raises:
      TypeError: if it holds neither booleans nor integers.
      ValueError: if an integer is neither 0 nor 1. (Where this cannot be seen, the row keeps nothing, and attention
        gives nan.)
    """
    (real,) = as_arrays("masks.from_padding", mask=real)
    if not (real.dtype == bool or jnp.issubdtype(real.dtype, jnp.integer)):
        raise TypeError(f"masks.from_padding: the mask has dtype {real.dtype}, expected bool, or integers 0 and 1")
    real = jnp.asarray(real).astype(int)
    keep = _legal_rows(
        real == 1, (real == 0) | (real == 1), "masks.from_padding: the mask holds other values than 0 and 1"
    )
    return keep[..., None, :]


def _legal_rows(keep: jax.Array, legal: jax.Array, complaint: str) -> jax.Array:
    """The rows of `keep`: those that are not all legal raise where they can be seen, and keep nothing where not."""
    legal = legal.all(axis=-1, keepdims=True)
    if is_concrete(legal) and not bool(legal.all()):
        raise ValueError(complaint)
    return keep & legal
