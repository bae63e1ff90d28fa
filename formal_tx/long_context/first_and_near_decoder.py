"""Decoders that attend to the first tokens and to the near ones: whole texts, prompts, and streams token by token.

What a query sees is said by a `FirstAndNear`, which `lambda_sight` (LM-Infinite) and `streaming_sight` (StreamingLLM)
make. The model is one of the paper's decoders, as it was trained, and its texts may have any length.
"""

import jax
from jaxtyping import Array, Float, Int

from ..architectures import Attend, d_layers, logits_of
from ..contracts import algorithm, refuse_nan_input
from ..hyperparameters import DTransformerHyperparameters
from ..parameters import DTransformerParameters
from .first_and_near import FirstAndNear, first_and_near_attend
from .first_and_near_contracts import require_model, require_step, require_stream
from .sink_cache import SinkCache, decode_step, empty_sink_cache, prefill


def sighted_attend(
    params: DTransformerParameters, hyperparameters: DTransformerHyperparameters, sight: FirstAndNear
) -> Attend:
    """The attention of `sight`, for `d_layers`. Arguments and errors as `sighted_logits`."""
    params = require_model("sighted_attend", params, hyperparameters, sight)
    return first_and_near_attend(sight, hyperparameters.attending, params.W_r)


def _logits_requires(x, params, hyperparameters, sight):
    return require_stream("sighted_logits", x, params, hyperparameters, sight)


@algorithm(_logits_requires, static=("hyperparameters", "sight"))
def sighted_logits(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    sight: FirstAndNear,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10 up to the softmax, with the attention of `sight` in every layer: no ℓ is too long.

    Args:
      x: (..., ℓ) token ids, any number of them. params, hyperparameters: a decoder without a table of positions.
      sight: what each query sees, as `lambda_sight` or `streaming_sight` says it.
    Returns:
      logits (..., ℓ, N_V), as `sighted_step` gives them token by token; nan where a traced id is out of range.
    Raises:
      ValueError, TypeError: as `d_transformer`, but for l_max; for hyperparameters with a table of positions, learned
        or not, or with windows of their own; for a `sight` that is none.
    Warns:
      UserWarning: if `sight` has greater distances than any that the model was trained with, taking l_max for those.
    """
    X, _ = d_layers(x, params, hyperparameters, first_and_near_attend(sight, hyperparameters.attending, params.W_r))
    return logits_of(X, params, hyperparameters)


def sighted_cache(
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    sight: FirstAndNear,
    batch: tuple[int, ...] = (),
) -> SinkCache:
    """The cache of streams (*batch) of which nothing has been read. Arguments and errors as `sighted_logits`."""
    params = require_model("sighted_cache", params, hyperparameters, sight)
    return empty_sink_cache(params, hyperparameters, sight, batch)


def sighted_prefill(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    sight: FirstAndNear,
) -> tuple[Float[Array, "*batch N_V"], SinkCache]:
    """The logits after the last token of a prompt, and the cache: what reading it token by token would give.

    Arguments and errors as `sighted_logits`.
    """
    arguments = require_stream("sighted_prefill", x, params, hyperparameters, sight)
    answer = prefill(arguments["x"], arguments["params"], hyperparameters, sight)
    refuse_nan_input("sighted_prefill", arguments, answer)
    return answer


def sighted_step(
    token: Int[Array, "*batch"],
    cache: SinkCache,
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
) -> tuple[Float[Array, "*batch N_V"], SinkCache]:
    """The logits after one more token, in constant time and memory, however many there were.

    Args:
      token: (...) ids. cache: what `sighted_prefill`, `sighted_cache` or `sighted_step` gave; it knows its sight.
    Returns:
      logits (..., N_V) of the next token, and the new cache.
    Raises:
      TypeError: for what is no `SinkCache`, or one of another dtype. ValueError: for one of another model, an id out of
        range, or tokens of other streams.
    """
    token, params = require_step("sighted_step", token, cache, params, hyperparameters)
    answer: tuple[jax.Array, SinkCache] = decode_step(token, cache, params, hyperparameters)
    return answer
