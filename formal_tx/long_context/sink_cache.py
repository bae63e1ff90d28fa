"""A cache of the first tokens and of the last ones, of one size however long the stream is.

It has n rows for the first tokens, which stay, and w for the near ones, a ring: a new token takes the row of the one
that nobody will see any more. Keys are kept as they were before they were turned, and turned anew at every step, since
how far away they are changes. All shapes are fixed: one compiled program decodes streams of any length.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from ..architectures import d_layers, logits_of
from ..attending import Attending
from ..attention import join_heads
from ..inference.cache import KeyValueCache, empty_cache, write
from ..linear import aligned, softmax
from ..tagging import line, stacked
from .first_and_near import (
    FirstAndNear,
    Keys,
    answers,
    first_and_near_attend,
    masked,
    queries_and_keys,
    scores,
)


@struct.dataclass
class SinkCache:
    """What is kept of streams (...) that are read in step.

    Attributes:
      kept: keys (L, ..., H_kv, n + w, d_attn), which no position has turned yet, and values (L, ..., H_kv, n + w,
        d_mid).
      i: () the position of the next token, or an earlier one that is as good for all that follows: it goes in a circle.
      sight: which tokens a query sees, and how far from it they seem to be.
    """

    kept: KeyValueCache
    i: jax.Array
    sight: FirstAndNear = struct.field(pytree_node=False)


def empty_sink_cache(params, hyperparameters, sight: FirstAndNear, batch: tuple[int, ...] = ()) -> SinkCache:
    """The cache of streams (*batch) of which nothing has been read."""
    slots = sight.first + sight.window
    kept = empty_cache(hyperparameters.L, batch, slots, hyperparameters, params.W_e.dtype)
    return SinkCache(kept, jnp.zeros((), int), sight)


def _circle(i, sight: FirstAndNear):
    """`i`, or where nothing depends on how often the ring has gone round, the same place of an earlier round."""
    begin = max(sight.horizon, sight.first + sight.window)
    return jnp.where(i < begin, i, begin + (i - begin) % sight.window)


def _newest(i, sight: FirstAndNear):
    """The row of the i-th token."""
    return jnp.where(i < sight.first, i, sight.first + (i - sight.first) % sight.window)


def sink_cache_step(Q, new: Keys, kept: Keys, i, sight: FirstAndNear, attending: Attending, W_r=None):
    """Lines 4 to 6 of Algorithm 4 for one token and a cache; the numbers are those of `sink_cache_step` in NumPy.

    Args:
      Q: (..., H, 1, d_attn) and `new`, (..., H_kv, 1, ·), the token's. kept: (..., H_kv, n + w, ·), the cache.
      i: () its position, or what `SinkCache` has for it. attending, W_r: as `attention`.
    Returns:
      (..., H, 1, d_mid), and the cache with the token.
    """
    n, w, a = sight.first, sight.window, jnp.arange(sight.first + sight.window)
    attending = replace(attending, normalise=None)
    newest = line(1, "newest", _newest(i, sight))
    is_newest = (a == newest)[:, None]
    K, V = (jnp.where(aligned(is_newest, past), row, past) for row, past in zip(new, kept, strict=True))
    kept = Keys(line(2, "K", K), line(3, "V", V))
    t_x = line(4, "t_x", jnp.minimum(i, n + w - 1))
    t_z = line(5, "t_z", jnp.where(a < n, a, t_x - (i - a) % w))
    first, near = kept.rows(0, n), kept.rows(n)
    S, mask = scores(Q, first, near, i[None], t_x[None], t_z[n:], sight, attending, W_r)
    mask = line(6, "Mask", mask)
    S = line(9, "s", masked(line(8, "s", S), mask))
    return line(10, "y", answers(softmax(S), first, near)), kept


@partial(jax.jit, static_argnames=("hyperparameters",))
def decode_step(token, cache: SinkCache, params, hyperparameters):
    """The logits (..., N_V) after one more token (...), and the cache that holds it."""
    attending, sight = hyperparameters.attending, cache.sight

    def attend(X, W, kept, window):
        del window
        Q, new = queries_and_keys(X, W, attending)
        with stacked("heads", axis=-3):
            Y_h, _ = sink_cache_step(Q, new, Keys(kept.K, kept.V), cache.i, sight, attending, params.W_r)
        return join_heads(Y_h, W, attending), KeyValueCache(*new)

    # The layers only read the cache. It is written once, after the scan: what a scan carries, it copies.
    X, new = d_layers(token[..., None], params, hyperparameters, attend, states=cache.kept)
    kept = write(cache.kept, new, _newest(cache.i, sight))
    return logits_of(X, params, hyperparameters)[..., 0, :], SinkCache(kept, _circle(cache.i + 1, sight), sight)


@partial(jax.jit, static_argnames=("hyperparameters", "sight"))
def prefill(x, params, hyperparameters, sight: FirstAndNear):
    """The logits (..., N_V) after the last of the tokens x (..., ℓ), and the cache that holds what is left of them."""
    keep = partial(_kept, sight=sight)
    attend = first_and_near_attend(sight, hyperparameters.attending, params.W_r, keep)
    X, kept = d_layers(x, params, hyperparameters, attend)
    logits = logits_of(X[..., -1:, :], params, hyperparameters)[..., 0, :]
    return logits, SinkCache(kept, _circle(jnp.asarray(x.shape[-1]), sight), sight)


def _kept(keys: Keys, sight: FirstAndNear) -> KeyValueCache:
    """The rows of a cache after a whole sequence (..., ℓ, ·); those that no token has taken yet are 0."""
    last, a = keys.K.shape[-2] - 1, np.arange(sight.first + sight.window)
    of = np.where(a < sight.first, a, last - (last - a) % sight.window)  # the token that would stand in each row
    taken = np.where(a < sight.first, of <= last, of >= sight.first)

    def rows(A: jax.Array) -> jax.Array:
        return jnp.where(aligned(jnp.asarray(taken)[:, None], A), A[..., np.where(taken, of, 0), :], 0)

    return KeyValueCache(rows(keys.K), rows(keys.V))


def require_sink_cache(function: str, cache: Any, hyperparameters: Any) -> None:
    """A cache of first tokens and near ones, of this model.

    Raises:
      TypeError: for what is no `SinkCache`, a cache of keys that are turned already for one.
      ValueError: for one of other first tokens and windows, or of another model.
    """
    if not isinstance(cache, SinkCache):
        raise TypeError(
            f"{function}: cache is a {type(cache).__name__}, expected SinkCache, as sighted_prefill makes it: its "
            "keys are not turned by their positions yet"
        )
    sight, hp = cache.sight, hyperparameters
    batch = cache.kept.K.shape[1:-3]
    for name, array, d in (("K", cache.kept.K, hp.d_attn), ("V", cache.kept.V, hp.d_mid)):
        expected = (hp.L, *batch, hp.key_value_heads, sight.first + sight.window, d)
        if array.shape != expected:
            raise ValueError(
                f"{function}: cache.kept.{name} has shape {array.shape}, expected {expected} for {sight}: a cache of "
                "another model, or with other first tokens and windows?"
            )
