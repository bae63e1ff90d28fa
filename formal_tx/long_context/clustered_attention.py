"""Clustered attention (2007.04825): queries that are alike ask together: as many rows of scores as there are clusters.

Clusters are found by k-means among hashes of the queries, whose distance is the number of bits that differ. They are
constants to a derivative: it goes through the mean of a cluster, and through the answer that its members share. Every
query sees every key. There is no causal form here: clusters of a whole sequence know its future (the authors' code has
one, in which which keys a token may see depends on the tokens after it).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..architectures import Attend
from ..attending import AS_PRINTED
from ..attention import join_heads
from ..contracts import algorithm, is_concrete
from ..linear import softmax
from ..parameters import MHAttentionParameters
from ..tagging import line, stacked
from ..validation import (
    as_arrays,
    require_count,
    require_flags,
    require_floats,
    require_key,
    require_kind,
    require_shapes,
)
from .linear_attention import require_qkv
from .linear_transformer import projections, refuse_window, require_mh

BITS, ITERATIONS = 32, 10
"""Bits of a hash, and how often every query is put into the nearest cluster, unless given: the authors' numbers."""

_LARGEST_BATCH = 256
"""How many queries ask their own keys at a time: all of them would gather ℓ k E numbers."""


@struct.dataclass
class Clustering:
    """The random numbers of a clustering; the same for all sequences and heads.

    Attributes:
      planes: (bits, E + 1) normal, the last of a row its offset.
      first: (C,) positions, all different, whose hashes are the first centroids.
      other: (iterations - 1, C, bits) the centroids of clusters that have become empty.
    """

    planes: Float[Array, "bits E_and_1"]
    first: Int[Array, " C"]
    other: Bool[Array, "again C bits"]


def draw_clustering(
    key: PRNGKeyArray,
    E: int,
    l: int,
    clusters: int,
    *,
    bits: int = BITS,
    iterations: int = ITERATIONS,
    offset: bool = True,
) -> Clustering:
    """Random numbers for the clustering of ℓ queries of width E.

    Args:
      clusters: C, at most ℓ. bits: of a hash. iterations: how often queries are put into the nearest cluster, at least
        once. offset: whether the planes stand anywhere, or all go through 0.
    Raises:
      TypeError, ValueError: for what is no key, sizes of less than 1, and more clusters than queries.
    """
    name = "draw_clustering"
    key = require_key(name, key)
    require_flags(name, offset=offset)
    given = {"E": E, "l": l, "clusters": clusters, "bits": bits, "iterations": iterations}
    E, l, C, bits, iterations = (require_count(name, of, value, at_least=1) for of, value in given.items())
    if l < C:
        raise ValueError(f"{name}: clusters is {C}, more than there are queries, {l}")
    of_planes, of_first, of_other = jax.random.split(key, 3)
    planes = jax.random.normal(of_planes, (bits, E + 1))
    return Clustering(
        planes=planes if offset else planes.at[:, -1].set(0),
        first=jax.random.choice(of_first, l, (C,), replace=False),
        other=jax.random.bernoulli(of_other, shape=(iterations - 1, C, bits)),
    )


@jax.jit
def query_hashes(Q: Float[Array, "*batch l E"], planes: Float[Array, "bits E_and_1"]) -> Bool[Array, "*batch l bits"]:
    """On which side of each plane every query is: P > 0, false on the plane itself."""
    normals, offsets = planes[:, :-1].astype(Q.dtype), planes[:, -1].astype(Q.dtype)
    P = line(1, "P", jnp.einsum("...e,be->...b", Q, normals) + offsets.reshape((1,) * (Q.ndim - 1) + (-1,)))
    return line(2, "B", P > 0)


@jax.jit
def nearest(B: Bool[Array, "*batch l bits"], M: Bool[Array, "*batch C bits"]) -> Int[Array, "*batch l"]:
    """For every hash the centroid that it has most bits in common with, the first of several."""
    b, m = (2 * A.astype(jnp.float32) - 1 for A in (B, M))
    bits = B.shape[-1]
    D = line(1, "D", (bits - b @ m.mT) / 2)  # a product of ±1 is the bits that agree less those that differ
    return line(2, "c", jnp.argmin(D, axis=-1))


@jax.jit
def hamming_k_means(
    B: Bool[Array, "*batch l bits"], first: Int[Array, " C"], other: Bool[Array, "again C bits"]
) -> Int[Array, "*batch l"]:
    """The cluster of every hash. A bit of a centroid is what most of its members have, 0 where it is as many as not."""
    C = len(first)
    M = line(1, "M", B[..., first, :])
    c = line(2, "c", nearest(B, M))

    def again(c, other):
        member = jax.nn.one_hot(c, C, dtype=jnp.float32)
        n = member.sum(axis=-2)[..., None]
        most = 2 * (member.mT @ B.astype(jnp.float32)) > n
        M = line(5, "M", jnp.where(n > 0, most, jnp.broadcast_to(other, most.shape)))
        return line(6, "c", nearest(B, M)), None

    return lax.scan(again, c, other)[0]


