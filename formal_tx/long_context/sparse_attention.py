"""Sparse attention: Sparse Transformer (1904.10509), Longformer (2004.05150), BigBird (2007.14062).

The patterns are masks, for whatever takes one: `mh_attention`, `e_layers`, `self_attend`. `banded_attention`,
`strided_attention` and `bigbird_attention` give what attention with the masks `banded`, `every` and `bigbird` does, and
compute no more scores than the papers count. `longformer_attention` has a second set of projections for global tokens.
"""

from functools import partial
from math import ceil

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import masks
from ..attend import attend, dense
from ..attending import AS_PRINTED, root
from ..attention import attention, join_heads, mh_attention
from ..blockwise import blockwise
from ..contracts import algorithm
from ..initialization import init_mh_attention
from ..linear import aligned, softmax
from ..parameters import AttentionParameters, MHAttentionParameters
from ..tagging import line, stacked
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_count,
    require_fields,
    require_floats,
    require_kind,
    require_sequence,
    require_shapes,
    same_shapes,
)
from .sparse_masks import (
    FAR,
    banded,
    bigbird,
    checked_blocks,
    checked_tokens,
    dilated,
    every,
    fixed,
    global_tokens,
    in_band,
    is_key,
    local,
    random_blocks,
    seen_blocks,
    strided,
    the_keys,
)

__all__ = [
    "LongformerParameters",
    "banded",
    "banded_attention",
    "bigbird",
    "bigbird_attention",
    "dilated",
    "every",
    "fixed",
    "global_tokens",
    "init_longformer",
    "local",
    "longformer_attention",
    "random_blocks",
    "strided",
    "strided_attention",
]

_CACHED = 2**18
"""So many scores, of all columns that are computed together, fit into a cache."""


def _requires(function, Q, K, V):
    """Q, K and V as arrays of one batch, and ℓ."""
    Q, K, V = as_arrays(function, Q=Q, K=K, V=V)
    sizes = require_shapes(function, Q=(Q, "... l d_attn"), K=(K, "... l d_attn"), V=(V, "... l d_mid"))
    require_floats(function, Q=Q, K=K, V=V)
    require_at_least_one(function, Q=sizes["l"])
    batches = [A.shape[:-2] for A in (Q, K, V)]
    require_batch(function, **dict(zip("QKV", batches, strict=True)))
    batch = jnp.broadcast_shapes(*batches)
    return {n: jnp.broadcast_to(A, (*batch, *A.shape[-2:])) for n, A in zip("QKV", (Q, K, V), strict=True)}, sizes["l"]


def _filled(A, before, after):
    """`A` (..., ℓ, d) with rows of zeros before and after it."""
    return jnp.pad(A, [*[(0, 0)] * (A.ndim - 2), (before, after), (0, 0)])


def _by_blocks(A, size):
    return A.reshape(*A.shape[:-2], -1, size, A.shape[-1])


def _joined(A):
    return A.reshape(*A.shape[:-3], -1, A.shape[-1])


def _chosen_of(A, chosen):
    """The blocks of A (..., n, size, d) that are chosen (*m, c), one below the other: (..., *m, c · size, d)."""
    return _joined(A.at[..., chosen, :, :].get(mode="clip"))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _each(f, Q, K, V, chosen):
    """f(m, chosen[m], Q_m, K_m, V_m) of each block of queries, with the keys and values that are chosen for it.

    One after the other: what it computes between fits into a cache. It has no derivative of a derivative.
    """

    def of(block):
        m, c, q = block
        return f(m, c, q, _chosen_of(K, c), _chosen_of(V, c))

    return jnp.moveaxis(lax.map(of, (jnp.arange(len(chosen)), chosen, jnp.moveaxis(Q, -3, 0))), 0, -3)


def _each_backward(f, arguments, dY):
    """From copies of all that is chosen: gradients would else go through the whole of K for each block."""
    *arrays, chosen = arguments

    def copied(Q, K, V):
        blocks = (jnp.moveaxis(A, -3, 0) for A in (Q, _chosen_of(K, chosen), _chosen_of(V, chosen)))
        return jnp.moveaxis(lax.map(lambda block: f(*block), (jnp.arange(len(chosen)), chosen, *blocks)), 0, -3)

    return *jax.vjp(copied, *arrays)[1](dY), None


_each.defvjp(lambda f, *arguments: (_each(f, *arguments), arguments), _each_backward)


def _banded_requires(Q, K, V, left, right, block=None):
    name = "banded_attention"
    arrays, l = _requires(name, Q, K, V)
    left, right = (require_count(name, n, w, at_least=0) for n, w in (("left", left), ("right", right)))
    widest = min(max(left, right, 1), l)
    block = widest if block is None else require_count(name, "block", block, at_least=1)
    return arrays | {"left": min(left, FAR), "right": min(right, FAR), "block": block}


