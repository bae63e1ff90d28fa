"""One token at a time: the pure functions that Algorithms 14 and 15 and beam search are written with.

`d_prefill` reads a prompt into a cache, and `d_step` gives the logits after one more token, and the cache that holds
it; `ed_prefill` and `ed_step` do the same for the encoder-decoder. Sequences of different lengths are right-padded:
positions count from 0 at the first token, as printed, so that a sequence has the same rows of W_p alone and in a batch,
and what is generated overwrites the padding.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..architecture_contracts import (
    d_requires,
    require_hyperparameters,
    require_parameters,
    token_sequences,
)
from ..architectures import d_layers, decode, encode, logits_of
from ..embedding import within
from ..hyperparameters import DTransformerHyperparameters, EDTransformerHyperparameters
from ..linear import aligned
from ..parameters import DTransformerParameters, EDTransformerParameters
from ..validation import as_arrays, require_count, require_ids
from .cache import (
    EDCache,
    KeyValueCache,
    cached_attend,
    context_attend,
    context_cache,
    empty_cache,
    keep_attend,
    with_slots,
    write,
)
from .contracts import NO_TOKEN


def d_prefill(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    slots: int | None = None,
) -> KeyValueCache:
    """The cache of prompts.

    Args:
      x: (..., ℓ) token ids. params, hyperparameters: the model.
      lengths: (...) how many tokens of each right-padded prompt are real.
      slots: how many positions the cache has room for, from ℓ to l_max; l_max unless given.
    Returns:
      `KeyValueCache`, keys (L, ..., H, slots, d_attn). `d_step` at position `lengths` or later overwrites the padding.
    Raises:
      TypeError, ValueError: as `d_transformer`, and if `slots` is out of range.
    """
    arguments = d_requires(x, params, hyperparameters, lengths, function="d_prefill")
    x, params, lengths = arguments["x"], arguments["params"], arguments["lengths"]
    slots = require_slots("d_prefill", slots, x.shape[-1], hyperparameters.l_max)
    return _d_prefill(x, params, hyperparameters, lengths, slots)


@partial(jax.jit, static_argnames=("hyperparameters", "slots"))
def _d_prefill(x, params, hyperparameters, lengths, slots):
    x = jnp.where(within(x, lengths), x, 0)
    attend = keep_attend(hyperparameters.attending, params.W_r)
    return with_slots(d_layers(x, params, hyperparameters, attend)[1], slots)


def d_step(
    token: Int[Array, "*batch"],
    t: Int[Array, "*#batch"],
    cache: KeyValueCache,
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
) -> tuple[Float[Array, "*batch N_V"], KeyValueCache]:
    """The logits after one more token.

    Args:
      token: (...) ids. t: () or (...) the position at which each stands, in [0, slots): all before it are in the cache.
      cache: what `d_prefill` or `d_step` gave. params, hyperparameters: the model.
    Returns:
      logits (..., N_V) of the next token, nan where a traced id or position is out of range; and the new cache.
    Raises:
      TypeError: for what is no cache or no integer.
      ValueError: for an id or position out of range, or a cache of other sequences, and as `d_transformer`.
    """
    params = require_parameters("d_step", params, DTransformerParameters, hyperparameters)
    require_cache("d_step", cache, KeyValueCache, "d_prefill")
    token, t = require_step("d_step", token, t, cache, hyperparameters)
    return _d_step(token, t, cache, params, hyperparameters)


@partial(jax.jit, static_argnames=("hyperparameters",))
def _d_step(token, t, cache, params, hyperparameters):
    logits, cache = extended(token[..., None], t, cache, params, hyperparameters)
    return logits[..., 0, :], cache


def extended(x, t, cache, params, hyperparameters):
    """The logits (..., n, N_V) after each of the tokens `x` (..., n), the first at position `t`; and the new cache."""
    x, positions = _at(x, t, cache)
    attend = cached_attend(positions, hyperparameters.attending, params.W_r)
    X, new = d_layers(x, params, hyperparameters, attend, positions=positions, states=cache)
    return logits_of(X, params, hyperparameters), write(cache, new, t)


def ed_prefill(
    z: Int[Array, "*batch l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*batch"] | None = None,
    slots: int | None = None,
) -> EDCache:
    """The cache of contexts: all of `z` encoded, nothing decoded.

    Args:
      z: (..., ℓ_z) token ids. params, hyperparameters: the model.
      z_lengths: (...) how many tokens of each right-padded context are real.
      slots: how many decoded tokens the cache has room for; l_max, the most that it may be, unless given.
    Returns:
      `EDCache`.
    Raises:
      TypeError, ValueError: as `ed_transformer`, and if `slots` is out of range.
    """
    name = "ed_prefill"
    require_hyperparameters(name, hyperparameters, "EDTransformerHyperparameters")
    params = require_parameters(name, params, EDTransformerParameters, hyperparameters)
    z, z_lengths = token_sequences(name, "z", z, hyperparameters, z_lengths)
    slots = require_slots(name, slots, 1, hyperparameters.l_max)
    return _ed_prefill(z, params, hyperparameters, z_lengths, slots)


@partial(jax.jit, static_argnames=("hyperparameters", "slots"))
def _ed_prefill(z, params, hyperparameters, z_lengths, slots):
    Z = encode(z, params, hyperparameters, z_lengths)
    past = empty_cache(hyperparameters.L_dec, z.shape[:-1], slots, hyperparameters, params.W_e.dtype)
    real = jnp.full((), z.shape[-1]) if z_lengths is None else z_lengths
    return EDCache(
        past,
        context_cache(Z, params.decoder.cross_attention, hyperparameters.cross_attending),
        jnp.broadcast_to(real, z.shape[:-1]),
    )


def ed_step(
    token: Int[Array, "*batch"],
    t: Int[Array, "*#batch"],
    cache: EDCache,
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
) -> tuple[Float[Array, "*batch N_V"], EDCache]:
    """The logits after one more decoded token. Arguments, result and errors as `d_step`, with an `EDCache`."""
    name = "ed_step"
    require_hyperparameters(name, hyperparameters, "EDTransformerHyperparameters")
    params = require_parameters(name, params, EDTransformerParameters, hyperparameters)
    require_cache(name, cache, EDCache, "ed_prefill")
    token, t = require_step(name, token, t, cache.past, hyperparameters)
    return _ed_step(token, t, cache, params, hyperparameters)


@partial(jax.jit, static_argnames=("hyperparameters",))
def _ed_step(token, t, cache, params, hyperparameters):
    token, positions = _at(token[..., None], t, cache.past)
    attend = jax.named_scope("self_attention")(cached_attend(positions, hyperparameters.decoder_attending, params.W_rx))
    cross_attend = jax.named_scope("cross_attention")(context_attend(cache.z_lengths, hyperparameters.cross_attending))
    states = (cache.past, cache.context)
    X, (new, _) = decode(token, params, hyperparameters, attend, cross_attend, positions=positions, states=states)
    return logits_of(X, params, hyperparameters)[..., 0, :], cache.replace(past=write(cache.past, new, t))


def _at(x, t, cache):
    """Tokens (..., n), and the positions of them from `t` on. Where the cache lacks a slot all of them are none."""
    positions = jnp.broadcast_to(t[..., None], x.shape) + aligned(jnp.arange(x.shape[-1]), x)
    return jnp.where((positions[..., :1] >= 0) & (positions[..., -1:] < cache.slots), x, NO_TOKEN), positions


def require_cache(function: str, cache: Any, kind: type, made_by: str) -> None:
    """Raise `TypeError` unless `cache` is of this kind."""
    if not isinstance(cache, kind):
        raise TypeError(
            f"{function}: cache is a {type(cache).__name__}, expected {kind.__name__}, as {made_by} makes it"
        )


def require_slots(function: str, slots: Any, at_least: int, l_max: int) -> int:
    """How many slots a cache has, l_max unless given; `ValueError` for too few or too many."""
    slots = l_max if slots is None else require_count(function, "slots", slots, at_least=at_least)
    if slots > l_max:
        raise ValueError(f"{function}: slots is {slots}, more than l_max = {l_max}")
    return slots


def require_step(
    function: str, token: Any, t: Any, cache: KeyValueCache, hyperparameters: Any, n: int | None = None
) -> tuple[Any, Any]:
    """Tokens (...), or (..., n), and their (first) positions () or (...), in canonical form."""
    name, several = ("token", ()) if n is None else ("x", (n,))
    token, t = as_arrays(function, **{name: token, "t": t})
    token = require_ids(function, name, token, hyperparameters.N_V)
    batch = cache.K.shape[1:-3]
    _require_cache_of(function, cache, batch, hyperparameters)
    if token.shape != (*batch, *several):
        expected = f"{batch}: one for" if n is None else f"{(*batch, n)}: as many for"
        raise ValueError(f"{function}: {name} has shape {token.shape}, expected {expected} each sequence of the cache")
    if t.shape not in ((), batch):
        raise ValueError(f"{function}: t has shape {t.shape}, expected () or {batch}: one position for each sequence")
    last = "slots" if n is None else "slots - n + 1"
    t = require_ids(function, "t", t, cache.slots - (n or 1) + 1, what=last)
    return token, t.astype(int)


def _require_cache_of(function: str, cache: KeyValueCache, batch: tuple[int, ...], hyperparameters: Any) -> None:
    """`ValueError` for a cache of another model."""
    hp = hyperparameters
    L = hp.L_dec if isinstance(hp, EDTransformerHyperparameters) else hp.L
    for name, array, d in (("K", cache.K, hp.d_attn), ("V", cache.V, hp.d_mid)):
        expected = (L, *batch, hp.key_value_heads, cache.slots, d)
        if array.shape != expected:
            raise ValueError(
                f"{function}: cache.{name} has shape {array.shape}, expected {expected}: that of another model?"
            )