def means(Q: Float[Array, "*batch l E"], c: Int[Array, "*batch l"], C: int) -> Float[Array, "*batch C E"]:
    """The mean query of each cluster; 0 of one without members, whose answer nobody gets."""
    member = jax.nn.one_hot(c, C, dtype=Q.dtype)
    return (member.mT @ Q) / jnp.maximum(member.sum(axis=-2), 1)[..., None]


def _members(A: jax.Array, c: jax.Array) -> jax.Array:
    """For every query the row (..., ℓ, d) of its cluster, of rows (..., C, d)."""
    return jnp.take_along_axis(A, c[..., None], axis=-2)


def _clustered_requires(Q, K, V, clustering, k=None, function="clustered_attention"):
    canonical: dict[str, Any] = require_qkv(function, Q, K, V, same_length=False)
    canonical["clustering"] = _require_clustering(function, clustering, *canonical["Q"].shape[-2:])
    if k is not None:
        _require_k(function, k, canonical["K"].shape[-2])
    batch = jnp.broadcast_shapes(*(canonical[name].shape[:-2] for name in "QKV"))
    for name in "QKV":
        canonical[name] = jnp.broadcast_to(canonical[name], (*batch, *canonical[name].shape[-2:]))
    return canonical


def _require_k(function: str, k: Any, keys: int) -> None:
    """Raise `ValueError` unless k is an integer from 1 to the number of keys."""
    if require_count(function, "k", k, at_least=1) > keys:
        raise ValueError(f"{function}: k is {k}, more than there are keys, {keys}")


def _require_clustering(function: str, clustering: Any, l: int, E: int) -> Clustering:
    require_kind(function, "clustering", clustering, Clustering, made_by="draw_clustering")
    planes, first, other = as_arrays(function, planes=clustering.planes, first=clustering.first, other=clustering.other)
    sizes = require_shapes(
        function,
        **{"clustering.planes": (planes, "bits E+1"), "clustering.first": (first, "C")},
        **{"clustering.other": (other, "iterations-1 C bits")},
    )
    require_floats(function, **{"clustering.planes": planes})
    if sizes["E+1"] != E + 1:
        raise ValueError(f"{function}: clustering.planes has shape {planes.shape}, expected (bits, {E + 1}): E is {E}")
    if not jnp.issubdtype(first.dtype, jnp.integer) or other.dtype != bool:
        raise TypeError(
            f"{function}: clustering has first of dtype {first.dtype} and other of {other.dtype}, expected integers "
            "and bool"
        )
    if not 1 <= sizes["C"] <= l:
        raise ValueError(f"{function}: there are {sizes['C']} clusters, expected from 1 to the number of queries, {l}")
    if is_concrete(first):
        positions = np.asarray(first)
        if (positions < 0).any() or (positions >= l).any() or len(set(positions.tolist())) < len(positions):
            raise ValueError(
                f"{function}: clustering.first is {positions.tolist()}, expected positions in [0, {l}), all different"
            )
    return Clustering(jnp.asarray(planes), jnp.asarray(first), jnp.asarray(other))


def _clusters(Q: jax.Array, clustering: Clustering) -> jax.Array:
    """Lines 1 and 2: the cluster of every query."""
    B = line(1, "B", query_hashes(lax.stop_gradient(Q), clustering.planes))
    return line(2, "c", hamming_k_means(B, clustering.first, clustering.other))


def _known(Y: jax.Array, first: jax.Array) -> jax.Array:
    """Y (..., ℓ, D), or nan if a position is none of them."""
    return jnp.where(((first >= 0) & (first < Y.shape[-2])).all(), Y, jnp.nan)


@algorithm(_clustered_requires)
def clustered_attention(
    Q: Float[Array, "*#batch l_x E"],
    K: Float[Array, "*#batch l_z E"],
    V: Float[Array, "*#batch l_z D"],
    clustering: Clustering,
) -> Float[Array, "*batch l_x D"]:
    """The mean query of a cluster asks, and its members share the answer, in O((ℓ_x + ℓ_z) C (E + D + bits)).

    It is softmax attention where the queries of each cluster are the same, with C = ℓ_x for one.

    Args:
      Q: (..., ℓ_x, E). K: (..., ℓ_z, E). V: (..., ℓ_z, D).
      clustering: `Clustering`, as `draw_clustering` makes it, of at most ℓ_x clusters.
    Returns:
      (..., ℓ_x, D). nan where a traced position of a first centroid is out of range.
    Raises:
      TypeError, ValueError: for shapes that do not fit, more clusters than queries, positions that are not different.
    """
    c = _clusters(Q, clustering)
    Q_bar = line(4, "Q_bar", means(Q, c, len(clustering.first)))
    A = line(6, "A", softmax(AS_PRINTED.scaled(Q_bar @ K.mT, Q.shape[-1])))
    Y_bar = line(7, "Y_bar", A @ V)
    return _known(line(8, "Y", _members(Y_bar, c)), clustering.first)