@algorithm(_banded_requires, static=("left", "right", "block"))
def banded_attention(
    Q: Float[Array, "*batch l d_attn"],
    K: Float[Array, "*batch l d_attn"],
    V: Float[Array, "*batch l d_mid"],
    left: int,
    right: int,
    block: int | None = None,
) -> Float[Array, "*batch l d_mid"]:
    """Attention with the mask `banded(left, right)` in O(ℓ (left + right + block)) scores.

    It has no derivative of a derivative, and no `jax.jvp`.

    Args:
      Q, K: (..., ℓ, d_attn). V: (..., ℓ, d_mid). Heads are leading axes.
      left, right: as `banded`. block: how many queries are computed together; unless given, the wider of the two.
    Returns:
      (..., ℓ, d_mid).
    Raises:
      ValueError: for a negative width, a block that is not at least 1, an empty sequence, or sizes that differ.
    """
    assert block is not None  # `_banded_requires` has seen to it
    l, b = Q.shape[-2], block
    n, u, v = ceil(l / b), ceil(min(left, l - 1) / b), ceil(min(right, l - 1) / b)
    Q = line(2, "Q", _filled(Q, 0, n * b - l))
    K, V = (line(3 + k, "KV"[k], _filled(A, u * b, (n + v) * b - l)) for k, A in enumerate((K, V)))

    def block_of(m, chosen, Q, K, V):
        i, j = (m * b + jnp.arange(b))[:, None], ((m - u) * b + jnp.arange(len(chosen) * b))[None, :]
        Mask = line(7, "Mask", in_band(i, j, left, right) & (j >= 0) & (j < l))
        Mask = line(8, "Mask", Mask | (i == j))  # what fills up sees itself, or its nan would spoil gradients
        S = line(9, "S", Q @ K.mT)
        S = line(10, "S", jnp.where(aligned(Mask, S), S, -jnp.inf))
        return line(11, "Y_m", softmax(S / root(Q.shape[-1], S)) @ V)

    neighbours = jnp.arange(n)[:, None] + jnp.arange(u + v + 1)[None, :]
    return line(13, "Y", _joined(_each(block_of, *(_by_blocks(A, b) for A in (Q, K, V)), neighbours))[..., :l, :])


def _strided_requires(Q, K, V, stride):
    arrays, l = _requires("strided_attention", Q, K, V)
    return arrays | {"stride": min(require_count("strided_attention", "stride", stride, at_least=1), l)}


@algorithm(_strided_requires, static=("stride",))
def strided_attention(
    Q: Float[Array, "*batch l d_attn"],
    K: Float[Array, "*batch l d_attn"],
    V: Float[Array, "*batch l d_mid"],
    stride: int,
) -> Float[Array, "*batch l d_mid"]:
    """Attention with the mask `every(stride)` in O(ℓ²/stride) scores: O(ℓ√ℓ) for a stride of √ℓ.

    Tokens a multiple of the stride apart stand together, and each such column has causal attention of its own.

    Args:
      Q, K: (..., ℓ, d_attn). V: (..., ℓ, d_mid). Heads are leading axes. stride: at least 1; it need not divide ℓ.
    Returns:
      (..., ℓ, d_mid).
    Raises:
      ValueError: for a stride that is not at least 1, an empty sequence, or sizes that differ.
    """
    l = Q.shape[-2]
    n = line(1, "n", ceil(l / stride))
    columns = (_by_blocks(_filled(A, 0, n * stride - l), stride).swapaxes(-2, -3) for A in (Q, K, V))

    def column(of):
        Q, K, V = of
        return line(6, "V_tilde", attend(Q, K, V, masks.causal, heads=0))

    together = max(k for k in range(1, stride + 1) if stride % k == 0 and (k == 1 or k * n * n <= _CACHED))
    V_tilde = lax.map(column, tuple(jnp.moveaxis(A, -3, 0) for A in columns), batch_size=together)
    return line(8, "Y", _joined(jnp.moveaxis(V_tilde, 0, -2))[..., :l, :])


def _bigbird_requires(Q, K, V, block, drawn):
    arrays, l = _requires("bigbird_attention", Q, K, V)
    return arrays | {"drawn": checked_blocks("bigbird_attention", l, block, drawn)[0]}


