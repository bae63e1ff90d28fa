"""Algorithms 14 and 15: prompting a decoder, and predicting a sequence with an encoder-decoder.

The past is not computed again (`decoding.py`). Prompts are padded to the next power of two and the steps run under one
`scan`, so that neither the prompt's length nor the number of tokens asked for compiles anew each time. The sequences of
a batch step together, in one loop that stops computing when all of them have ended.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from ..contracts import is_concrete
from ..hyperparameters import DTransformerHyperparameters, EDTransformerHyperparameters
from ..parameters import DTransformerParameters, EDTransformerParameters
from ..tagging import line, stacked
from ..validation import require_count, require_key
from .buckets import bucket, cut
from .compiling import compiled
from .contracts import NO_TOKEN, bucketed, d_prompt, ed_context, refuse_undrawn, require_at_most, require_room
from .decoding import d_prefill, d_step, ed_prefill, ed_step
from .drawing import Drawing, Text, draw
from .filters import FilterLike

__all__ = ["NO_TOKEN", "d_inference", "draw", "ed_inference"]


def d_inference(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    length: int,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    lengths: Int[Array, "*batch"] | None = None,
    filters: FilterLike | Sequence[FilterLike] = (),
    stop: Sequence[int] = (),
) -> Int[Array, "*batch length"]:
    """Algorithm 14: prompts a trained decoder-only transformer.

    Args:
      x: (..., ℓ) prompts of at least one token, ℓ + length - 1 ≤ l_max.
      params: `DTransformerParameters`. hyperparameters: `DTransformerHyperparameters`.
      length: l_gen, how many tokens to generate; it does not stop at eos_token (E7) unless `stop` has it.
      temperature: τ > 0. τ → 0 is the most likely token, 1 is faithful, τ → ∞ uniform.
      key: one key, or a key for each prompt. A single one is split among the prompts of a batch. The token at position
        t is drawn with `fold_in(key, t)`: to generate a + b tokens is to generate a, append them, and generate b.
      lengths: (...) real tokens of each right-padded prompt; the continuation follows the last real one.
      filters: what is done to logits / τ before a token is drawn, in this order (see `filters.py`); nothing by default.
        The tokens of the prompt count as seen.
      stop: tokens that end a text; what follows the first one drawn is filled with it. None by default.
    Returns:
      (..., length) token ids; -1 where a traced argument was unusable.
    Raises:
      TypeError: as `d_transformer`, and if `key` is no key, or `filters` are none.
      ValueError: as `d_transformer`; if the prompt is empty or leaves no room, τ is not greater than 0, or a token in
        `stop` is out of range.
    """
    name, hp = "d_inference", hyperparameters
    x, params, lengths = d_prompt(name, x, params, hp, lengths)
    length = require_count(name, "length", length, at_least=1)
    require_room(name, x, lengths, length, hp.l_max)
    drawing = Drawing.of(name, temperature, filters, stop, params.W_e.dtype, hp.N_V)
    y = _d_inference(
        *bucketed(x, lengths, hp.l_max),
        params,
        drawing,
        require_key(name, key, x.shape[:-1]),
        np.asarray(length),
        hyperparameters=hp,
        steps=bucket(length, hp.l_max),
    )
    refuse_undrawn(name, y, params)
    return line(8, "y", cut(y, length))


@compiled(static_argnames=("hyperparameters", "steps"))
def _d_inference(x, lengths, params, drawing, key, length, *, hyperparameters, steps):
    batch, (x, lengths, key) = _one_axis(x, lengths, key)
    l = line(1, "l", lengths)
    legal = (l >= 1) & (l <= x.shape[-1]) & (l + length - 1 <= hyperparameters.l_max)
    text = Text.begin(jnp.where(legal, _at(x, l - 1), NO_TOKEN), x, l, drawing, hyperparameters.N_V)
    slots = min(x.shape[-1] + steps, hyperparameters.l_max)
    cache = d_prefill(x, params, hyperparameters, jnp.broadcast_to(l, x.shape[:-1]), slots)

    def step(text, cache, i):
        logits, cache = d_step(text.token, l + i - 1, cache, params, hyperparameters)
        line(4, "p", jax.nn.softmax(logits))
        y = line(5, "y", drawing(logits, key, l + i, text.seen))
        return text.followed_by(y, drawing.stop), cache

    return _steps(step, text, cache, length, steps).reshape(*batch, steps)


def _steps(step, text, cache, length, steps):
    """The tokens (..., steps) of `length` steps, or of fewer if all texts end before; what follows means nothing."""

    @stacked("steps")
    def step_if_asked(carry, i):
        wanted = (i < length) & ~carry[0].ended.all()
        carry = lax.cond(wanted, lambda carry: step(*carry, i), lambda carry: carry, carry)
        return carry, carry[0].token

    return jnp.moveaxis(lax.scan(step_if_asked, (text, cache), jnp.arange(steps))[1], 0, -1)


def _one_axis(x, lengths, key):
    """The axes of a batch, and the arrays with one axis for it, or none if it has none; a single key is split."""
    batch = x.shape[:-1]
    if batch:
        key = key if key.shape == batch else jax.random.split(key, batch)
        x, key = x.reshape(-1, x.shape[-1]), key.reshape(-1)
    return batch, (x, lengths.reshape(-1) if lengths.ndim else lengths, key)


def _at(x, t):
    """x[..., t] for a position () or (B,), clipped to those that there are."""
    t = jnp.clip(jnp.broadcast_to(t, x.shape[:-1]), 0, x.shape[-1] - 1)
    return jnp.take_along_axis(x, t[..., None], axis=-1)[..., 0]


def ed_inference(
    z: Int[Array, "*batch l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    *,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    l_max: int | None = None,
    z_lengths: Int[Array, "*batch"] | None = None,
    filters: FilterLike | Sequence[FilterLike] = (),
) -> Int[Array, "*batch length"]:
    """Algorithm 15: uses a trained encoder-decoder transformer to predict a sequence.

    Args:
      z: (..., ℓ_z) contexts, 1 ≤ ℓ_z ≤ l_max.
      params: `EDTransformerParameters`. hyperparameters: `EDTransformerHyperparameters`.
      temperature: τ > 0, as for `d_inference`.
      key: one key, or a key for each context. The token at position t is drawn with `fold_in(key, t)`.
      l_max: most tokens to draw; the model's own l_max unless given. The printed loop has no such guard (E6).
      z_lengths: (...) real tokens of each right-padded context.
      filters: as for `d_inference`. The tokens of x_hat, bos_token included, count as seen.
    Returns:
      x_hat: for one context whose values are concrete (length,), from bos_token to eos_token (or without eos_token, if
      it did not come within l_max tokens). For a batch, or under `jit`, (..., l_max + 1) in which eos_token fills
      what follows the first eos_token; -1 where a traced argument was unusable.
    Raises:
      TypeError: as `ed_transformer`, and if `key` is no key, or `filters` are none.
      ValueError: as `ed_transformer`; if τ is not greater than 0, or `l_max` is more than the model's.
    """
    name, hp = "ed_inference", hyperparameters
    z, params, z_lengths = ed_context(name, z, params, hp, z_lengths)
    l_max = require_at_most(name, "l_max", l_max, hp.l_max)
    drawing = Drawing.of(name, temperature, filters, (hp.eos_token,), params.W_e.dtype, hp.N_V)
    x_hat = _ed_inference(
        *bucketed(z, z_lengths, hp.l_max_z or hp.l_max),
        params,
        drawing,
        require_key(name, key, z.shape[:-1]),
        hyperparameters=hp,
        l_max=l_max,
    )
    refuse_undrawn(name, x_hat, params)
    if z.ndim > 1 or not is_concrete(x_hat):
        return x_hat
    ends = np.flatnonzero(np.asarray(x_hat)[1:] == hp.eos_token)  # with some models (BART) bos_token is the same
    return cut(x_hat, ends[0] + 2) if ends.size else x_hat


@compiled(static_argnames=("hyperparameters", "l_max"))
def _ed_inference(z, z_lengths, params, drawing, key, *, hyperparameters, l_max):
    batch, (z, z_lengths, key) = _one_axis(z, z_lengths, key)
    bos = line(1, "x_hat", jnp.full((*z.shape[:-1], 1), hyperparameters.bos_token, z.dtype))
    text = Text.begin(bos[..., 0], bos, jnp.ones((), int), drawing, hyperparameters.N_V)
    cache = ed_prefill(z, params, hyperparameters, jnp.broadcast_to(z_lengths, z.shape[:-1]), l_max)

    def step(text, cache, t):
        logits, cache = ed_step(text.token, t, cache, params, hyperparameters)
        line(5, "p", jax.nn.softmax(logits))
        y = line(6, "y", drawing(logits, key, t + 1, text.seen))
        return text.followed_by(y, drawing.stop), cache

    x_hat = jnp.concatenate([bos, _steps(step, text, cache, l_max, l_max)], axis=-1)
    return x_hat.reshape(*batch, l_max + 1)