def _improved_requires(Q, K, V, clustering, k):
    name = "improved_clustered_attention"
    require_count(name, "k", k, at_least=1)
    return _clustered_requires(Q, K, V, clustering, k, name)


@algorithm(_improved_requires, static=("k",))
def improved_clustered_attention(
    Q: Float[Array, "*#batch l_x E"],
    K: Float[Array, "*#batch l_z E"],
    V: Float[Array, "*#batch l_z D"],
    clustering: Clustering,
    k: int = 32,
) -> Float[Array, "*batch l_x D"]:
    """Clustered attention in which each query asks for itself the k keys that its cluster attends to most.

    These get, of each query, as much weight in all as the cluster gives them, and the others what it gives them.
    With k = ℓ_z it is softmax attention.

    Args:
      k: at most ℓ_z, static. The others as `clustered_attention`.
    Returns:
      (..., ℓ_x, D).
    Raises:
      TypeError, ValueError: as `clustered_attention`, and for k out of [1, ℓ_z].
    """
    c = _clusters(Q, clustering)
    Q_bar = line(4, "Q_bar", means(Q, c, len(clustering.first)))
    S = line(6, "S", Q_bar @ K.mT)
    A = line(7, "A", softmax(AS_PRINTED.scaled(S, Q.shape[-1])))
    T = line(8, "T", lax.top_k(S, k)[1])
    rest = line(10, "rest", jnp.put_along_axis(A, T, 0, axis=-1, inplace=False))
    a, Y_top = _own_answers(Q, c, T, K, V, rest)
    line(13, "a", a)
    return _known(line(14, "Y", _members(rest @ V, c) + Y_top), clustering.first)


def _own_answers(Q, c, T, K, V, rest):
    """What each query gives the k keys of its cluster (..., ℓ_x, k), and the answer that they make (..., ℓ_x, D)."""

    def of_sequence(Q, c, T, K, V, left):
        @jax.checkpoint
        def of_query(query):
            q, j = query
            t = T[j]
            a = left[j] * softmax(AS_PRINTED.scaled(K[t] @ q, Q.shape[-1]))
            return a, a @ V[t]

        return lax.map(of_query, (Q, c), batch_size=_LARGEST_BATCH)

    for _ in range(Q.ndim - 2):
        of_sequence = jax.vmap(of_sequence)
    return of_sequence(Q, c, T, K, V, 1 - rest.sum(axis=-1))


def _mh_requires(X, Z, params, clustering, k):
    name = "clustered_mh_attention"
    canonical = require_mh(name, X, Z, params)
    if k is not None:
        _require_k(name, k, canonical["Z"].shape[-2])
    d_attn = canonical["params"].heads.W_q.shape[1]
    return canonical | {"clustering": _require_clustering(name, clustering, canonical["X"].shape[-2], d_attn)}


@algorithm(_mh_requires, static=("k",))
def clustered_mh_attention(
    X: Float[Array, "*#batch l_x d_x"],
    Z: Float[Array, "*#batch l_z d_z"],
    params: MHAttentionParameters,
    clustering: Clustering,
    k: int | None = None,
) -> Float[Array, "*batch l_x d_out"]:
    """Algorithm 5 with clustered attention in its heads, improved where there is a k. The heads cluster by themselves.

    Args:
      X: (..., ℓ_x, d_x) primary sequence. Z: (..., ℓ_z, d_z) context. params: as for `mh_attention`.
      clustering: `Clustering`, of queries of width d_attn. k: static, from 1 to ℓ_z.
    Returns:
      (..., ℓ_x, d_out).
    Raises:
      TypeError, ValueError: as `clustered_attention`, and for parameters that do not fit.
    """
    with stacked("heads", axis=-3):
        Q, K, V = projections(X, Z, params.heads)
        if k is None:
            Y_h = line(6, "Y_h", clustered_attention(Q, K, V, clustering))
        else:
            Y_h = line(7, "Y_h", improved_clustered_attention(Q, K, V, clustering, k))
    return line(11, "V_tilde", join_heads(Y_h, params))


def clustered_attend(
    clusters: int, *, k: int | None = None, bits: int = BITS, iterations: int = ITERATIONS, offset: bool = True
) -> Attend:
    """Clustered self-attention for a stack of layers, `d_layers` for one: without a mask, so that it is an encoder.

    The layers' states are keys (L,), `jax.random.split(key, L)`, from which each of them draws its clustering.
    """

    def attend(X, W, state, window):
        refuse_window("clustered_attend", window)
        if state is None:
            raise ValueError("clustered_attend: the layers have no states, expected a key for each of them")
        d_attn, l = W.heads.W_q.shape[1], X.shape[-2]
        clustering = draw_clustering(state, d_attn, l, clusters, bits=bits, iterations=iterations, offset=offset)
        return clustered_mh_attention(X, X, W, clustering, k), state

    return attend
