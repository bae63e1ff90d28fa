"""What stands on the encoding of Algorithm 9 in place of its lines 10 to 12: one vector, or one class, for a sequence.

The line numbers are those of `algorithms/heads/`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from .activations import tanh
from .contracts import algorithm
from .linear import affine, wide
from .tagging import line
from .validation import as_arrays, require_floats, require_kind, require_shapes


@struct.dataclass
class HeadParameters:
    """A matrix `W` (d_out, d_in) and its bias `b` (d_out,)."""

    W: Float[Array, "d_out d_in"]
    b: Float[Array, "d_out"]


def _head(function: str, name: str, of: jax.Array, axes: str, params: HeadParameters) -> dict[str, Any]:
    require_kind(function, "params", params, HeadParameters, made_by="formal_tx.models.heads.head_parameters")
    of, W, b = as_arrays(function, **{name: of, "params.W": params.W, "params.b": params.b})
    shapes = {name: (of, f"... {axes}"), "params.W": (W, "d_out d"), "params.b": (b, "d_out")}
    require_shapes(function, **shapes)
    require_floats(function, **{name: of, "params.W": W, "params.b": b})
    return {name: jnp.asarray(of), "params": HeadParameters(jnp.asarray(W), jnp.asarray(b))}


def _first_token_requires(X, params, activation):
    return _head("pool_first_token", "X", X, "l d", params)


@algorithm(_first_token_requires, static=("activation",))
def pool_first_token(
    X: Float[Array, "*batch l d"], params: HeadParameters, activation: Callable[[jax.Array], jax.Array] = tanh
) -> Float[Array, "*batch d_out"]:
    """BERT's pooled head: σ(W x + b) of the encoding x of the first token.

    Args:
      X: (..., ℓ, d) what `e_transformer_features` gives.
      activation: σ; the hyperbolic tangent unless given.
    Returns:
      (..., d_out).
    Raises:
      ValueError: if the sizes do not belong together. TypeError: for what are no floating arrays.
    """
    return line(1, "x", activation(affine(X[..., :1, :], params.W, params.b)[..., 0, :]))


def _mean_requires(X, lengths):
    (X,) = as_arrays("pool_mean", X=X)
    require_shapes("pool_mean", X=(X, "... l d"))
    require_floats("pool_mean", X=X)
    if lengths is None:
        return {"X": jnp.asarray(X)}
    (lengths,) = as_arrays("pool_mean", lengths=lengths)
    if lengths.shape != X.shape[:-2] or not jnp.issubdtype(lengths.dtype, jnp.integer):
        found = f"{lengths.dtype} of shape {lengths.shape}"
        raise ValueError(f"pool_mean: lengths are {found}, expected integers of shape {X.shape[:-2]}")
    return {"X": jnp.asarray(X), "lengths": jnp.asarray(lengths)}


@algorithm(_mean_requires)
def pool_mean(X: Float[Array, "*batch l d"], lengths: Int[Array, "*batch"] | None = None) -> Float[Array, "*batch d"]:
    """The mean of the encodings of a sequence's tokens, as Sentence-BERT embeds it (1908.10084).

    Args:
      X: (..., ℓ, d) what `e_transformer_features` gives. lengths: (...) how many tokens of each sequence are real.
    Returns:
      (..., d); nan for a length that is not within 1 and ℓ.
    Raises:
      ValueError: if there is not one length for each sequence.
    """
    dtype, X = X.dtype, wide(X)
    if lengths is None:
        return line(2, "x", X.mean(axis=-2).astype(dtype))
    l = line(1, "l", jnp.where((lengths >= 1) & (lengths <= X.shape[-2]), lengths, -1))
    t = jnp.arange(X.shape[-2]).reshape((1,) * l.ndim + (-1,))
    real = (t < l[..., None])[..., None]
    count = jnp.where(l > 0, l.astype(X.dtype), jnp.nan)[..., None]
    return line(2, "x", (jnp.where(real, X, 0).sum(axis=-2) / count).astype(dtype))


@jax.jit
def unit(x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """The vectors (..., d) of length 1 in the direction of `x`; the cosine of two of them is their product."""
    return x / jnp.sqrt((x**2).sum(axis=-1, keepdims=True))


def _classification_requires(x, params):
    return _head("classification_logits", "x", x, "d", params)


@algorithm(_classification_requires)
def classification_logits(x: Float[Array, "*batch d"], params: HeadParameters) -> Float[Array, "*batch d_out"]:
    """A classification head up to its softmax: W x + b (..., K) of what was pooled, `x` (..., d).

    Next-sentence prediction is one of two classes, of which class 0 means "is the next".

    Raises:
      ValueError: if the sizes do not belong together. TypeError: for what are no floating arrays.
    """
    return affine(x[..., None, :], params.W, params.b)[..., 0, :]
