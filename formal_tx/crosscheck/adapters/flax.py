"""`flax.nnx.MultiHeadAttention` as models: plain, causal by `is_causal=True`, and decoding with its own cache.

Its masks are (..., heads or 1, ℓ_x, ℓ_z), true where a query may attend, as here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ..draws import normal
from .models import AttentionModel


def multihead_attention(module: nnx.MultiHeadAttention) -> AttentionModel:
    """The module as it is called plainly, with a mask.

    Its softmax is in float32 whatever the type of the module, so that its results are held to float32's rounding.
    """
    dtype = str(module.query.kernel.dtype)

    def called(module: nnx.MultiHeadAttention) -> Callable:
        return lambda X, Z, mask: module(X, Z, mask=mask[..., None, :, :], decode=False)

    return AttentionModel(
        name="flax.nnx.MultiHeadAttention",
        framework="jax",
        dtype=dtype,
        rounding="float32",
        call=called(module),
        batched=called(module),
        d_x=module.in_features,
        d_z=module.in_kv_features,
        heads=module.num_heads,
        reordered=lambda order: called(_reordered(module, order)),
        shifted=called(_with_key_bias(module)),
        weights=lambda X, Z, mask: _weights(module, X, Z, mask),
    )


def causal_attention(module: nnx.MultiHeadAttention) -> AttentionModel:
    """Self-attention with `is_causal=True`, beside which the mask is given too."""

    def call(X: jax.Array, Z: jax.Array, mask: jax.Array) -> jax.Array:
        return module(X, Z, mask=mask[..., None, :, :], is_causal=True, decode=False)

    return replace(
        multihead_attention(module),
        name="flax.nnx.MultiHeadAttention(is_causal=True)",
        call=call,
        batched=call,
        causal=True,
        reordered=None,
        shifted=None,
        weights=None,
    )


def decoding_attention(module: nnx.MultiHeadAttention, *, is_causal: bool, l_max: int = 7) -> AttentionModel:
    """The causal attention of the module, and its cache of `decode=True`, one token at a time.

    Args:
      is_causal: whether `is_causal=True` is said while decoding, as it is without a cache.
      l_max: how many tokens the cache has room for.
    """

    def step(x: jax.Array, cache: Any) -> tuple[jax.Array, Any]:
        decoder = nnx.merge(*cache)
        answer = decoder(x[None, None], decode=True, is_causal=is_causal)[0, 0]
        return answer, nnx.split(decoder)

    def prefill(X: jax.Array) -> Any:
        decoder = nnx.clone(module)
        decoder.init_cache((1, l_max, module.in_features), dtype=module.query.kernel.dtype)
        cache: Any = nnx.split(decoder)
        for x in X:
            _, cache = step(x, cache)
        return cache

    return replace(
        causal_attention(module),
        name=f"flax.nnx.MultiHeadAttention(decode=True, is_causal={is_causal})",
        prefill=prefill,
        step=step,
        room=l_max,
    )


def _reordered(module: nnx.MultiHeadAttention, order: np.ndarray) -> nnx.MultiHeadAttention:
    other: Any = nnx.clone(module)
    for projection in (other.query, other.key, other.value):
        projection.kernel[...] = projection.kernel[...][:, order]
        projection.bias[...] = projection.bias[...][order]
    other.out.kernel[...] = other.out.kernel[...][order]
    return other


def _with_key_bias(module: nnx.MultiHeadAttention) -> nnx.MultiHeadAttention:
    other: Any = nnx.clone(module)
    bias = other.key.bias[...]
    with jax.enable_x64(True):
        other.key.bias[...] = bias + jnp.asarray(2 * normal(np.random.default_rng(0), *bias.shape), bias.dtype)
    return other


def _weights(module: nnx.MultiHeadAttention, X: jax.Array, Z: jax.Array, mask: jax.Array) -> jax.Array:
    recorder: Any = nnx.capture(module, nnx.Intermediate)
    _, recorded = recorder(X, Z, mask=mask[..., None, :, :], decode=False, sow_weights=True)
    return recorded["attention_weights"][0]
