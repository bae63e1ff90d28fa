"""Algorithms 1, 2 and 7: from token ids to vectors and back to probabilities."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .contracts import algorithm
from .linear import affine, aligned
from .quantization import QuantizedMatrix
from .tagging import line
from .validation import (
    as_arrays,
    require_floats,
    require_ids,
    require_shapes,
)


def rows(table: jax.Array | QuantizedMatrix, index: jax.Array) -> jax.Array:
    """`table[index]`, with nan for an index out of range, which JAX by itself would clamp or wrap."""
    index = jnp.where(index < 0, table.shape[0], index)
    if isinstance(table, QuantizedMatrix):
        return table.rows(index)
    return table.at[index].get(mode="fill", fill_value=jnp.nan)


def _token_embedding_requires(v, W_e):
    name = "token_embedding"
    v, W_e = as_arrays(name, v=v, W_e=W_e)
    sizes = require_shapes(name, W_e=(W_e, "N_V d_e"))
    require_floats(name, W_e=W_e)
    return {"v": require_ids(name, "v", v, sizes["N_V"]), "W_e": jnp.asarray(W_e)}


@algorithm(_token_embedding_requires)
def token_embedding(v: Int[Array, "*batch"], W_e: Float[Array, "N_V d_e"]) -> Float[Array, "*batch d_e"]:
    """Algorithm 1: the vector that stands for a token.

    Args:
      v: (...) token ids, 0 ≤ v < N_V.
      W_e: (N_V, d_e) token embedding matrix, a row for each token.
    Returns:
      (..., d_e) embeddings; nan for a traced id out of range.
    Raises:
      TypeError: if `v` is not integer.
      ValueError: if a concrete id is out of range.
    """
    return line(1, "e", rows(W_e, v))


def _positional_embedding_requires(t, W_p):
    name = "positional_embedding"
    t, W_p = as_arrays(name, t=t, W_p=W_p)
    sizes = require_shapes(name, W_p=(W_p, "l_max d_e"))
    require_floats(name, W_p=W_p)
    return {"t": require_ids(name, "t", t, sizes["l_max"], what="l_max"), "W_p": jnp.asarray(W_p)}


@algorithm(_positional_embedding_requires)
def positional_embedding(t: Int[Array, "*batch"], W_p: Float[Array, "l_max d_e"]) -> Float[Array, "*batch d_e"]:
    """Algorithm 2: the vector that stands for a position.

    Args:
      t: (...) positions, 0 ≤ t < l_max.
      W_p: (l_max, d_e) positional embedding matrix, a row for each position.
    Returns:
      (..., d_e) embeddings; nan for a traced position out of range.
    Raises:
      TypeError: if `t` is not integer.
      ValueError: if a concrete position is out of range.
    """
    return line(1, "e_p", rows(W_p, t))


def sinusoidal_positions(l_max: int, d_e: int) -> Float[Array, "l_max d_e"]:
    """The hard-coded W_p (l_max, d_e) of section 5, as printed: base l_max, and i and t from 1 (E12).

    W_p[t, 2i-1] = sin(t / l_max^(2i/d_e)) and W_p[t, 2i] = cos(t / l_max^(2i/d_e)), counted from 1.

    Raises:
      ValueError: if d_e is odd.
    """
    if d_e % 2:
        raise ValueError(f"sinusoidal_positions: d_e is {d_e}, expected an even number")
    t = jnp.arange(1, l_max + 1, dtype=float)[:, None]
    i = jnp.arange(1, d_e // 2 + 1, dtype=float)[None, :]
    angle = t / l_max ** (2 * i / d_e)
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1).reshape(l_max, d_e)


def within(x: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Which tokens of `x` (..., ℓ) are real: all of them, or the first `lengths` (...)."""
    if lengths is None:
        return jnp.ones(x.shape, bool)
    return aligned(jnp.arange(x.shape[-1]), x) < lengths[..., None]


def embed(
    x: Int[Array, "*batch l"],
    W_e: Float[Array | QuantizedMatrix, "N_V d_e"],
    W_p: Float[Array, "... _ d_e"] | None,
    lengths: Int[Array, "*batch"] | None = None,
    scale: float = 1.0,
) -> Float[Array, "*batch l d_e"]:
    """Eq. (1) for a sequence: row t is W_e[x[t]] + W_p[t]. Ids in the padding are not looked at.

    Args:
      x: (..., ℓ) token ids.
      W_p: the positional table, of which the first ℓ rows are taken, or rows (..., ℓ, d_e) of it for other positions;
        None adds none.
      lengths: (...) how many of them are real; a length outside [1, ℓ] gives nan.
      scale: what the rows of W_e are multiplied by.
    Returns:
      (..., ℓ, d_e).
    """
    length = x.shape[-1]
    if lengths is not None:
        x = jnp.where(within(x, lengths), x, 0)
    X = rows(W_e, x)
    if scale != 1:
        X = X * jnp.asarray(scale, X.dtype)
    if W_p is not None:
        X = X + aligned(W_p[..., :length, :], X)
    if lengths is not None:
        legal = (lengths >= 1) & (lengths <= length)
        X = jnp.where(legal[..., None, None], X, jnp.nan)
    return X


def _unembedding_requires(e, W_u):
    e, W_u = as_arrays("unembedding", e=e, W_u=W_u)
    require_shapes("unembedding", e=(e, "... d_e"), W_u=(W_u, "N_V d_e"))
    require_floats("unembedding", e=e, W_u=W_u)
    return {"e": jnp.asarray(e), "W_u": jnp.asarray(W_u)}


@algorithm(_unembedding_requires)
def unembedding(e: Float[Array, "*batch d_e"], W_u: Float[Array, "N_V d_e"]) -> Float[Array, "*batch N_V"]:
    """Algorithm 7: from a token's encoding to a distribution over the vocabulary.

    Args:
      e: (..., d_e) token encodings.
      W_u: (N_V, d_e) unembedding matrix, the paper's own.
    Returns:
      (..., N_V) probabilities.
    Raises:
      ValueError: if the widths differ.
    """
    return line(1, "p", jax.nn.softmax(affine(e[..., None, :], W_u)[..., 0, :], axis=-1))
