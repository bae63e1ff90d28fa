"""`torch.nn.MultiheadAttention` as models. Its boolean masks are true where a query may *not* attend."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]

from ..draws import normal
from .models import AttentionModel


def multihead_attention(module: Any, *, need_weights: bool = False) -> AttentionModel:
    """The module with `batch_first=True` and no dropout, in either of its two computations.

    Args:
      need_weights: whether it computes its weights itself, or leaves all to `scaled_dot_product_attention`.
    """

    def called(module: Any) -> Callable[[Any, Any, Any], Any]:
        return lambda X, Z, mask: module(X, Z, Z, attn_mask=~mask, need_weights=need_weights)[0]

    def batched(X: Any, Z: Any, mask: Any) -> Any:
        by_head = (~mask).repeat_interleave(module.num_heads, dim=0)  # it wants (batch · heads, ℓ_x, ℓ_z)
        return module(X, Z, Z, attn_mask=by_head, need_weights=need_weights)[0]

    def weights(X: Any, Z: Any, mask: Any) -> Any:
        return module(X, Z, Z, attn_mask=~mask, average_attn_weights=False)[1]

    return AttentionModel(
        name=f"torch.nn.MultiheadAttention(need_weights={need_weights})",
        framework="torch",
        dtype=str(module.out_proj.weight.dtype).removeprefix("torch."),
        call=called(module),
        batched=batched,
        weights=weights if need_weights else None,
        d_x=module.embed_dim,
        d_z=module.kdim,
        heads=module.num_heads,
        reordered=lambda order: called(_reordered(module, order)),
        shifted=called(_with_key_bias(module)),
        watched=list(module.parameters()),
    )


def fast_self_attention(module: Any) -> AttentionModel:
    """Self-attention by the native inference path, which is taken for a batch, without gradients, by `eval()`."""

    def call(X: Any, Z: Any, mask: Any) -> Any:
        del Z  # it is X
        return batched(X[None], X[None], mask[None])[0]

    def batched(X: Any, Z: Any, mask: Any) -> Any:
        del Z
        by_head = (~mask).repeat_interleave(module.num_heads, dim=0)
        with torch.no_grad():
            return module(X, X, X, attn_mask=by_head, need_weights=False)[0]

    return replace(
        multihead_attention(module),
        name="torch.nn.MultiheadAttention, fast path",
        call=call,
        batched=batched,
        crosses=False,
        reordered=None,
        shifted=None,
    )


def _reordered(module: Any, order: np.ndarray) -> Any:
    other = copy.deepcopy(module)
    columns = torch.arange(module.embed_dim).reshape(module.num_heads, -1)[order].flatten()
    rows = torch.cat([columns + n * module.embed_dim for n in range(3)])  # of queries, keys and values
    with torch.no_grad():
        other.in_proj_weight.copy_(module.in_proj_weight[rows])
        other.in_proj_bias.copy_(module.in_proj_bias[rows])
        other.out_proj.weight.copy_(module.out_proj.weight[:, columns])
    return other


def _with_key_bias(module: Any) -> Any:
    other, d = copy.deepcopy(module), module.embed_dim
    with torch.no_grad():
        other.in_proj_bias[d : 2 * d] += torch.from_numpy(2 * normal(np.random.default_rng(0), d)).to(
            other.in_proj_bias.dtype
        )
    return other
