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
from ..attention import answer, join_heads
from ..linear import affine, aligned, softmax
from ..tagging import stacked

_answer_by_head = stacked("heads", axis=-3)(answer)


@struct.dataclass
class KeyValueCache:
    """Keys (L, ..., H, slots, d_attn) and values (L, ..., H, slots, d_mid) of sequences (...), by layer and head.

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


def _keys_and_values(X, heads) -> KeyValueCache:
    return KeyValueCache(affine(X, heads.W_k, heads.b_k), affine(X, heads.W_v, heads.b_v))


def keep_attend(X, W, state):
    """Line 6 of Algorithm 10 for a whole sequence; the new state is its keys and values."""
    kept, length = _keys_and_values(X, W.heads), X.shape[-2]
    mask = masks.dense(masks.causal, length, length)
    return join_heads(_answer_by_head(affine(X, W.heads.W_q, W.heads.b_q), kept.K, kept.V, mask), W), kept


def with_slots(kept: KeyValueCache, slots: int) -> KeyValueCache:
    """What `keep_attend` kept, with room for `slots` positions."""

    def extend(A):
        return jnp.pad(A, [*[(0, 0)] * (A.ndim - 2), (0, slots - A.shape[-2]), (0, 0)])

    return jax.tree.map(extend, kept)


def cached_attend(t: jax.Array) -> Attend:
    """Line 6 of Algorithm 10 (and 14 of Algorithm 8) for one token at position `t` (), or (...) for each sequence.

    By causality it is what the whole sequence would give. The layer's cache supplies the tokens before `t`; the new
    state is the new token's keys and values alone, to be written by `write`.
    """

    def attend(X, W, cache):
        Q, new = affine(X, W.heads.W_q, W.heads.b_q), _keys_and_values(X, W.heads)
        now = t[..., None, None, None]  # axes for heads, queries, and keys
        before = aligned(jnp.arange(cache.slots), now) < now
        return join_heads(_answer(Q, cache, new, before), W), new

    return attend


def _answer(Q, past, new, mask):
    """Lines 4 to 6 of Algorithm 4 for keys in two parts: to write the new one among the past ones would copy them."""
    S = Q @ past.K.mT
    S = jnp.concatenate([jnp.where(aligned(mask, S), S, -jnp.inf), Q @ new.K.mT], axis=-1)
    A = softmax(S / jnp.sqrt(jnp.asarray(Q.shape[-1], S.dtype)))
    return A[..., :-1] @ past.V + A[..., -1:] @ new.V


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
        K=jnp.zeros((L, *batch, hp.H, slots, hp.d_attn), dtype), V=jnp.zeros((L, *batch, hp.H, slots, hp.d_mid), dtype)
    )


def context_cache(Z: jax.Array, attention) -> KeyValueCache:
    """Keys and values of a fixed context Z (..., ℓ_z, d_e) for every layer of stacked `MHAttentionParameters`."""
    return jax.vmap(lambda heads: _keys_and_values(Z, heads))(attention.heads)


def context_attend(z_lengths: jax.Array) -> Attend:
    """Line 16 of Algorithm 8 to a context whose keys and values are cached, `z_lengths` (...) of its tokens real."""

    def attend(X, W, cache):
        real = z_lengths[..., None, None, None]
        mask = aligned(jnp.arange(cache.slots), real) < real
        return join_heads(_answer_by_head(affine(X, W.heads.W_q, W.heads.b_q), cache.K, cache.V, mask), W), None

    return attend
