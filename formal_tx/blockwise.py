"""Lines 4 to 6 of Algorithm 4 block by block: FlashAttention (2205.14135, 2307.08691) in JAX, in O(ℓ) memory.

The scores of a block of queries and a block of keys exist only while that pair is looked at. The softmax is online: the
greatest score seen so far, m, and the sum of the exponentials relative to it, s, are carried from pair to pair. Pairs
that the mask leaves empty are not visited (`Mask.keys`). The backward pass computes the scores again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from . import masks
from .attending import Attending
from .groups import for_each_head
from .linear import wide
from .mask_blocks import Blocks


class _Pair(NamedTuple):
    """A block of queries and one of keys, and what happens to their scores, of which `heads` leading axes are heads."""

    blocks: Blocks
    heads: int
    attending: Attending

    def visible(self, mask: masks.Mask, i: jax.Array, j: jax.Array) -> jax.Array:
        """Which of the pair i, j (queries by keys) may attend, with axes for heads."""
        return masks.for_heads(self.blocks.visible(mask, i, j), self.heads)

    def scores(self, S, i, j, t_x, t_z, W_r):
        """The scores (..., rows, columns) of the pair, changed as `attending` says."""
        if self.attending.score is None:
            return S
        rows, columns = self.blocks.rows, self.blocks.columns
        t_x = i * rows + jnp.arange(rows) if t_x is None else _block(t_x, i, rows, axis=-1)
        t_z = j * columns + jnp.arange(columns) if t_z is None else _block(t_z, j, columns, axis=-1)
        return self.attending.score(S, t_x, t_z, W_r)


def _block(A: jax.Array, i: jax.Array, size: int, axis: int = -2) -> jax.Array:
    return lax.dynamic_slice_in_dim(A, i * size, size, axis)


def _added(A: jax.Array, i: jax.Array, change: jax.Array) -> jax.Array:
    """`A` with `change` added to its i-th block of rows, in place inside a loop."""
    size = change.shape[-2]
    return lax.dynamic_update_slice_in_dim(A, _block(A, i, size) + change, i * size, -2)


def _product(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.matmul(A, B, preferred_element_type=wide(A).dtype)


def _put_together(blocks: jax.Array) -> jax.Array:
    """Blocks (n, ..., size, d) one below the other, (..., n · size, d)."""
    blocks = jnp.moveaxis(blocks, 0, -3)
    return blocks.reshape(*blocks.shape[:-3], -1, blocks.shape[-1])


def blockwise(
    Q: jax.Array,
    K: jax.Array,
    V: jax.Array,
    mask: masks.Mask,
    attending: Attending,
    t_x: jax.Array | None = None,
    t_z: jax.Array | None = None,
    W_r: jax.Array | None = None,
    heads: int = 0,
) -> jax.Array:
    """What `dense` computes, in O(ℓ) memory, up to rounding. It has no derivative of a derivative, and no `jax.jvp`.

    Args:
      Q: (..., ℓ_x, d_attn). K: (..., ℓ_z, d_attn). V: (..., ℓ_z, d_mid); (..., H_kv, ℓ_z, ·) where heads share keys.
      mask, attending, t_x, t_z, W_r: as for `attention`. heads: how many of the leading axes of Q, the last, are heads.
    Returns:
      (..., ℓ_x, d_mid); nan for a query that attends to nothing.
    """
    l_x, l_z = Q.shape[-2], K.shape[-2]
    K, V = for_each_head(K, Q), for_each_head(V, Q)
    batch = jnp.broadcast_shapes(Q.shape[:-2], K.shape[:-2])
    blocks = Blocks.of(l_x, l_z)
    Q = attending.scaled(Q, Q.shape[-1])
    Q = _filled(jnp.broadcast_to(Q, (*batch, *Q.shape[-2:])), blocks.rows, -2)
    K, V = (_filled(jnp.broadcast_to(A, (*batch, *A.shape[-2:])), blocks.columns, -2) for A in (K, V))
    t_x = None if t_x is None else _filled(t_x, blocks.rows, -1)
    t_z = None if t_z is None else _filled(t_z, blocks.columns, -1)
    W_r = None if W_r is None else jnp.asarray(W_r)
    pair = _Pair(blocks, heads, attending)
    return _blockwise(pair, Q, K, V, W_r, blocks.filled(mask), t_x, t_z)[..., :l_x, :]


def _filled(A: jax.Array, size: int, axis: int) -> jax.Array:
    """`A` with zeros behind it, up to a whole number of blocks."""
    padding = [(0, 0)] * A.ndim
    padding[axis] = (0, -A.shape[axis] % size)
    return jnp.pad(A, padding)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blockwise(pair, Q, K, V, W_r, mask, t_x, t_z):
    return _forward(pair, Q, K, V, W_r, mask, t_x, t_z)[0]


def _forward(pair, Q, K, V, W_r, mask, t_x, t_z):
    """The answers (..., ℓ_x, d_mid), and log Σ exp of each query's scores (..., ℓ_x, 1)."""
    rows, columns = pair.blocks.rows, pair.blocks.columns

    def of_queries(i):
        q = _block(Q, i, rows)

        visits = pair.blocks.visits(mask, i)

        def with_keys(k, carry):
            j, (m, s, o) = visits.block(k), carry
            S = pair.scores(_product(q, _block(K, j, columns).mT), i, j, t_x, t_z, W_r)
            S = jnp.where(pair.visible(mask, i, j), S, -jnp.inf)
            greatest = jnp.maximum(m, S.max(axis=-1, keepdims=True))
            base = jnp.where(greatest == -jnp.inf, 0, greatest)  # nothing is visible yet: all exponentials are 0
            P, before = jnp.exp(S - base), jnp.exp(m - base)
            answer = _product(P.astype(V.dtype), _block(V, j, columns))
            return greatest, s * before + P.sum(axis=-1, keepdims=True), o * before + answer

        zero = jnp.zeros((*q.shape[:-1], 1), wide(q).dtype)
        start = (zero - jnp.inf, zero, jnp.zeros((*q.shape[:-1], V.shape[-1]), zero.dtype))
        m, s, o = lax.fori_loop(0, visits.total, with_keys, start)
        return (o / s).astype(V.dtype), m + jnp.log(s)

    V_tilde, log_sum = lax.map(of_queries, jnp.arange(Q.shape[-2] // rows))
    return _put_together(V_tilde), _put_together(log_sum)


def _keep(pair, Q, K, V, W_r, mask, t_x, t_z):
    V_tilde, log_sum = _forward(pair, Q, K, V, W_r, mask, t_x, t_z)
    return V_tilde, (Q, K, V, W_r, mask, t_x, t_z, V_tilde, log_sum)


def _backward(pair, kept, dV_tilde):
    """The gradients of FlashAttention-2, with the scores transposed: these products are the ones that run fast."""
    Q, K, V, W_r, mask, t_x, t_z, V_tilde, log_sum = kept
    real = jnp.arange(Q.shape[-2])[:, None] < pair.blocks.l_x  # the others may see nothing, and have nan for an answer
    mean = jnp.sum(jnp.where(real, wide(dV_tilde) * wide(V_tilde), 0), axis=-1, keepdims=True)
    K_T, rows, columns = K.mT, pair.blocks.rows, pair.blocks.columns

    def of_queries(gradients, i):
        q, do, log_s, mean_i = (_block(A, i, rows) for A in (Q, dV_tilde, log_sum, mean))

        visits = pair.blocks.visits(mask, i)

        def with_keys(k, carry):
            j, (dq_T, dK, dV, dW_r) = visits.block(k), carry
            S_T, pull = _scores_transposed(pair, _product(_block(K, j, columns), q.mT), i, j, t_x, t_z, W_r)
            P_T = jnp.where(pair.visible(mask, i, j).mT, jnp.exp(S_T - log_s.mT), 0)
            dV = _added(dV, j, _product(P_T.astype(do.dtype), do))
            dS_T, dW = pull(P_T * (_product(_block(V, j, columns), do.mT) - mean_i.mT))
            dS_T = dS_T.astype(q.dtype)
            dq_T = dq_T + _product(_block(K_T, j, columns, axis=-1), dS_T)
            return dq_T, _added(dK, j, _product(dS_T, q)), dV, jax.tree.map(jnp.add, dW_r, dW)

        start = (jnp.zeros(q.mT.shape, log_s.dtype), *gradients)
        dq_T, *gradients = lax.fori_loop(0, visits.total, with_keys, start)
        return tuple(gradients), dq_T.mT.astype(q.dtype)

    start = (*(jnp.zeros(A.shape, log_sum.dtype) for A in (K, V)), jax.tree.map(jnp.zeros_like, W_r))
    (dK, dV, dW_r), dQ = lax.scan(of_queries, start, jnp.arange(Q.shape[-2] // rows))
    return _put_together(dQ), dK.astype(K.dtype), dV.astype(V.dtype), dW_r, None, None, None


def _scores_transposed(pair, S_T, i, j, t_x, t_z, W_r) -> tuple[jax.Array, Callable[[jax.Array], tuple[Any, Any]]]:
    """The scores (..., columns, rows) changed as asked, and what takes their gradient to that of S_T and of W_r."""
    if pair.attending.score is None:
        return S_T, lambda dS_T: (dS_T, jax.tree.map(jnp.zeros_like, W_r))
    changed, pull = jax.vjp(lambda S_T, W_r: pair.scores(S_T.mT, i, j, t_x, t_z, W_r).mT, S_T, W_r)
    return changed, pull


_blockwise.defvjp(_keep, _backward)
