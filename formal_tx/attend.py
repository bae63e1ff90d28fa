"""Lines 4 to 6 of Algorithm 4: one interface, four implementations that differ in rounding, in time and in memory."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from . import mask_blocks, masks
from .attending import AS_PRINTED, Attending
from .blockwise import blockwise
from .groups import by_groups, scores
from .implementation import asked_for
from .tagging import line

_LARGE = 1024 * 1024
"""From so many scores a head on, blocks are faster than all scores at once (benchmarks/attention.py)."""

_SMALL = 128 * 128
"""Below so many scores a head, all of them at once are faster than some of them in parts."""


def attend(
    Q: Float[Array, "*#batch l_x d_attn"],
    K: Float[Array, "*#batch_kv l_z d_attn"],
    V: Float[Array, "*#batch_kv l_z d_mid"],
    mask: masks.Mask,
    attending: Attending = AS_PRINTED,
    t_x: Int[Array, "*some l_x"] | None = None,
    t_z: Int[Array, "*some_z l_z"] | None = None,
    W_r: Float[Array, "rows H"] | None = None,
    heads: int = 1,
) -> Float[Array, "*batch l_x d_mid"]:
    """Lines 4 to 6 of Algorithm 4 by the implementation that suits the lengths and the backend, or that is asked for.

    Args:
      Q: (..., ℓ_x, d_attn). K: (..., ℓ_z, d_attn). V: (..., ℓ_z, d_mid), by head on the axes before the last two.
      mask, attending, t_x, t_z, W_r: as `attention`. heads: how many axes of heads there are.
    Raises:
      ValueError: "cudnn" is asked for, and cannot compute this, or there is no such GPU.
    """
    chosen = asked_for() or _choice(Q, K, V, mask, attending, heads)
    if chosen == "cudnn":
        return line(6, "V_tilde", _fused(Q, K, V, mask, attending, heads))
    if chosen == "blockwise":
        return line(6, "V_tilde", blockwise(Q, K, V, mask, attending, t_x, t_z, W_r, heads))
    if chosen == "rows":
        return _by_rows(Q, K, V, mask, attending, t_x, t_z, W_r, heads)
    table = masks.for_heads(masks.dense(mask, Q.shape[-2], K.shape[-2]), heads)
    return dense(Q, K, V, table, attending, t_x, t_z, W_r)


def _choice(Q, K, V, mask, attending, heads) -> str:
    l_x, l_z = Q.shape[-2], K.shape[-2]
    if jax.default_backend() == "gpu" and not _unfit(Q, K, V, mask, attending, heads):
        return "cudnn"
    if l_x * l_z >= _LARGE and min(l_x, l_z) >= 512 and not mask_blocks.holds_array(mask):
        return "blockwise"
    if l_x * l_z >= _SMALL and min(l_x, l_z) >= 64:
        seen = sum(rows.n * keys.n for rows, keys in mask_blocks.quarters(mask, l_x, l_z))
        return "rows" if seen <= 0.75 * l_x * l_z else "dense"
    return "dense"


def dense(
    Q: Float[Array, "*#batch l_x d_attn"],
    K: Float[Array, "*#batch_kv l_z d_attn"],
    V: Float[Array, "*#batch_kv l_z d_mid"],
    mask: Bool[Array, "*mask l_x l_z"],
    attending: Attending = AS_PRINTED,
    t_x: Int[Array, "*some l_x"] | None = None,
    t_z: Int[Array, "*some_z l_z"] | None = None,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l_x d_mid"]:
    """Lines 4 to 6 of Algorithm 4 as they read, with a boolean mask (..., ℓ_x, ℓ_z) and all scores at once."""
    S = line(4, "S", scores(Q, K))
    A = attending.weights(S, mask, Q.shape[-1], t_x, t_z, W_r)
    return line(6, "V_tilde", by_groups(A, V))


def _by_rows(Q, K, V, mask, attending, t_x, t_z, W_r, heads) -> jax.Array:
    """`dense` for a quarter of the queries after the other, each with the keys that some of them may see.

    Under a causal mask that is 5/8 of the scores. It has derivatives of every order.
    """
    t_x = jnp.arange(Q.shape[-2]) if t_x is None else t_x
    t_z = jnp.arange(K.shape[-2]) if t_z is None else t_z
    answers = []
    for rows, keys in mask_blocks.quarters(mask, Q.shape[-2], K.shape[-2]):
        q, k, v = rows.of(Q, -2), keys.of(K, -2), keys.of(V, -2)
        seen = masks.for_heads(mask_blocks.block(mask, rows.first, rows.n, keys.first, keys.n), heads)
        answers.append(dense(q, k, v, seen, attending, rows.of(t_x, -1), keys.of(t_z, -1), W_r))
    return jnp.concatenate(answers, axis=-2)


def _unfit(Q, K, V, mask, attending, heads) -> str:
    """Why the fused kernel cannot compute this; empty if it can."""
    if Q.dtype not in ("float16", "bfloat16"):
        return f"the dtype is {Q.dtype}, expected float16 or bfloat16"
    if attending.score is not None:
        return "scores are changed before the softmax"
    if heads != 1 or Q.shape[:-3] != K.shape[:-3] or Q.ndim < 3:
        return f"Q has shape {Q.shape} and K {K.shape}, expected (..., H, ℓ, d) with the same batch"
    if not Q.shape[-1] == V.shape[-1] <= 128 or Q.shape[-1] % 8:
        return f"d_attn is {Q.shape[-1]} and d_mid {V.shape[-1]}, expected the same multiple of 8, at most 128"
    causal = mask.predicate is masks.causal.predicate and Q.shape[-2] == K.shape[-2]
    return "" if causal or mask.predicate is masks.full.predicate else "the mask is neither causal nor full"


def _fused(Q, K, V, mask, attending, heads) -> jax.Array:
    if reason := _unfit(Q, K, V, mask, attending, heads):
        raise ValueError(f"attend: cuDNN cannot compute this attention: {reason}")
    if jax.default_backend() != "gpu":
        raise ValueError(f"attend: cuDNN is asked for, and the backend is {jax.default_backend()}, expected gpu")

    def rows_before_heads(A):
        return A.reshape(-1, *A.shape[-3:]).swapaxes(-2, -3)

    V_tilde = jax.nn.dot_product_attention(
        *(rows_before_heads(A) for A in (Q, K, V)),
        scale=attending.scale,
        is_causal=mask.predicate is masks.causal.predicate,
        implementation="cudnn",
    )
    return V_tilde.swapaxes(-2, -3).reshape(Q.shape)
