"""LSH attention of the Reformer (2001.04451): a token attends to those that fall into the same bucket as it does.

Queries are keys too, divided by their lengths. Tokens are sorted by bucket and cut into chunks; a chunk attends to
itself and to the one before. So scores are O(ℓ m) for chunks of m tokens, and the sort is O(ℓ log ℓ). Several rounds,
each with a hash of its own, find what one misses.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import masks
from ..architecture_contracts import d_requires
from ..architectures import Attend, d_layers, logits_of
from ..attending import AS_PRINTED, Attending, root
from ..attention import join_heads
from ..contracts import algorithm
from ..hyperparameters import DTransformerHyperparameters
from ..linear import affine, wide
from ..mask_blocks import holds_array
from ..parameters import DTransformerParameters
from ..tagging import line
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_count,
    require_flags,
    require_floats,
    require_key,
    require_kind,
    require_shapes,
)

SELF = -1e5
"""What is added to a token's score with itself: it is looked at only where nobody else is seen."""

_AT_ONCE = 32
"""Of how many chunks the scores exist at a time: so many fit into a processor's cache."""


@dataclass(frozen=True, kw_only=True)
class ReformerHyperparameters:
    """How tokens are hashed, and what they then see.

    Attributes:
      chunk: m, the length of a chunk. It need not divide the length of a sequence.
      buckets: b, an even number. rounds: how many hashes there are.
      same_bucket: a token sees those of its own bucket alone, not all of its chunk and of the one before.
      by_normaliser: rounds count in proportion to the sums of their exponentials, and a pair that meets in several
        rounds counts once, so that all rounds together are one softmax; if not their mean is taken.
      discourage_self: a token looks at itself only where it sees nobody else.
    Raises:
      ValueError, TypeError: names what is out of range.
    """

    chunk: int = 64
    buckets: int = 32
    rounds: int = 4
    same_bucket: bool = True
    by_normaliser: bool = True
    discourage_self: bool = True

    def __post_init__(self) -> None:
        name = "ReformerHyperparameters"
        for field in ("chunk", "buckets", "rounds"):
            require_count(name, field, getattr(self, field), at_least=1)
        if self.buckets % 2:
            raise ValueError(f"{name}: buckets is {self.buckets}, expected an even number: each has an opposite one")
        flags = ("same_bucket", "by_normaliser", "discourage_self")
        require_flags(name, **{flag: getattr(self, flag) for flag in flags})


PACKAGED: dict[str, Any] = {"chunk": 32, "same_bucket": False, "by_normaliser": False, "discourage_self": False}
"""What `ReformerHyperparameters` are in the package fast-transformers, where `bits` is half of `buckets`."""


