"""StreamingLLM (2309.17453): endless streams with a cache of the first tokens and the last ones, numbered in the cache.

The softmax has to put its weight somewhere, and decoders learn to put what they do not need on the first tokens: the
attention sinks. Where these leave the cache, as they do from a sliding window, what is left gets weight that it should
not have. Four of them are kept, and positions count inside of the cache, so that none is greater than its size.

A window counts the query: the paper's `recent_size` is one less, since its code makes room after a token is read. A
cache of more than l_max tokens brings distances that the model was never trained with: that is warned of.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..attending import AS_PRINTED, Attending
from ..contracts import algorithm
from ..linear import wide
from ..tagging import line
from ..validation import as_arrays, require_count, require_floats
from .first_and_near import FirstAndNear, Keys, first_and_near
from .first_and_near_contracts import require_heads


def streaming_sight(*, sinks: int = 4, window: int) -> FirstAndNear:
    """What a query sees in StreamingLLM, for `sighted_logits` and the other functions of `first_and_near_decoder`.

    Arguments and errors as `streaming_attention`.
    """
    return _sight("streaming_sight", sinks, window)


def _sight(function: str, sinks: int, window: int) -> FirstAndNear:
    return FirstAndNear(
        require_count(function, "sinks", sinks, at_least=0), require_count(function, "window", window, at_least=1)
    )


def _streaming_attention_requires(Q, K, V, sinks, window, attending, W_r):
    del W_r
    _sight("streaming_attention", sinks, window)
    return require_heads("streaming_attention", Q, K, V, attending)


@algorithm(_streaming_attention_requires, static=("sinks", "window", "attending"))
def streaming_attention(
    Q: Float[Array, "*#batch l d_attn"],
    K: Float[Array, "*#batch_kv l d_attn"],
    V: Float[Array, "*#batch_kv l d_mid"],
    *,
    sinks: int = 4,
    window: int,
    attending: Attending = AS_PRINTED,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l d_mid"]:
    """Lines 4 to 6 of Algorithm 4 as a stream would have it: each query with the sinks and the near keys.

    Args:
      Q: (..., H, ℓ, d_attn), K (..., H_kv, ℓ, d_attn), V (..., H_kv, ℓ, d_mid); (ℓ, ·) of one head. Queries and keys
        are not turned by their positions yet.
      sinks: how many first tokens all queries see; with 0 of them it is attention with a window.
      window: how many near ones, their own included.
      attending: `Attending`; its `rotate` and `score` depend on distances alone. W_r: the table of a learned score.
    Returns:
      (..., H, ℓ, d_mid), in O(ℓ (window + sinks)) time.
    Raises:
      ValueError, TypeError: for other shapes and types, a window below 1, or less than 0 sinks.
    """
    return first_and_near(Q, Keys(K, V), FirstAndNear(sinks, window), attending, W_r)


def _softmax_requires(S):
    (S,) = as_arrays("softmax_off_by_one", S=S)
    require_floats("softmax_off_by_one", S=S)
    if not S.ndim or not S.shape[-1]:
        raise ValueError(f"softmax_off_by_one: S has shape {S.shape}, expected (..., ℓ) with at least one score")
    return {"S": jnp.asarray(S)}


@algorithm(_softmax_requires)
def softmax_off_by_one(S: Float[Array, "*batch l"]) -> Float[Array, "*batch l"]:
    """softmax₁: exp S_t / (1 + Σ exp S_t') over the last axis. What has nothing to attend to may attend to nothing.

    It is the softmax with one score of 0 more, for a key and a value that are 0; a model that is trained with it needs
    no sinks. Where all scores are -∞ it is 0.

    Args:
      S: (..., ℓ) scores.
    Returns:
      (..., ℓ) weights that sum to less than 1.
    """
    m = line(1, "m", jnp.maximum(wide(S).max(axis=-1, keepdims=True), 0))
    E = line(2, "E", jnp.exp(wide(S) - m))
    return line(3, "P", E / (jnp.exp(-m) + E.sum(axis=-1, keepdims=True))).astype(S.dtype)
