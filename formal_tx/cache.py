"""The key/value cache: what attention has already computed of the past, so that a new token costs one token."""

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from . import masks
from .architectures import Attend
from .attention import answer, join_heads
from .hyperparameters import Hyperparameters
from .linear import affine


@struct.dataclass
class KeyValueCache:
    """Keys (L, H, l_max, d_attn) and values (L, H, l_max, d_mid) of one sequence, for each layer and head.

    Inside the scan over layers the leading axis is gone. Rows that no token has written yet are never attended to.
    """

    K: jax.Array
    V: jax.Array


def empty_cache(L: int, hyperparameters: Hyperparameters, dtype) -> KeyValueCache:
    """A cache for a sequence of which nothing is known yet."""
    hp = hyperparameters
    return KeyValueCache(
        K=jnp.zeros((L, hp.H, hp.l_max, hp.d_attn), dtype),
        V=jnp.zeros((L, hp.H, hp.l_max, hp.d_mid), dtype),
    )


def cached_attend(start: jax.Array | int) -> Attend:
    """Unidirectional self-attention of tokens at positions start, start + 1, … to all tokens up to themselves.

    Equal to line 6 of Algorithm 10 (and 14 of Algorithm 8) on the whole sequence, by causality; the cache supplies the
    keys and values of the tokens before `start`, and takes those of the new ones.
    """

    def attend(X, W, cache):
        Q = affine(X, W.heads.W_q, W.heads.b_q)
        K = _write(cache.K, affine(X, W.heads.W_k, W.heads.b_k), start)
        V = _write(cache.V, affine(X, W.heads.W_v, W.heads.b_v), start)
        mask = masks.causal(start + jnp.arange(X.shape[-2])[:, None], jnp.arange(K.shape[-2])[None, :])
        return join_heads(answer(Q, K, V, mask), W), KeyValueCache(K, V)

    return attend


def _write(past: jax.Array, new: jax.Array, start: jax.Array | int) -> jax.Array:
    return lax.dynamic_update_slice_in_dim(past, new, start, axis=-2)


def context_cache(Z: jax.Array, attention) -> KeyValueCache:
    """Keys and values of a fixed context Z (ℓ_z, d_e) for every layer of stacked `MHAttentionParameters`."""

    def layer(W):
        return KeyValueCache(affine(Z, W.heads.W_k, W.heads.b_k), affine(Z, W.heads.W_v, W.heads.b_v))

    return jax.vmap(layer)(attention)


def context_attend(mask: jax.Array) -> Attend:
    """Cross-attention to a fixed context whose keys and values are cached; `mask` (ℓ_z,) marks its real tokens."""

    def attend(X, W, cache):
        Q = affine(X, W.heads.W_q, W.heads.b_q)
        return join_heads(answer(Q, cache.K, cache.V, mask[None, :]), W), cache

    return attend
