"""Algorithms 14 and 15 token by token: what `d_inference` and `ed_inference` give, as it is drawn."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from ..hyperparameters import DTransformerHyperparameters, EDTransformerHyperparameters
from ..parameters import DTransformerParameters, EDTransformerParameters
from ..validation import require_count, require_key
from .buckets import bucket
from .cache import KeyValueCache
from .compiling import compiled
from .contracts import bucketed, d_prompt, ed_context, refuse_undrawn, require_at_most, require_one, require_room
from .decoding import d_prefill, d_step, ed_prefill, ed_step, require_cache
from .drawing import Drawing, Text
from .filters import FilterLike


def d_stream(
    x: Int[Array, " l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    length: int | None = None,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    filters: FilterLike | Sequence[FilterLike] = (),
    stop: Sequence[int] = (),
    cache: KeyValueCache | None = None,
) -> Iterator[int]:
    """The tokens that `d_inference` draws for one prompt with the same arguments, one by one.

    The prompt is read once, then every token is one call of one compiled step. Arguments are checked before the first
    token is asked for.

    Args:
      x: (ℓ,) a prompt whose values can be seen. length: most tokens; as many as fit, l_max + 1 - ℓ, unless given.
      params, hyperparameters, temperature, key, filters: as for `d_inference`.
      stop: tokens that end the text; the one that is drawn is the last to be given.
      cache: what `d_prefill` or `PrefixCache.prefill` gave of `x`, with ℓ + length - 1 slots or more: the prompt is not
        read again. It is copied, and may be used again.
    Returns:
      An iterator of token ids.
    Raises:
      TypeError, ValueError: as `d_inference`; if `x` is no single sequence, or traced; and if `cache` is none, is one
        of several sequences, or has too few slots.
    """
    name, hp = "d_stream", hyperparameters
    x, params, _ = d_prompt(name, x, params, hp, None)
    require_one(name, "x", x)
    room = hp.l_max + 1 - x.shape[-1]
    length = room if length is None else require_count(name, "length", length, at_least=1)
    require_room(name, x, None, length, hp.l_max)
    if cache is not None:
        _require_holding(name, cache, x.shape[-1] + length - 1)
    drawing = Drawing.of(name, temperature, filters, stop, params.W_e.dtype, hp.N_V)
    prompt, l = bucketed(x, None, hp.l_max)
    slots = min(prompt.shape[-1] + bucket(length, hp.l_max), hp.l_max)
    begun = _d_begin(prompt, l, params, drawing, cache, hyperparameters=hp, slots=slots)
    return _tokens(name, d_step, begun, x.shape[-1] - 1, length, params, drawing, require_key(name, key), hp)


def ed_stream(
    z: Int[Array, " l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    *,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    l_max: int | None = None,
    filters: FilterLike | Sequence[FilterLike] = (),
) -> Iterator[int]:
    """The tokens that `ed_inference` draws for one context with the same arguments, one by one, bos_token left out.

    Args, Raises: as `ed_inference` and `d_stream`. The last token is eos_token, or the l_max-th.
    """
    name, hp = "ed_stream", hyperparameters
    z, params, _ = ed_context(name, z, params, hp, None)
    require_one(name, "z", z)
    l_max = require_at_most(name, "l_max", l_max, hp.l_max)
    drawing = Drawing.of(name, temperature, filters, (hp.eos_token,), params.W_e.dtype, hp.N_V)
    begun = _ed_begin(*bucketed(z, None, hp.l_max_z or hp.l_max), params, drawing, hyperparameters=hp)
    return _tokens(name, ed_step, begun, 0, l_max, params, drawing, require_key(name, key), hp)


@compiled(static_argnames=("hyperparameters", "slots"))
def _d_begin(x, l, params, drawing, cache, *, hyperparameters, slots):
    text = Text.begin(x[l - 1], x, l, drawing, hyperparameters.N_V)
    if cache is None:
        return text, d_prefill(x, params, hyperparameters, l, slots)
    return text, jax.tree.map(jnp.copy, cache)  # the steps write in it


@compiled(static_argnames=("hyperparameters",))
def _ed_begin(z, l_z, params, drawing, *, hyperparameters):
    bos = jnp.full((1,), hyperparameters.bos_token, z.dtype)
    text = Text.begin(bos[0], bos, jnp.ones((), int), drawing, hyperparameters.N_V)
    return text, ed_prefill(z, params, hyperparameters, l_z)


@compiled(static_argnames=("step", "hyperparameters"), donate_argnames=("cache",))
def _next(step, text, cache, t, params, drawing, key, hyperparameters):
    logits, cache = step(text.token, t, cache, params, hyperparameters)
    return text.followed_by(drawing(logits, key, t + 1, text.seen), drawing.stop), cache


def _require_holding(function: str, cache: Any, slots: int) -> None:
    require_cache(function, cache, KeyValueCache, "d_prefill")
    if cache.K.ndim != 4:
        raise ValueError(f"{function}: cache has keys of shape {cache.K.shape}, expected those of one sequence")
    if cache.slots < slots:
        raise ValueError(f"{function}: cache has {cache.slots} slots, expected at least ℓ + length - 1 = {slots}")


def _tokens(
    function: str, step: Callable, begun: Any, first: int, count: int, params, drawing, key, hyperparameters
) -> Iterator[int]:
    text, cache = begun
    for t in range(first, first + count):
        text, cache = _next(step, text, cache, np.asarray(t), params, drawing, key, hyperparameters)
        refuse_undrawn(function, text.token, params)
        yield int(text.token)
        if text.ended:
            return
