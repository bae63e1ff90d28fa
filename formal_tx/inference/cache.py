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
from ..attend import attend, dense
from ..attending import AS_PRINTED, Attending
from ..attention import join_heads
from ..linear import affine, aligned
from ..tagging import stacked

_attend_by_head = stacked("heads", axis=-3)(attend)
_dense_by_head = stacked("heads", axis=-3)(dense)


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
        Q, kept = _queries(X, W.heads, attending), _keys_and_values(X, W.heads, attending)
        see = masks.causal if window is None else masks.causal & masks.window(window)
        return join_heads(_attend_by_head(Q, kept.K, kept.V, see, attending, W_r=W_r), W, attending), kept

    return attend


def with_slots(kept: KeyValueCache, slots: int) -> KeyValueCache:
    """What `keep_attend` kept, with room for `slots` positions."""

    def extend(A):
        return jnp.pad(A, [*[(0, 0)] * (A.ndim - 2), (0, slots - A.shape[-2]), (0, 0)])

    return jax.tree.map(extend, kept)


def cached_attend(t: jax.Array, attending: Attending = AS_PRINTED, W_r: jax.Array | None = None) -> Attend:
    """Line 6 of Algorithm 10 for tokens at positions `t` (..., n), consecutive in each sequence.

    By causality it is what the whole sequence would give. The layer's cache supplies the tokens before them; the new
    state is the new tokens' keys and values alone, to be written by `write`.
    """

    def attend(X, W, cache, window):
        Q, new = _queries(X, W.heads, attending, t), _keys_and_values(X, W.heads, attending, t)
        slots = jnp.broadcast_to(jnp.arange(cache.slots), (*t.shape[:-1], cache.slots))
        K, V = (_among(past, of_new, slots, t) for past, of_new in ((cache.K, new.K), (cache.V, new.V)))
        return join_heads(_dense_by_head(Q, K, V, _seen(slots, t, window), attending, t, slots, W_r), W, attending), new

    return attend


def _among(past: jax.Array, new: jax.Array, slots: jax.Array, t: jax.Array) -> jax.Array:
    """Keys or values (..., H, slots, d) with the new ones (..., H, n, d) in the slots `t` (..., n).

    A choice that is made as the layer's part of the cache is copied, which a product by head needs anyway on CPUs.
    """
    i = (slots - t[..., :1])[..., None, :, None]  # which of the new ones stands in a slot, if one does
    if t.shape[-1] > 1:
        new = jnp.take_along_axis(new, jnp.clip(i, 0, t.shape[-1] - 1), axis=-2)
    return jnp.where((i >= 0) & (i < t.shape[-1]), new, past)


def _seen(slots: jax.Array, t: jax.Array, window: jax.Array | None) -> jax.Array:
    """Which slots (..., 1, n, slots) hold what the tokens at `t` (..., n) see; with an axis for heads."""
    distance = (t[..., :, None] - slots[..., None, :])[..., None, :, :]
    return distance >= 0 if window is None else (distance >= 0) & (distance < window.astype(distance.dtype))


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
        Y_h = _dense_by_head(_queries(X, W.heads, attending), cache.K, cache.V, mask, attending)
        return join_heads(Y_h, W, attending), None

    return attend