@algorithm(_bigbird_requires, static=("block",))
def bigbird_attention(
    Q: Float[Array, "*batch l d_attn"],
    K: Float[Array, "*batch l d_attn"],
    V: Float[Array, "*batch l d_mid"],
    block: int,
    drawn: Int[Array, "n r"],
) -> Float[Array, "*batch l d_mid"]:
    """Attention with the mask `bigbird(ℓ, block, drawn)` in O(ℓ (5 + r) block) scores.

    A block that is named twice, drawn beside itself for example, counts once, as in a mask. It has no derivative
    of a derivative, and no `jax.jvp`.

    Args:
      Q, K: (..., ℓ, d_attn). V: (..., ℓ, d_mid). Heads are leading axes; with random blocks of each head, use `vmap`.
      block, drawn: as `bigbird`.
    Returns:
      (..., ℓ, d_mid); nan where traced random blocks are out of range.
    Raises:
      ValueError, TypeError: as `bigbird`, and for an empty sequence or sizes that differ.
    """
    l, b = Q.shape[-2], block
    n = line(1, "n", l // b)
    ends = blockwise(jnp.concatenate([Q[..., :b, :], Q[..., -b:, :]], axis=-2), K, V, masks.full, AS_PRINTED)
    parts = [ends[..., :b, :], ends[..., b:, :]][:n]

    def block_of(m, seen, Q, K, V):
        return dense(Q, K, V, jnp.repeat(seen < n, b)[None, :])

    if n > 2:
        Q_m, K_m, V_m = (_by_blocks(A, b) for A in (Q, K, V))
        parts.insert(1, _joined(_each(block_of, Q_m[..., 1:-1, :, :], K_m, V_m, seen_blocks(drawn)[1:-1])))
    Y = jnp.concatenate(parts, axis=-2)
    return line(7, "Y", jnp.where((drawn < n).all(), Y, jnp.nan))


@struct.dataclass
class LongformerParameters:
    """Those of Algorithm 5, `attention`, and a second set for global tokens, `global_heads`, of the same shapes."""

    attention: MHAttentionParameters
    global_heads: AttentionParameters


def init_longformer(
    key: PRNGKeyArray, *, d_e: int, d_attn: int, d_mid: int, d_out: int, H: int
) -> LongformerParameters:
    """Random parameters, both sets of projections the same, as when a trained model becomes a Longformer."""
    params = init_mh_attention(key, d_x=d_e, d_z=d_e, d_attn=d_attn, d_mid=d_mid, d_out=d_out, H=H)
    return LongformerParameters(params, params.heads)


def _longformer_requires(X, params, width, tokens, lengths=None):
    name = "longformer_attention"
    require_kind(name, "params", params, LongformerParameters, made_by="init_longformer")
    params = require_fields(name, "params", params, may_lack=True)
    if not same_shapes(params.global_heads, params.attention.heads):
        raise ValueError(f"{name}: params.global_heads differ in shape from params.attention.heads, expected the same")
    (X,) = as_arrays(name, X=X)
    require_floats(name, X=X)
    jax.eval_shape(lambda X, W: mh_attention(X, X, W), X, params.attention)  # what Algorithm 5 requires of them
    tokens, _ = checked_tokens(name, tokens, X.shape[-2])
    if tokens.shape[:-1] not in ((), X.shape[:-2]):
        raise ValueError(f"{name}: tokens have leading axes {tokens.shape[:-1]}, expected those of X, {X.shape[:-2]}")
    if lengths is not None:
        _, lengths = require_sequence(name, "X", jnp.zeros(X.shape[:-1], int), 1, X.shape[-2], lengths)
    width = min(require_count(name, "width", width, at_least=0), X.shape[-2])
    return {"X": jnp.asarray(X), "params": params, "width": width, "tokens": tokens, "lengths": lengths}


@algorithm(_longformer_requires, static=("width",))
def longformer_attention(
    X: Float[Array, "*batch l d_e"],
    params: LongformerParameters,
    width: int,
    tokens: Int[Array, "*#batch n_g"],
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch l d_out"]:
    """Longformer's self-attention: two attentions, of which the second overwrites the rows of global tokens.

    Args:
      X: (..., ℓ, d_e). params: `LongformerParameters`.
      width: how many tokens a token sees on either side, beside the global ones.
      tokens: (n_g,) or (..., n_g) global tokens, those of a sequence with fewer of them repeated. They ask, and are
        answered, by the second set of projections; where others ask them they answer by the first.
      lengths: (...) how many tokens of each right-padded sequence are real. The heads of the others answer 0.
    Returns:
      (..., ℓ, d_out); nan where traced tokens or lengths are out of range.
    Raises:
      ValueError: for a negative width, tokens or lengths out of range, an empty sequence, or sizes that differ.
      TypeError: for parameters of another kind, and tokens or lengths that are no integers.
    """
    l, heads = X.shape[-2], params.attention.heads
    see, real = banded(width, width) | masks.Mask(is_key, (tokens,), the_keys), masks.full
    if lengths is not None:
        real = masks.padding(lengths)
        see = (see & real) | banded(0, 0)  # padding sees itself, for want of anything else
    with stacked("heads", axis=-3):
        Y_h = line(4, "Y_h", attention(X, X, heads, see))
        if tokens.shape[-1]:
            tokens = jnp.broadcast_to(tokens, (*X.shape[:-2], tokens.shape[-1]))
            X_g = jnp.take_along_axis(X, tokens[..., None], axis=-2, mode="fill")
            Y_g = line(5, "Y_g", attention(X_g, X, params.global_heads, real))
            rows = jnp.broadcast_to(tokens[..., None, :, None], Y_g.shape)
            Y_h = line(6, "Y_h", jnp.put_along_axis(Y_h, rows, Y_g, axis=-2, inplace=False))
    valid = (tokens < l).all(axis=-1)
    if lengths is not None:
        Y_h = jnp.where(masks.dense(real, 1, l)[..., 0, None, :, None], Y_h, 0)
        valid = valid & (lengths <= l)
    V_tilde = line(9, "V_tilde", join_heads(Y_h, params.attention))
    return jnp.where(aligned(valid[..., None, None], V_tilde), V_tilde, jnp.nan)
