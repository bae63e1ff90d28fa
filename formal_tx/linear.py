"""`affine`: the one place where a matrix meets a batch; and small helpers for arrays of unlike axes and digits."""

import jax
import jax.numpy as jnp
from jax import lax

from .quantization import LARGEST, QuantizedMatrix


def affine(X: jax.Array, W: jax.Array, b: jax.Array | None = None) -> jax.Array:
    """W x + b for every row x of `X`.

    The leading axes are flattened to one before the product, and matrices stacked on leading axes (heads) become one
    tall matrix: a two-dimensional product is what every XLA backend does best, in both directions.

    Args:
      X: (..., ℓ, d_in).
      W: (d_out, d_in), or a stack (*heads, d_out, d_in); an array or a `QuantizedMatrix`.
      b: (d_out,) or (*heads, d_out).
    Returns:
      (..., ℓ, d_out), or (..., *heads, ℓ, d_out) for a stack.
    """
    *batch, length, d_in = X.shape
    *heads, d_out, _ = W.shape
    rows = X.reshape(-1, d_in)
    if len(rows) == 1:  # XLA's CPU backend would compute a row anew for every row of W; what it gathers it does not
        rows = rows[:, jnp.arange(d_in)]
    Y = quantized_product(rows, W) if isinstance(W, QuantizedMatrix) else rows @ W.reshape(-1, d_in).T
    if b is not None:
        Y = Y + b.reshape(1, -1)
    Y = Y.reshape(*batch, length, *heads, d_out)
    return jnp.moveaxis(Y, len(batch), -2) if heads else Y


def quantized_product(X: jax.Array, W: QuantizedMatrix) -> jax.Array:
    """X W^T (n, d_out) for rows X (n, d_in), with `W` converted to floating-point numbers only as it is multiplied.

    The conversion becomes a part of a product with one row. With more of them, and one scale for each row of `W`, the
    product is one of integers.
    """
    if W.scales.shape[-1] > 1:
        return X @ W.matrix().reshape(-1, W.shape[-1]).T
    integers = W.integers.reshape(-1, W.shape[-1])
    Y = X @ integers.astype(X.dtype).T if len(X) == 1 else _integer_product(X, integers)
    return Y * W.scales.reshape(1, -1)


def _integer_product(X: jax.Array, integers: jax.Array) -> jax.Array:
    """X · integers^T, as exact as in floating-point numbers: a row of X is a sum of rows of integers |x_k| ≤ 127,

        x ≈ m / 127 · (x_1 + x_2 / 254 + x_3 / 254²),    m = max |x|,

    up to m · 2^-24, and products and sums of integers are exact. CPUs multiply these four at a time.
    """
    scale, digits = _digits(wide(X))
    sums = lax.dot_general(digits, integers, (((2,), (1,)), ((), ())), preferred_element_type=jnp.int32)
    value = jnp.zeros((), scale.dtype)
    for of_digit in sums[::-1]:
        value = value / (2 * LARGEST) + of_digit.astype(scale.dtype)
    return (value * scale).astype(X.dtype)


def _digits(X: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scales (n, 1) and digits (k, n, d), int8, of rows X (n, d): as many as the type of X has significant bytes."""
    scale = jnp.abs(X).max(axis=-1, keepdims=True) / LARGEST
    rest, digits = X / jnp.where(scale == 0, 1, scale), []
    for _ in range(-(-jnp.finfo(X.dtype).nmant // 8)):
        digits.append(jnp.round(rest))
        rest = (rest - digits[-1]) * (2 * LARGEST)
    return scale, jnp.stack(digits).astype(jnp.int8)


def aligned(v: jax.Array, X: jax.Array) -> jax.Array:
    """`v` with leading axes of size one, as many as `X` has more: broadcasting said aloud, as strict JAX wants it."""
    return v.reshape((1,) * (X.ndim - v.ndim) + v.shape)


def wide(X: jax.Array) -> jax.Array:
    """`X` in at least float32: means, exponentials and sums over a vocabulary need more digits than bfloat16 has."""
    return X.astype(jnp.float32) if jnp.finfo(X.dtype).bits < 32 else X


def softmax(S: jax.Array) -> jax.Array:
    """The distribution over the last axis, computed in at least float32 and given in the type of `S`."""
    return jax.nn.softmax(wide(S), axis=-1).astype(S.dtype)
