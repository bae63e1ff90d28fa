"""`equinox.nn.MultiheadAttention` as a model: one sequence, masks (ℓ_x, ℓ_z) true where a query may attend, as here."""

from typing import Any

import equinox as eqx  # type: ignore[import-not-found,unused-ignore]
import jax
import numpy as np

from ..draws import normal
from .models import AttentionModel


def multihead_attention(module: Any) -> AttentionModel:
    """The module, an `equinox.nn.MultiheadAttention` without dropout; batches are its `vmap`.

    Its softmax is in float32 or in the type of the module, whichever is wider.
    """

    def called(module: Any) -> Any:
        return lambda X, Z, mask: module(X, Z, Z, mask)

    return AttentionModel(
        name="equinox.nn.MultiheadAttention",
        framework="jax",
        dtype=str(module.query_proj.weight.dtype),
        call=called(module),
        batched=jax.vmap(called(module)),
        d_x=module.query_size,
        d_z=module.key_size,
        heads=module.num_heads,
        reordered=lambda order: called(_reordered(module, order)),
        shifted=called(_with_key_bias(module)) if module.use_key_bias else None,
    )


def _reordered(module: Any, order: np.ndarray) -> Any:
    """The heads in another order: blocks of rows of the projections, and of columns of the output's."""

    def blocks(leaf: Any) -> Any:
        return leaf.reshape(module.num_heads, -1, *leaf.shape[1:])[order].reshape(leaf.shape)

    def heads(m: Any) -> tuple[Any, ...]:
        return m.query_proj, m.key_proj, m.value_proj

    module = eqx.tree_at(heads, module, jax.tree.map(blocks, heads(module)))
    W_o = module.output_proj.weight
    return eqx.tree_at(lambda m: m.output_proj.weight, module, blocks(W_o.T).T)


def _with_key_bias(module: Any) -> Any:
    bias = module.key_proj.bias
    with jax.enable_x64(True):
        other = bias + 2 * normal(np.random.default_rng(0), *bias.shape).astype(bias.dtype)
    return eqx.tree_at(lambda m: m.key_proj.bias, module, other)
