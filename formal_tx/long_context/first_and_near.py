"""Attention to the first tokens and to the near ones, with distances of its own: LM-Infinite and StreamingLLM are both.

Of a query at position i there are two kinds of keys: the first n of the sequence, and the near ones behind these, less
than w before the query. The scores of both stand side by side under one softmax. For a whole sequence it goes from one
block of queries to the next, and the last w - 1 keys go along: O(ℓ (w + n)) in time, in memory O(ℓ), and the same for
its gradient. With a cache of n + w keys it takes a token at a time.

Distances alone count: `rotate` and `score` have to depend on the difference of two positions, as RoPE, ALiBi and T5's
buckets do. Positions are then counted from the block, or inside of the cache, and stay small however long the text is.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .. import groups
from ..architectures import Attend
from ..attending import Attending
from ..attention import join_heads
from ..implementation import asked_for
from ..linear import affine, aligned, softmax
from ..tagging import line, stacked
from ..validation import require_count

_SHORT = 128
"""Up to so many tokens, all scores at once are faster than blocks of them."""

_SMALLEST_BLOCK, _LARGEST_BLOCK = 64, 512
"""How many queries a block has: as many as a query sees near ones, within these bounds."""


@dataclass(frozen=True)
class FirstAndNear:
    """Which keys a query sees, and how far from it they seem to be.

    Attributes:
      first: n, how many of the first tokens it sees, those that are not after it.
      window: w, how many near ones at most, itself included.
      ceiling: no distance is greater (LM-Infinite). None: the first tokens stand immediately before the near ones, as
        in a cache from which the others are gone (StreamingLLM).
    Raises:
      ValueError: for a window below 1, or a first or a ceiling below 0.
    """

    first: int
    window: int
    ceiling: int | None = None

    def __post_init__(self) -> None:
        require_count("FirstAndNear", "first", self.first, at_least=0)
        require_count("FirstAndNear", "window", self.window, at_least=1)
        if self.ceiling is not None:
            require_count("FirstAndNear", "ceiling", self.ceiling, at_least=0)

    @property
    def horizon(self) -> int:
        """From this position on all queries are alike: to none are the first tokens nearer than to another."""
        return self.first + (self.window - 1 if self.ceiling is None else self.ceiling)


class Keys(NamedTuple):
    """Keys (..., ℓ, d_attn), not turned yet, and values (..., ℓ, d_mid)."""

    K: jax.Array
    V: jax.Array

    def rows(self, first: int, last: int | None = None) -> "Keys":
        """Those of some tokens."""
        return Keys(self.K[..., first:last, :], self.V[..., first:last, :])

    def followed_by(self, other: "Keys") -> "Keys":
        """These, and then the others."""
        return Keys(*(jnp.concatenate(pair, axis=-2) for pair in zip(self, other, strict=True)))


def scores(Q, first: Keys, near: Keys, i, t_x, t_z, sight: FirstAndNear, attending: Attending, W_r=None):
    """The scores of the first keys and of the near ones, and which of them a query sees.

    Args:
      Q: (..., ℓ_x, d_attn), not turned yet. first: at most n rows, those at positions 0, 1, ….
      i: (ℓ_x,) the positions of the queries. t_x (ℓ_x,), t_z (ℓ_z,): those of the queries and of the near keys, counted
        from anywhere.
    Returns:
      S (..., ℓ_x, n + ℓ_z), scaled, and a mask (ℓ_x, n + ℓ_z).
    """
    t_first = jnp.arange(first.K.shape[-2])
    S_first = _scores(Q, first.K, jnp.minimum(i, sight.horizon), t_first, sight.ceiling, attending, W_r)
    # A near key is at most w - 1 away.
    ceiling = sight.ceiling if sight.ceiling is not None and sight.ceiling < sight.window - 1 else None
    S_near = _scores(Q, near.K, t_x, t_z, ceiling, attending, W_r)
    distance = t_x[:, None] - t_z[None, :]
    seen = (distance >= 0) & (distance < sight.window) & (i[:, None] - distance >= sight.first)
    mask = jnp.concatenate([t_first[None, :] <= i[:, None], seen], axis=-1)
    return jnp.concatenate([S_first, S_near], axis=-1), mask


def masked(S: jax.Array, mask: jax.Array) -> jax.Array:
    """S (..., ℓ_x, ℓ_z), and -∞ where the mask (ℓ_x, ℓ_z) is false."""
    return jnp.where(aligned(mask, S), S, -jnp.inf)


def _scores(Q, K, t_x, t_z, ceiling, attending, W_r) -> jax.Array:
    """Scores (..., ℓ_x, ℓ_z) of queries and keys at these positions, or, if these are further apart, at the ceiling."""

    def at(t_x, t_z):
        S = attending.scaled(groups.scores(attending.turned(Q, None, t_x), attending.turned(K, None, t_z)), Q.shape[-1])
        return S if attending.score is None else attending.score(S, t_x, t_z, W_r)

    if ceiling is None:
        return at(t_x, t_z)
    below = t_x[:, None] - t_z[None, :] < ceiling
    S, far = at(t_x, t_z), at(jnp.full_like(t_x, ceiling), jnp.zeros_like(t_z))
    return jnp.where(aligned(below, S), S, far)


def answers(A: jax.Array, first: Keys, near: Keys) -> jax.Array:
    """The values (..., ℓ_x, d_mid), weighted by A (..., ℓ_x, n + ℓ_z)."""
    n = first.K.shape[-2]
    return groups.by_groups(A[..., :n], first.V) + groups.by_groups(A[..., n:], near.V)


def first_and_near(Q, keys: Keys, sight: FirstAndNear, attending: Attending, W_r=None) -> jax.Array:
    """Lines 4 to 6 of Algorithm 4 with the keys and the distances of `sight`, for a whole sequence.

    Args:
      Q: (..., H, ℓ, d_attn). keys: (..., H_kv, ℓ, ·). Neither is turned yet; both are normalised, if they have to be.
      attending, W_r: as `attention`.
    Returns:
      (..., H, ℓ, d_mid).
    """
    l, attending = Q.shape[-2], replace(attending, normalise=None)
    if asked_for() == "dense" or (asked_for() is None and l <= _SHORT):
        return _at_once(Q, keys, sight, attending, W_r)
    return _by_blocks(Q, keys, sight, attending, W_r)


def _at_once(Q, keys, sight, attending, W_r) -> jax.Array:
    t, n = jnp.arange(Q.shape[-2]), min(sight.first, Q.shape[-2])
    first, near = keys.rows(0, n), keys.rows(n)
    S = line(5, "S", masked(*scores(Q, first, near, t, t, t[n:], sight, attending, W_r)))
    A = line(7, "A", softmax(S))
    return line(8, "Y", answers(A, first, near))


def _by_blocks(Q, keys, sight, attending, W_r) -> jax.Array:
    l = Q.shape[-2]
    before = min(sight.window, l) - 1  # how many near keys a query sees before its own
    rows = min(l, max(_SMALLEST_BLOCK, min(sight.window, _LARGEST_BLOCK)))
    first = keys.rows(0, min(sight.first, l))
    t_x, t_z = before + jnp.arange(rows), jnp.arange(before + rows)

    @jax.checkpoint
    def block(behind, of_block):
        begin, Q, keys = of_block
        near = behind.followed_by(keys)
        S, mask = scores(Q, first, near, begin + jnp.arange(rows), t_x, t_z, sight, attending, W_r)
        return near.rows(rows), answers(softmax(masked(S, mask)), first, near)

    nothing = jax.tree.map(lambda A: jnp.zeros((*A.shape[:-2], before, A.shape[-1]), A.dtype), keys)
    blocks = jax.tree.map(partial(_in_blocks, rows=rows), (Q, keys))
    _, Y = lax.scan(block, nothing, (jnp.arange(0, l, rows), *blocks))
    Y = jnp.moveaxis(Y, 0, -3)
    return Y.reshape(*Y.shape[:-3], -1, Y.shape[-1])[..., :l, :]


def _in_blocks(A: jax.Array, rows: int) -> jax.Array:
    """A (..., ℓ, d) as (n, ..., rows, d), with zeros behind it up to a whole number of blocks."""
    A = jnp.pad(A, [(0, 0)] * (A.ndim - 2) + [(0, -A.shape[-2] % rows), (0, 0)])
    return jnp.moveaxis(A.reshape(*A.shape[:-2], -1, rows, A.shape[-1]), -3, 0)


def queries_and_keys(X: jax.Array, W: Any, attending: Attending) -> tuple[jax.Array, Keys]:
    """Lines 1 to 3 of Algorithm 4 for all heads: queries and keys normalised, if they have to be, and not turned."""
    standing, heads = replace(attending, rotate=None), W.heads
    Q = standing.turned(affine(X, heads.W_q, heads.b_q), heads.gamma_q, None)
    K = standing.turned(affine(X, heads.W_k, heads.b_k), heads.gamma_k, None)
    return Q, Keys(K, affine(X, heads.W_v, heads.b_v))


def first_and_near_attend(sight: FirstAndNear, attending: Attending, W_r=None, keep: Any = None) -> Attend:
    """Line 6 of Algorithm 10 with `first_and_near`; the new state is what `keep` makes of the keys, or the old one."""

    def attend(X, W, state, window):
        del window  # hyperparameters with windows are refused
        Q, keys = queries_and_keys(X, W, attending)
        with stacked("heads", axis=-3):
            Y_h = line(2, "Y_h", first_and_near(Q, keys, sight, attending, W_r))
        return join_heads(Y_h, W, attending), state if keep is None else keep(keys)

    return attend
