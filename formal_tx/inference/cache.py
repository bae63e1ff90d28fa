"""The key/value cache: what attention has already computed of the past, so that a new token costs one token.

A cache has a slot for each position. Within a step the layers only read it; the keys and values of the new token come
out of the scan over layers as its states, and are then written to all layers at once, in place.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from .. import masks
from ..architectures import Attend
from ..attention import AS_PRINTED, Attending, answer, by_groups, join_heads
from ..linear import affine, aligned
from ..tagging import stacked

_answer_by_head = stacked("heads", axis=-3)(answer)


@struct.dataclass
class KeyValueCache:
    """Keys (L, ..., H_kv, slots, d_attn) and values (L, ..., H_kv, slots, d_mid) of sequences (...), by layer and head.

    Slot t belongs to position t. A slot that no token has written yet is never attended to.
    """

    K: jax.Array
    V: jax.Array

    @property
    def slots(self) -> int:
        """How many positions there is room for."""
        return self.K.shape[-2]


@struct.dataclass
class EDCache:
    """What an encoder-decoder keeps: the `past` of what is decoded, and the keys and values of the `context`.

    `z_lengths` (...) says how many tokens of the context are real.
    """

    past: KeyValueCache
    context: KeyValueCache
    z_lengths: jax.Array


def _queries(X, heads, attending, t=None) -> jax.Array:
    return attending.turned(affine(X, heads.W_q, heads.b_q), heads.gamma_q, t)


def _keys_and_values(X, heads, attending, t=None) -> KeyValueCache:
    K = attending.turned(affine(X, heads.W_k, heads.b_k), heads.gamma_k, t)
    return KeyValueCache(K, affine(X, heads.W_v, heads.b_v))


def keep_attend(attending: Attending = AS_PRINTED, W_r: jax.Array | None = None) -> Attend:
    """Line 6 of Algorithm 10 for a whole sequence; the new state is its keys and values, turned by their positions."""

    def attend(X, W, state, window):
        del state
        Q, kept, length = _queries(X, W.heads, attending), _keys_and_values(X, W.heads, attending), X.shape[-2]
        see = masks.causal if window is None else masks.causal & masks.window(window)
        mask = masks.dense(see, length, length)
        return join_heads(_answer_by_head(Q, kept.K, kept.V, mask, attending, None, None, W_r), W, attending), kept

    return attend


def with_slots(kept: KeyValueCache, slots: int) -> KeyValueCache:
    """What `keep_attend` kept, with room for `slots` positions."""

    def extend(A):
        return jnp.pad(A, [*[(0, 0)] * (A.ndim - 2), (0, slots - A.shape[-2]), (0, 0)])

    return jax.tree.map(extend, kept)


def cached_attend(t: jax.Array, attending: Attending = AS_PRINTED, W_r: jax.Array | None = None) -> Attend:
    """Line 6 of Algorithm 10 (and 14 of Algorithm 8) for one token at position `t` (), or (...) for each sequence.

    By causality it is what the whole sequence would give. The layer's cache supplies the tokens before `t`; the new
    state is the new token's keys and values alone, to be written by `write`.
    """

    def attend(X, W, cache, window):
        now = t[..., None]
        Q = _queries(X, W.heads, attending, now)
        new = _keys_and_values(X, W.heads, attending, now)
        mask = _before(jnp.arange(cache.slots), t, window)
        return join_heads(_answer(Q, cache, new, mask, attending, t, W_r), W, attending), new

    return attend


def _before(slots: jax.Array, t: jax.Array, window: jax.Array | None) -> jax.Array:
    """Which slots (..., 1, 1, slots) hold a token before `t` (...) that it sees; axes for heads and for queries."""
    now = t[..., None, None, None]
    distance = now - aligned(slots, now)
    return distance > 0 if window is None else (distance > 0) & (distance < window.astype(distance.dtype))


def _answer(Q, past, new, mask, attending, t, W_r):
    """Lines 4 to 6 of Algorithm 4 for keys in two parts: to write the new one among the past ones would copy them."""
    S = jnp.concatenate([by_groups(Q, past.K.mT), by_groups(Q, new.K.mT)], axis=-1)
    mask = jnp.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, 1)], constant_values=True)
    t_z = jnp.concatenate([jnp.broadcast_to(jnp.arange(past.slots), (*t.shape, past.slots)), t[..., None]], axis=-1)
    A = attending.weights(S, mask, Q.shape[-1], t[..., None], t_z, W_r)
    return by_groups(A[..., :-1], past.V) + by_groups(A[..., -1:], new.V)


def write(cache: KeyValueCache, new: KeyValueCache, t: jax.Array) -> KeyValueCache:
    """`cache` with the keys and values (L, ..., H, 1, ·) of one token in slot `t` () or (...), for every layer."""
    if not t.ndim:
        return jax.tree.map(lambda past, row: _write(past, row, t), cache, new)
    return jax.tree.map(lambda past, row: jax.vmap(_write, in_axes=(0, 0, None))(past, row, t), cache, new)


def _write(past: jax.Array, row: jax.Array, t: jax.Array) -> jax.Array:
    if t.ndim:
        return jax.vmap(_write)(past, row, t)
    return lax.dynamic_update_slice_in_dim(past, row, t, axis=-2)


def empty_cache(L: int, batch: tuple[int, ...], slots: int, hyperparameters, dtype) -> KeyValueCache:
    """A cache for sequences (*batch) of which nothing is known yet."""
    hp = hyperparameters
    return KeyValueCache(
        K=jnp.zeros((L, *batch, hp.key_value_heads, slots, hp.d_attn), dtype),
        V=jnp.zeros((L, *batch, hp.key_value_heads, slots, hp.d_mid), dtype),
    )


def context_cache(Z: jax.Array, attention, attending: Attending = AS_PRINTED) -> KeyValueCache:
    """Keys and values of a fixed context Z (..., ℓ_z, d_e) for every layer of stacked `MHAttentionParameters`."""
    return jax.vmap(lambda heads: _keys_and_values(Z, heads, attending))(attention.heads)


def context_attend(z_lengths: jax.Array, attending: Attending = AS_PRINTED) -> Attend:
    """Line 16 of Algorithm 8 to a context whose keys and values are cached, `z_lengths` (...) of its tokens real."""

    def attend(X, W, cache, window):
        del window
        real = z_lengths[..., None, None, None]
        mask = aligned(jnp.arange(cache.slots), real) < real
        Y_h = _answer_by_head(_queries(X, W.heads, attending), cache.K, cache.V, mask, attending)
        return join_heads(Y_h, W, attending), None

    return attend
