"""LM-Infinite (2308.16137): a mask in the shape of a Λ and a ceiling for distances, without any training.

A decoder with relative positions meets three things beyond the length that it was trained with: distances that it never
saw, more tokens than it ever attended to, and first tokens that are no longer where it looks for them. Here every query
sees the first tokens and the near ones, and no distance is greater than the ceiling.

Of the paper's code: `limit_distance` is the ceiling, `global_branch` the first tokens, `local_branch` the window. There
the ceiling may be left out, and is then none; here it has to be said. The optional tokens from the middle are left out.
"""

from typing import Any

import jax
from jaxtyping import Array, Float, Int

from ..architectures import Attend, d_layers, logits_of
from ..attending import AS_PRINTED, Attending
from ..contracts import algorithm, refuse_nan_input
from ..hyperparameters import DTransformerHyperparameters
from ..parameters import DTransformerParameters
from ..validation import require_count
from .first_and_near import FirstAndNear, Keys, first_and_near, first_and_near_attend
from .first_and_near_contracts import require_heads, require_model, require_step, require_stream
from .sink_cache import SinkCache, decode_step, empty_sink_cache, prefill


def _sight(function: str, first: Any, window: Any, ceiling: Any) -> FirstAndNear:
    return FirstAndNear(
        require_count(function, "first", first, at_least=0),
        require_count(function, "window", window, at_least=1),
        require_count(function, "ceiling", ceiling, at_least=0),
    )


def _lambda_attention_requires(Q, K, V, first, window, ceiling, attending, W_r):
    del W_r
    _sight("lambda_attention", first, window, ceiling)
    return require_heads("lambda_attention", Q, K, V, attending)


@algorithm(_lambda_attention_requires, static=("first", "window", "ceiling", "attending"))
def lambda_attention(
    Q: Float[Array, "*#batch l d_attn"],
    K: Float[Array, "*#batch_kv l d_attn"],
    V: Float[Array, "*#batch_kv l d_mid"],
    *,
    first: int = 10,
    window: int,
    ceiling: int,
    attending: Attending = AS_PRINTED,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l d_mid"]:
    """Lines 4 to 6 of Algorithm 4, each query with the first keys and the near ones, at distances up to the ceiling.

    Args:
      Q: (..., H, ℓ, d_attn), K (..., H_kv, ℓ, d_attn), V (..., H_kv, ℓ, d_mid); (ℓ, ·) of one head. Queries and keys
        are not turned by their positions yet.
      first: how many first tokens all queries see. window: how many near ones, their own included.
      ceiling: no distance is greater; the paper has the window for it.
      attending: `Attending`; its `rotate` and `score` depend on distances alone. W_r: the table of a learned score.
    Returns:
      (..., H, ℓ, d_mid), in O(ℓ (window + first)) time.
    Raises:
      ValueError, TypeError: for other shapes and types, a window below 1, or a count or a ceiling below 0.
    """
    return first_and_near(Q, Keys(K, V), FirstAndNear(first, window, ceiling), attending, W_r)


def lambda_attend(
    hyperparameters: DTransformerHyperparameters,
    params: DTransformerParameters,
    *,
    first: int = 10,
    window: int,
    ceiling: int,
) -> Attend:
    """The attention of LM-Infinite for `d_layers`. Arguments and errors as `lm_infinite_logits`."""
    sight = _sight("lambda_attend", first, window, ceiling)
    params = require_model("lambda_attend", params, hyperparameters, sight)
    return first_and_near_attend(sight, hyperparameters.attending, params.W_r)


def _lm_infinite_requires(x, params, hyperparameters, first, window, ceiling, function="lm_infinite_logits"):
    return require_stream(function, x, params, hyperparameters, _sight(function, first, window, ceiling))


@algorithm(_lm_infinite_requires, static=("hyperparameters", "first", "window", "ceiling"))
def lm_infinite_logits(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    first: int = 10,
    window: int,
    ceiling: int,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10 up to the softmax, with LM-Infinite's attention in every layer: no ℓ is too long.

    Args:
      x: (..., ℓ) token ids, any number of them. params, hyperparameters: a decoder without a table of positions.
      first, window, ceiling: as `lambda_attention`.
    Returns:
      logits (..., ℓ, N_V); nan where a traced id is out of range.
    Raises:
      ValueError, TypeError: as `d_transformer`, but for l_max, and as `lambda_attention`; for hyperparameters with a
        table of positions, learned or not, or with windows of their own.
    """
    sight = FirstAndNear(first, window, ceiling)
    X, _ = d_layers(x, params, hyperparameters, first_and_near_attend(sight, hyperparameters.attending, params.W_r))
    return logits_of(X, params, hyperparameters)


def lm_infinite_cache(
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    batch: tuple[int, ...] = (),
    *,
    first: int = 10,
    window: int,
    ceiling: int,
) -> SinkCache:
    """The cache of streams (*batch) of which nothing has been read. Arguments and errors as `lm_infinite_logits`."""
    sight = _sight("lm_infinite_cache", first, window, ceiling)
    params = require_model("lm_infinite_cache", params, hyperparameters, sight)
    return empty_sink_cache(params, hyperparameters, sight, batch)


def lm_infinite_prefill(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    first: int = 10,
    window: int,
    ceiling: int,
) -> tuple[Float[Array, "*batch N_V"], SinkCache]:
    """The logits after the last token of a prompt, and the cache of its first tokens and its last ones.

    Arguments and errors as `lm_infinite_logits`.
    """
    name = "lm_infinite_prefill"
    arguments = _lm_infinite_requires(x, params, hyperparameters, first, window, ceiling, function=name)
    sight = _sight(name, first, window, ceiling)
    answer = prefill(arguments["x"], arguments["params"], hyperparameters, sight)
    refuse_nan_input(name, arguments, answer)
    return answer


def lm_infinite_step(
    token: Int[Array, "*batch"],
    cache: SinkCache,
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
) -> tuple[Float[Array, "*batch N_V"], SinkCache]:
    """The logits after one more token, in constant time and memory.

    Args:
      token: (...) ids. cache: what `lm_infinite_prefill`, `lm_infinite_cache` or `lm_infinite_step` gave.
    Returns:
      logits (..., N_V) of the next token, and the new cache.
    Raises:
      TypeError: for what is no `SinkCache`, or one of another dtype. ValueError: for one of another model or system, an
        id out of range, or tokens of other streams.
    """
    token, params = require_step(
        "lm_infinite_step", token, cache, params, hyperparameters, "lm_infinite_prefill", ceiling=True
    )
    answer: tuple[jax.Array, SinkCache] = decode_step(token, cache, params, hyperparameters)
    return answer
