"""Beam search over any model that gives the logits of one step: B searches at once, `beam` hypotheses in each."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from ..linear import aligned, wide
from .buckets import SMALLEST
from .contracts import NO_TOKEN


class Hypotheses(NamedTuple):
    """What a beam search found, the best first.

    Attributes:
      sequences: (..., n_best, length) token ids, without the prompt and without bos_token; eos_token fills what follows
        the first one.
      lengths: (..., n_best) how many of these were predicted, eos_token included.
      scores: (..., n_best). Where there are fewer than n_best hypotheses, the rest has score -inf, length 0 and tokens
        -1; where a traced argument was unusable, score nan, length 0 and tokens -1.
    """

    sequences: jax.Array
    lengths: jax.Array
    scores: jax.Array


@struct.dataclass
class Beam:
    """The hypotheses (B, beam) that are being looked at. One that does not exist has log_P = -inf.

    `tokens` are (B, beam, steps), `last` is the token to go on from; an ended hypothesis keeps its length and log_P.
    """

    tokens: jax.Array
    last: jax.Array
    log_P: jax.Array
    length: jax.Array
    ended: jax.Array


def search(
    step: Callable,
    first: jax.Array,
    past: Any,
    grow: Callable,
    *,
    eos: int,
    length: jax.Array,
    alpha: Any,
    steps: int,
    beam: int,
    n_best: int,
) -> Hypotheses:
    """Search from the tokens `first` (B,) for texts that end with `eos`, or have `length` ≤ `steps` tokens.

    Args:
      step: (tokens (B, beam), i, past) -> logits (B, beam, N_V) of the i-th token of the texts, and the new past.
      past: a pytree of arrays (L, B, …): what `step` knows of each search's past. It is kept for each hypothesis, and
        follows it.
      grow: (past, n) -> the past with room for n steps.
    """
    dtype = wide(jax.tree.leaves(past)[0]).dtype
    alpha = jnp.asarray(alpha, dtype)
    penalty = _Penalty(jnp.where(alpha >= 0, alpha, jnp.nan), length)
    past = jax.tree.map(lambda a: jnp.broadcast_to(a[:, :, None], (*a.shape[:2], beam, *a.shape[2:])), past)

    def unfinished(state, until):
        i, here, _ = state
        return (i < until) & (~here.ended & (here.log_P != -jnp.inf)).any()

    def advance(state):
        i, here, past = state
        logits, past = step(here.last, i, past)
        here, parent = _extended(here, wide(logits), i, eos, penalty)
        return i + 1, _without_losers(here, penalty, n_best), _of_parents(past, parent)

    i, here = jnp.zeros((), int), _begin(first, beam, steps, eos, dtype)
    for bound in _stages(steps):  # a loop for each power of two: what the short texts need is all that is moved
        until = partial(unfinished, until=jnp.minimum(length, bound))
        i, here, past = lax.while_loop(until, advance, (i, here, grow(past, bound)))
    return _ranked(here, penalty, n_best)


def _stages(steps: int) -> list[int]:
    """Numbers of steps, each twice as many as before, up to all of them."""
    return [n for n in (SMALLEST << k for k in range(steps.bit_length())) if n < steps] + [steps]


class _Penalty(NamedTuple):
    """((5 + |y|) / 6)^α, and the most that it comes to."""

    alpha: jax.Array
    longest: jax.Array

    def __call__(self, length: jax.Array) -> jax.Array:
        alpha = aligned(self.alpha, length)
        return ((5 + length.astype(alpha.dtype)) / 6) ** alpha

    @property
    def most(self) -> jax.Array:
        return self(self.longest)


def _begin(first, beam, steps, eos, dtype) -> Beam:
    """One hypothesis, the empty text, in each search."""
    shape = (*first.shape, beam)
    return Beam(
        tokens=jnp.full((*shape, steps), eos, first.dtype),
        last=jnp.broadcast_to(first[:, None], shape),
        log_P=jnp.full(shape, -jnp.inf, dtype).at[:, 0].set(0),
        length=jnp.zeros(shape, int),
        ended=jnp.zeros(shape, bool),
    )


def _extended(here: Beam, logits: jax.Array, i: jax.Array, eos: int, penalty) -> tuple[Beam, jax.Array]:
    """The best of the hypotheses with one more token each, ended ones as they are; and which hypothesis each was."""
    B, beam, N_V = logits.shape
    # No more than `beam` tokens of one hypothesis can be among the best of all.
    best, tokens = lax.top_k(logits, min(beam, N_V))
    log_p = best - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    ended = here.ended[..., None]
    tokens = jnp.where(ended, eos, tokens).astype(here.last.dtype)
    only = jnp.where(jnp.arange(tokens.shape[-1])[None, None] == 0, here.log_P[..., None], -jnp.inf)
    log_P = jnp.where(ended, only, here.log_P[..., None] + log_p)
    length = jnp.where(here.ended, here.length, i + 1)
    chosen = lax.top_k((log_P / penalty(length)[..., None]).reshape(B, -1), beam)[1].astype(int)
    parent = chosen // tokens.shape[-1]

    def of_parent(a):
        return jnp.take_along_axis(a, parent, axis=1)

    last = jnp.take_along_axis(tokens.reshape(B, -1), chosen, axis=1)
    texts = jnp.take_along_axis(here.tokens, parent[..., None], axis=1)
    extended = Beam(
        tokens=lax.dynamic_update_slice_in_dim(texts, last[..., None], i, axis=-1),
        last=last,
        log_P=jnp.take_along_axis(log_P.reshape(B, -1), chosen, axis=1),
        length=of_parent(length),
        ended=of_parent(here.ended) | (last == eos),
    )
    return extended, parent


def _of_parents(past: Any, parent: jax.Array) -> Any:
    """The pasts (L, B, beam, …) of the hypotheses `parent` (B, beam), by one gather from all searches' hypotheses."""
    B, beam = parent.shape
    row = (beam * jnp.arange(B)[:, None] + parent).reshape(-1)

    def of_parent(a):
        return a.reshape(a.shape[0], B * beam, *a.shape[3:])[:, row].reshape(a.shape)

    return jax.tree.map(of_parent, past)


def _without_losers(here: Beam, penalty, n_best: int) -> Beam:
    """Without those that cannot come before n_best ended ones, whatever follows: log P falls, and the penalty grows."""
    ended = jnp.where(here.ended, here.log_P / penalty(here.length), -jnp.inf)
    last_place = lax.top_k(ended, n_best)[0][:, -1:]
    lost = ~here.ended & (here.log_P / aligned(penalty.most, here.log_P) <= last_place)
    return here.replace(log_P=jnp.where(lost, -jnp.inf, here.log_P))  # type: ignore[attr-defined]


def _ranked(here: Beam, penalty, n_best: int) -> Hypotheses:
    scores, order = lax.top_k(here.log_P / penalty(here.length), n_best)
    exists = scores > -jnp.inf
    tokens = jnp.take_along_axis(here.tokens, order[..., None], axis=1)
    return Hypotheses(
        sequences=jnp.where(exists[..., None], tokens, NO_TOKEN),
        lengths=jnp.where(exists, jnp.take_along_axis(here.length, order, axis=1), 0),
        scores=scores,
    )