def rotations(key: PRNGKeyArray, d: int, hyperparameters: ReformerHyperparameters, dtype: Any = float) -> jax.Array:
    """The matrices R (rounds, d, buckets / 2) of the hashes, drawn from N(0, 1)."""
    hp = hyperparameters
    key = require_key("rotations", key)
    return jax.random.normal(key, (hp.rounds, d, hp.buckets // 2), jnp.float32).astype(dtype)


def _requires(Q, V, R, hyperparameters, mask=masks.full):
    name = "lsh_attention"
    require_kind(name, "hyperparameters", hyperparameters, ReformerHyperparameters, made_by="its constructor")
    Q, V, R = as_arrays(name, Q=Q, V=V, R=R)
    sizes = require_shapes(name, Q=(Q, "... l d"), V=(V, "... l d_mid"), R=(R, "rounds d b/2"))
    require_floats(name, Q=Q, V=V, R=R)
    require_at_least_one(name, Q=sizes["l"])
    require_batch(name, Q=Q.shape[:-2], V=V.shape[:-2])
    expected = (hyperparameters.rounds, sizes["d"], hyperparameters.buckets // 2)
    if R.shape != expected:
        raise ValueError(f"{name}: R has shape {R.shape}, expected (rounds, d, buckets / 2) = {expected}")
    mask = masks.as_mask(mask, function=name)
    if holds_array(mask):
        raise ValueError(f"{name}: mask holds an array, expected a predicate of positions: tokens are sorted")
    return {"Q": jnp.asarray(Q), "V": jnp.asarray(V), "R": jnp.asarray(R), "mask": mask}


@algorithm(_requires, static=("hyperparameters",))
def lsh_attention(
    Q: Float[Array, "*#batch l d"],
    V: Float[Array, "*#batch l d_mid"],
    R: Float[Array, "rounds d half"],
    hyperparameters: ReformerHyperparameters,
    mask: masks.MaskLike = masks.full,
) -> Float[Array, "*batch l d_mid"]:
    """Each token's answer from those that it meets in any of the rounds.

    Args:
      Q: (..., ℓ, d) queries, which divided by their lengths are the keys. V: (..., ℓ, d_mid).
      R: (rounds, d, b / 2) as `rotations` draws it, the same for the whole batch.
      mask: `masks.causal`, or another predicate of positions. A token may always see itself.
    Returns:
      Y (..., ℓ, d_mid).
    Raises:
      ValueError: for hashes of another configuration, or a mask that is an array.
    """
    hp = hyperparameters
    V = jnp.broadcast_to(V, (*jnp.broadcast_shapes(Q.shape[:-2], V.shape[:-2]), *V.shape[-2:]))
    Q = jnp.broadcast_to(Q, (*V.shape[:-1], Q.shape[-1]))
    square = jnp.sum(jnp.square(wide(Q)), axis=-1)
    n = line(1, "n", jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0))
    K = line(2, "K", Q / jnp.where(square > 0, n, 1).astype(Q.dtype)[..., None])

    def hashed(R_r):
        H = line(4, "H", Q @ R_r)
        b = line(5, "b", jnp.argmax(jnp.concatenate([H, -H], axis=-1), axis=-1))
        s = line(6, "s", jnp.argsort(b, axis=-1, stable=True))
        place = jnp.argsort(s, axis=-1)
        line(7, "c", place // hp.chunk)
        return b, s, place

    hashes = lax.map(hashed, R)

    def of_round(hashes_r):
        x, place = _chunks(hashes_r[1], hp.chunk), hashes_r[2]
        tables = [(_entries(b, x), _entries(place // hp.chunk, x)) for b, _, place in zip(*hashes, strict=True)]
        own = _entries(hashes_r[0], x), _entries(place // hp.chunk, x)
        entries = jax.tree.map(lambda a: (a, _with_before(a)), (own, tables))
        rows = _rows(Q, x), _rows_with_before(_rows(K, x)), _rows_with_before(_rows(V, x))
        chunks = jax.tree.map(lambda A: jnp.moveaxis(A, Q.ndim - 2, 0), ((x, _with_before(x, -1)), entries, rows))
        z, o = (jnp.moveaxis(A, 0, -3) for A in lax.map(of_chunk, chunks, batch_size=_AT_ONCE))
        return line(26, "z", _undone(z, place)[..., 0]), line(27, "o", _undone(o, place))

    def of_chunk(chunk):
        (x, y), (own, tables), (q, k, v) = chunk
        same = y[..., None, :] == x[..., :, None]
        S = wide(q @ k.mT) / root(Q.shape[-1], n)
        if hp.by_normaliser:
            N = jnp.stack([_meet(table, hp) for table in tables]).sum(axis=0).astype(S.dtype)
            S = S - jnp.where(same, 0, jnp.log(jnp.maximum(N, 1)))
        if hp.discourage_self:
            S = S + jnp.where(same, jnp.asarray(SELF, S.dtype), 0)
        real = ((y >= 0) & (y < Q.shape[-2]))[..., None, :]
        allowed = masks.said_by("lsh_attention", mask, x[..., :, None], y[..., None, :])
        S = jnp.where((_meet(own, hp) & real & allowed) | same, S, -jnp.inf)
        z = jax.nn.logsumexp(S, axis=-1)[..., None]
        return z, jax.nn.softmax(S, axis=-1).astype(V.dtype) @ v

    z, o = lax.map(of_round, hashes)
    w = line(30, "w", jax.nn.softmax(z, axis=0) if hp.by_normaliser else jnp.full(z.shape, 1 / hp.rounds, z.dtype))
    return line(31, "Y", jnp.sum(w[..., None].astype(o.dtype) * o, axis=0))


def _chunks(s: jax.Array, m: int) -> jax.Array:
    """The tokens of each chunk (..., chunks, m) of a sorted list s (..., ℓ); what fills up the last is from ℓ on."""
    *batch, l = s.shape
    filling = jnp.broadcast_to(jnp.arange(l, l + -l % m), (*batch, -l % m)).astype(s.dtype)
    return jnp.concatenate([s, filling], axis=-1).reshape(*batch, -1, m)


def _with_before(A: jax.Array, first: int = 0) -> jax.Array:
    """Entries A (..., chunks, m) of the chunk before and of each chunk itself; `first` before the first."""
    before = jnp.concatenate([jnp.full_like(A[..., :1, :], first), A[..., :-1, :]], axis=-2)
    return jnp.concatenate([before, A], axis=-1)


def _rows_with_before(A: jax.Array) -> jax.Array:
    """The same for rows (..., chunks, m, d): (..., chunks, 2 m, d)."""
    before = jnp.concatenate([jnp.zeros_like(A[..., :1, :, :]), A[..., :-1, :, :]], axis=-3)
    return jnp.concatenate([before, A], axis=-2)


def _entries(A: jax.Array, x: jax.Array) -> jax.Array:
    """A[..., x] for A (..., ℓ) and tokens x (..., chunks, m)."""
    t = jnp.minimum(x, A.shape[-1] - 1).reshape(*x.shape[:-2], -1)
    return jnp.take_along_axis(A, t, axis=-1).reshape(x.shape)


def _rows(A: jax.Array, x: jax.Array) -> jax.Array:
    """A[..., x, :] for A (..., ℓ, d) and tokens x (..., chunks, m)."""
    t = jnp.minimum(x, A.shape[-2] - 1).reshape(*x.shape[:-2], -1, 1)
    return jnp.take_along_axis(A, t, axis=-2).reshape(*x.shape, A.shape[-1])


def _meet(table: Any, hp: ReformerHyperparameters) -> jax.Array:
    """Whether tokens of a chunk meet in a round, (..., m, 2 m), by the buckets b and chunks c of both sides there."""
    (b_x, b_y), (c_x, c_y) = table
    behind = c_x[..., :, None] - c_y[..., None, :]
    near = (behind == 0) | (behind == 1)
    return near & (b_x[..., :, None] == b_y[..., None, :]) if hp.same_bucket else near


def _undone(A: jax.Array, place: jax.Array) -> jax.Array:
    """Rows of chunks (..., chunks, m, d) in the order of the tokens (..., ℓ, d): the inverse permutation."""
    return jnp.take_along_axis(A.reshape(*A.shape[:-3], -1, A.shape[-1]), place[..., None], axis=-2)


def reformer_attend(
    hyperparameters: ReformerHyperparameters, mask: masks.Mask = masks.causal, attending: Attending = AS_PRINTED
) -> Attend:
    """Line 6 of Algorithm 10 by LSH attention. The state is the layer's key, with which its hashes are drawn.

    A layer's `W_k` is not used: its queries are its keys.
    Raises:
      ValueError: heads share values, or scores are changed or scaled.
    """
    if attending.score is not None or attending.scale is not None:
        raise ValueError("reformer_attend: attending has a score or a scale of its own, expected none")

    def attend(X, W, key, window):
        if len(W.heads.W_v) != len(W.heads.W_q):
            raise ValueError(f"reformer_attend: W_v has {len(W.heads.W_v)} heads, expected {len(W.heads.W_q)}, as W_q")
        Q = attending.turned(affine(X, W.heads.W_q, W.heads.b_q), W.heads.gamma_q, None)
        V = affine(X, W.heads.W_v, W.heads.b_v)
        R = rotations(key, Q.shape[-1], hyperparameters, Q.dtype)
        see = mask if window is None else mask & masks.window(window)
        return join_heads(lsh_attention(Q, V, R, hyperparameters, see), W, attending), key

    return attend


def _decoder_requires(x, params, hyperparameters, reformer_hyperparameters, *, key):
    name = "reformer_d_transformer_logits"
    kind = ReformerHyperparameters
    require_kind(name, "reformer_hyperparameters", reformer_hyperparameters, kind, made_by="its constructor")
    found = d_requires(x, params, hyperparameters, None, function=name)
    return {"x": found["x"], "params": found["params"], "key": require_key(name, key)}


@algorithm(_decoder_requires, static=("hyperparameters", "reformer_hyperparameters"))
def reformer_d_transformer_logits(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    reformer_hyperparameters: ReformerHyperparameters,
    *,
    key: PRNGKeyArray,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10 up to the softmax with LSH attention in all layers, each with hashes drawn from the key.

    Args:
      x: (..., ℓ) token ids, 1 ≤ ℓ ≤ l_max.
    Returns:
      Logits (..., ℓ, N_V). The hashes of a token depend on it alone, but chunks on how many tokens are in its bucket:
      what follows a token may change which of those before it are met, and so its logits.
    Raises:
      TypeError, ValueError: as `d_transformer_logits`.
    """
    hp = hyperparameters
    attend = reformer_attend(reformer_hyperparameters, masks.causal, hp.attending)
    X, _ = d_layers(x, params, hp, attend, states=jax.random.split(key, hp.L))
    return logits_of(X, params, hp)
