"""Beam search: the likeliest continuations, or predicted sequences, that a search of limited width finds.

A hypothesis is a text y that ended with eos_token, or is as long as was asked for. Its score is that of 1609.08144,
equation 14, which 1706.03762 decodes with (beam 4, α = 0.6):

    score(y) = log P(y) / ((5 + |y|) / 6)^α

where |y| counts the tokens that were predicted, eos_token included. Ended hypotheses keep their place in the beam as
long as their score is among the best: a beam of 1 is greedy decoding, and one that is wide enough finds the best.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ..contracts import is_concrete
from ..hyperparameters import DTransformerHyperparameters, EDTransformerHyperparameters
from ..parameters import DTransformerParameters, EDTransformerParameters
from ..validation import require_count, require_number
from .buckets import bucket, cut
from .cache import EDCache, with_slots
from .compiling import compiled
from .contracts import NO_TOKEN, bucketed, d_prompt, ed_context, refuse_undrawn, require_at_most, require_room
from .decoding import d_prefill, d_step, ed_prefill, ed_step
from .hypotheses import Hypotheses, search


def d_beam_search(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    length: int,
    beam: int = 4,
    alpha: Any = 0.6,
    n_best: int = 1,
    lengths: Int[Array, "*batch"] | None = None,
) -> Hypotheses:
    """The best continuations of prompts.

    Args:
      x: (..., ℓ) prompts of at least one token, ℓ + length - 1 ≤ l_max.
      params: `DTransformerParameters`. hyperparameters: `DTransformerHyperparameters`.
      length: most tokens of a continuation; unlike Algorithm 14 it ends with eos_token.
      beam: how many hypotheses are kept. alpha: α ≥ 0 of the score; 0 is log P.
      n_best: how many are returned, at most `beam`.
      lengths: (...) real tokens of each right-padded prompt.
    Returns:
      `Hypotheses`.
    Raises:
      TypeError: as `d_transformer`. ValueError: as `d_transformer`; if the prompt leaves no room, or a number is out of
        range.
    """
    name, hp = "d_beam_search", hyperparameters
    x, params, lengths = d_prompt(name, x, params, hp, lengths)
    length = require_count(name, "length", length, at_least=1)
    require_room(name, x, lengths, length, hp.l_max)
    options = _options(name, beam, alpha, n_best)
    steps = bucket(length, hp.l_max)
    found = _d_beam_search(
        *bucketed(x, lengths, hp.l_max), params, np.asarray(length), hyperparameters=hp, steps=steps, **options
    )
    refuse_undrawn(name, found.sequences, params)
    return found._replace(sequences=cut(found.sequences, length))


@compiled(static_argnames=("hyperparameters", "steps", "beam", "n_best"))
def _d_beam_search(x, lengths, params, length, alpha, *, hyperparameters, steps, beam, n_best):
    batch, x, l = x.shape[:-1], x.reshape(-1, x.shape[-1]), lengths.reshape(-1) if lengths.ndim else lengths
    past = d_prefill(x, params, hyperparameters, jnp.broadcast_to(l, x.shape[:-1]), x.shape[-1])
    legal = (l >= 1) & (l <= x.shape[-1]) & (l + length - 1 <= hyperparameters.l_max)
    at = jnp.broadcast_to(jnp.clip(l - 1, 0, x.shape[-1] - 1), x.shape[:-1])
    first = jnp.where(legal, jnp.take_along_axis(x, at[:, None], axis=-1)[:, 0], NO_TOKEN)
    t = l - 1 if not l.ndim else jnp.broadcast_to((l - 1)[:, None], (x.shape[0], beam))

    def step(token, i, past):
        return d_step(token, t + i, past, params, hyperparameters)

    def grow(past, n):
        return with_slots(past, min(x.shape[-1] + n, hyperparameters.l_max))

    options = {"length": length, "alpha": alpha, "steps": steps, "beam": beam, "n_best": n_best}
    found = search(step, first, past, grow, eos=hyperparameters.eos_token, **options)
    return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), found)


def ed_beam_search(
    z: Int[Array, "*batch l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    *,
    length: int | None = None,
    beam: int = 4,
    alpha: Any = 0.6,
    n_best: int = 1,
    z_lengths: Int[Array, "*batch"] | None = None,
) -> Hypotheses:
    """The best sequences for contexts, translations for example.

    Args:
      z: (..., ℓ_z) contexts, 1 ≤ ℓ_z ≤ l_max.
      params: `EDTransformerParameters`. hyperparameters: `EDTransformerHyperparameters`.
      length: most tokens to predict; the model's l_max unless given.
      beam, alpha, n_best: as for `d_beam_search`.
      z_lengths: (...) real tokens of each right-padded context.
    Returns:
      `Hypotheses`; bos_token, which Algorithm 15 puts in front, is not part of the sequences.
    Raises:
      TypeError: as `ed_transformer`. ValueError: as `ed_transformer`; if `length` is more than the model's l_max, or a
        number is out of range.
    """
    name, hp = "ed_beam_search", hyperparameters
    z, params, z_lengths = ed_context(name, z, params, hp, z_lengths)
    length = require_at_most(name, "length", length, hp.l_max)
    options = _options(name, beam, alpha, n_best)
    steps = bucket(length, hp.l_max)
    found = _ed_beam_search(
        *bucketed(z, z_lengths, hp.l_max_z or hp.l_max),
        params,
        np.asarray(length),
        hyperparameters=hp,
        steps=steps,
        **options,
    )
    refuse_undrawn(name, found.sequences, params)
    return found._replace(sequences=cut(found.sequences, length))


@compiled(static_argnames=("hyperparameters", "steps", "beam", "n_best"))
def _ed_beam_search(z, z_lengths, params, length, alpha, *, hyperparameters, steps, beam, n_best):
    batch, z = z.shape[:-1], z.reshape(-1, z.shape[-1])
    l_z = jnp.broadcast_to(z_lengths.reshape(-1) if z_lengths.ndim else z_lengths, z.shape[:-1])
    cache = ed_prefill(z, params, hyperparameters, l_z, slots=1)
    # The beams of a search share its context: an axis of size one, which broadcasts.
    context, real = jax.tree.map(lambda a: a[:, :, None], cache.context), cache.z_lengths[:, None]
    first = jnp.full(z.shape[:-1], hyperparameters.bos_token, z.dtype)

    def step(token, t, past):
        logits, cache = ed_step(token, t, EDCache(past, context, real), params, hyperparameters)
        return logits, cache.past

    options = {"length": length, "alpha": alpha, "steps": steps, "beam": beam, "n_best": n_best}
    found = search(step, first, cache.past, with_slots, eos=hyperparameters.eos_token, **options)
    return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), found)


def _options(function: str, beam: Any, alpha: Any, n_best: Any) -> dict[str, Any]:
    beam = require_count(function, "beam", beam, at_least=1)
    n_best = require_count(function, "n_best", n_best, at_least=1)
    if n_best > beam:
        raise ValueError(f"{function}: n_best is {n_best}, more than beam = {beam}")
    require_number(function, "alpha", alpha)
    if is_concrete(alpha):
        if not 0 <= float(alpha) < np.inf:
            raise ValueError(f"{function}: alpha is {alpha}, expected a finite number of at least 0")
        alpha = float(alpha)
    return {"beam": beam, "alpha": alpha, "n_best": n_best}
