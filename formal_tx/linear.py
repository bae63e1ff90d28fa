"""`affine`: the one place where a matrix meets a batch; and small helpers for arrays of unlike axes and digits."""

import jax
import jax.numpy as jnp


def affine(X: jax.Array, W: jax.Array, b: jax.Array | None = None) -> jax.Array:
    """W x + b for every row x of `X`.

    The leading axes are flattened to one before the product, and matrices stacked on leading axes (heads) become one
    tall matrix: a two-dimensional product is what every XLA backend does best, in both directions.

    Args:
      X: (..., ℓ, d_in).
      W: (d_out, d_in), or a stack (*heads, d_out, d_in).
      b: (d_out,) or (*heads, d_out).
    Returns:
      (..., ℓ, d_out), or (..., *heads, ℓ, d_out) for a stack.
    """
    *batch, length, d_in = X.shape
    *heads, d_out, _ = W.shape
    Y = X.reshape(-1, d_in) @ W.reshape(-1, d_in).T
    if b is not None:
        Y = Y + b.reshape(1, -1)
    Y = Y.reshape(*batch, length, *heads, d_out)
    return jnp.moveaxis(Y, len(batch), -2) if heads else Y


def aligned(v: jax.Array, X: jax.Array) -> jax.Array:
    """`v` with leading axes of size one, as many as `X` has more: broadcasting said aloud, as strict JAX wants it."""
    return v.reshape((1,) * (X.ndim - v.ndim) + v.shape)


def wide(X: jax.Array) -> jax.Array:
    """`X` in at least float32: means, exponentials and sums over a vocabulary need more digits than bfloat16 has."""
    return X.astype(jnp.float32) if jnp.finfo(X.dtype).bits < 32 else X


def softmax(S: jax.Array) -> jax.Array:
    """The distribution over the last axis, computed in at least float32 and given in the type of `S`."""
    return jax.nn.softmax(wide(S), axis=-1).astype(S.dtype)
