"""Clustered attention: where it is softmax attention exactly, how far it is from it elsewhere, and what JAX wants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks, mh_attention
from formal_tx.architectures import d_layers, self_attend
from formal_tx.attend import dense
from formal_tx.crosscheck.tolerances import EXACT
from formal_tx.initialization import init_mh_attention
from formal_tx.long_context import clustered_attention as module
from formal_tx.long_context.clustered_attention import (
    clustered_attend,
    clustered_attention,
    clustered_mh_attention,
    draw_clustering,
    hamming_k_means,
    improved_clustered_attention,
    query_hashes,
)

pytestmark = pytest.mark.usefixtures("x64")

E, D, L_X, L_Z = 5, 3, 17, 11
KEY = jax.random.key(0)
PLATFORMS = ["cpu", "cuda", "tpu"]

BOTH = {
    "clustered": clustered_attention,
    "improved": lambda Q, K, V, clustering: improved_clustered_attention(Q, K, V, clustering, 4),
}
both = pytest.mark.parametrize("attention", BOTH.values(), ids=BOTH)


def qkv(seed=1, *batch, l_x=L_X, l_z=L_Z):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((*batch, l, d)) for l, d in ((l_x, E), (l_z, E), (l_z, D)))


def full(Q, K, V):
    """Softmax attention."""
    return dense(*map(jnp.asarray, (Q, K, V)), jnp.ones((Q.shape[-2], K.shape[-2]), bool))


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT["float64"] * max(1, np.abs(expected).max()))


# Where it is softmax attention


@both
def test_a_cluster_for_each_query_is_softmax_attention(attention):
    Q, K, V = qkv()
    clustering = draw_clustering(KEY, E, L_X, L_X, bits=63)
    hashes = np.asarray(query_hashes(jnp.asarray(Q), clustering.planes))
    assert len(np.unique(hashes, axis=0)) == L_X, "equal hashes are one cluster"
    same(attention(Q, K, V, clustering), full(Q, K, V))


@both
@pytest.mark.parametrize("C", [1, 3, L_X])
def test_equal_queries_get_the_answer_of_softmax_attention(attention, C):
    Q, K, V = qkv()
    Q = np.broadcast_to(Q[:1], Q.shape)
    same(attention(Q, K, V, draw_clustering(KEY, E, L_X, C)), full(Q, K, V))


@pytest.mark.parametrize("C", [1, 4])
def test_all_keys_among_the_best_is_softmax_attention(C):
    Q, K, V = qkv()
    same(improved_clustered_attention(Q, K, V, draw_clustering(KEY, E, L_X, C), L_Z), full(Q, K, V))


@both
def test_one_query_and_one_key(attention):
    Q, K, V = qkv(l_x=1, l_z=1)
    clustering = draw_clustering(KEY, E, 1, 1)
    improved = improved_clustered_attention(Q, K, V, clustering, 1)
    same(clustered_attention(Q, K, V, clustering), V)
    same(improved, V)


# Where it is not


def test_members_of_a_cluster_share_an_answer():
    Q, K, V = qkv()
    clustering = draw_clustering(KEY, E, L_X, 4)
    c = np.asarray(hamming_k_means(query_hashes(jnp.asarray(Q), clustering.planes), clustering.first, clustering.other))
    Y = np.asarray(clustered_attention(Q, K, V, clustering))
    for j in np.unique(c):
        assert (Y[c == j] == Y[c == j][0]).all()
        same(Y[c == j][0], full(Q[c == j].mean(axis=0, keepdims=True), K, V)[0])


def test_the_error_falls_with_clusters_and_with_keys():
    Q, K, V = qkv(2, 8, l_x=64, l_z=64)
    expected = full(Q, K, V)

    def error(C, k=None):
        clustering = draw_clustering(KEY, E, 64, C, bits=63)
        Y = (
            clustered_attention(Q, K, V, clustering)
            if k is None
            else improved_clustered_attention(Q, K, V, clustering, k)
        )
        return float(jnp.sqrt(jnp.mean((Y - expected) ** 2)))

    errors = [error(C) for C in (1, 8, 32)]
    assert errors[0] > errors[1] > errors[2]
    improved = [errors[1], *(error(8, k) for k in (4, 32))]
    assert improved[0] > improved[1] > improved[2]


@both
def test_an_answer_is_an_average_of_values(attention):
    Q, K, V = qkv()
    clustering = draw_clustering(KEY, E, L_X, 4)
    same(attention(Q, K, np.full_like(V, 7.0), clustering), np.full((L_X, D), 7.0))
    same(attention(Q, K, 2 * V + 1, clustering), 2 * attention(Q, K, V, clustering) + 1)


@both
def test_the_order_of_keys_does_not_matter(attention):
    Q, K, V = qkv()
    order, clustering = np.random.default_rng(3).permutation(L_Z), draw_clustering(KEY, E, L_X, 4)
    same(attention(Q, K[order], V[order], clustering), attention(Q, K, V, clustering))


def test_many_queries_are_answered_in_batches(monkeypatch):
    Q, K, V = qkv()
    clustering = draw_clustering(KEY, E, L_X, 4)
    whole = improved_clustered_attention(Q, K, V, clustering, 4)
    monkeypatch.setattr(module, "_LARGEST_BATCH", 5)
    improved_clustered_attention.clear_cache()
    same(improved_clustered_attention(Q, K, V, clustering, 4), whole)
    improved_clustered_attention.clear_cache()


# The random numbers


def test_what_is_drawn():
    drawn = draw_clustering(KEY, E, L_X, 4, bits=7, iterations=3, offset=False)
    assert drawn.planes.shape == (7, E + 1)
    assert (drawn.planes[:, -1] == 0).all()
    assert sorted(set(drawn.first.tolist())) == sorted(drawn.first.tolist())
    assert all(0 <= i < L_X for i in drawn.first.tolist())
    assert drawn.other.shape == (2, 4, 7)
    again = draw_clustering(KEY, E, L_X, 4, bits=7, iterations=3, offset=False)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(drawn), jax.tree.leaves(again), strict=True))
    more = draw_clustering(jax.random.key(1), E, L_X, 4, bits=7, iterations=3)
    assert not (drawn.planes[:, :-1] == more.planes[:, :-1]).any()
    assert (more.planes[:, -1] != 0).all()


def test_clusters_of_queries_that_lie_apart_are_these():
    rng = np.random.default_rng(4)
    kinds = np.repeat([0, 1, 2], 6)
    Q = 10 * np.eye(3)[kinds] - 5 + 0.1 * rng.standard_normal((18, 3))
    drawn = draw_clustering(KEY, 3, 18, 3, bits=63)
    drawn = drawn.replace(first=jnp.array([0, 6, 12]))
    c = hamming_k_means(query_hashes(jnp.asarray(Q), drawn.planes), drawn.first, drawn.other)
    np.testing.assert_array_equal(c, kinds)


# As JAX wants it


@both
def test_a_batch_is_its_sequences(attention):
    arrays, clustering = qkv(6, 2, 3), draw_clustering(KEY, E, L_X, 4)
    found = attention(*arrays, clustering)
    same(jax.vmap(jax.vmap(lambda *a: attention(*a, clustering)))(*arrays), found)
    same(attention(*(A[1, 2] for A in arrays), clustering), found[1, 2])


@both
def test_queries_of_several_sequences_ask_the_same_keys(attention):
    (Q, K, V), clustering = qkv(7, 3), draw_clustering(KEY, E, L_X, 4)
    same(attention(Q, K[0], V[0], clustering)[2], attention(Q[2], K[0], V[0], clustering))


@both
def test_gradients_with_the_clusters_constant(attention):
    arrays, clustering = [jnp.asarray(A) for A in qkv()], draw_clustering(KEY, E, L_X, 4)
    check_grads(lambda *a: attention(*a, clustering), arrays, order=1, modes=["rev"], eps=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_lowers_for_every_platform(dtype):
    arrays = [jnp.asarray(A, dtype) for A in qkv()]

    def everything(Q, K, V, key):
        clustering = draw_clustering(key, E, L_X, 4)
        return [attention(Q, K, V, clustering) for attention in BOTH.values()]

    exported = jax.export.export(jax.jit(everything), platforms=PLATFORMS)(*arrays, KEY)
    assert set(exported.platforms) == set(PLATFORMS)


def test_another_clustering_compiles_nothing():
    arrays = qkv()
    compiled = []
    for seed in range(3):
        run(*arrays, draw_clustering(jax.random.key(seed), E, L_X, 4))
        compiled.append(run._cache_size())
    assert compiled == [1, 1, 1]


@jax.jit
def run(Q, K, V, clustering):
    return improved_clustered_attention(Q, K, V, clustering, 4)


# Multi-head attention and a stack of layers


@pytest.mark.parametrize("k", [None, 4])
def test_heads_with_a_cluster_for_each_query(k):
    params = init_mh_attention(KEY, d_x=4, d_z=7, d_attn=E, d_mid=3, d_out=2, H=2)
    rng = np.random.default_rng(2)
    X, Z = rng.standard_normal((2, 9, 4)), rng.standard_normal((2, 6, 7))
    clustering = draw_clustering(KEY, E, 9, 9, bits=63)
    same(clustered_mh_attention(X, Z, params, clustering, k), mh_attention(X, Z, params))


def stack(C, k=None):
    hp = DTransformerHyperparameters(l_max=12, L=3, H=2, d_e=6, d_mlp=5, N_V=12, d_attn=E, d_mid=D)
    params = jax.tree.map(lambda W: 3 * W, init_d_transformer(KEY, hp))
    # Tokens that are all different, so that queries are: those with the same hash would be one cluster.
    x = jnp.stack([jax.random.permutation(key, 12) for key in jax.random.split(KEY)])
    keys = jax.random.split(KEY, hp.L)
    found, states = d_layers(x, params, hp, clustered_attend(C, k=k, bits=500), states=keys)
    assert (states == keys).all()
    return found, d_layers(x, params, hp, self_attend(masks.full))[0]


@pytest.mark.parametrize(("C", "k"), [(12, None), (2, 12)])
def test_a_stack_of_layers_is_an_encoder(C, k):
    """With a cluster for each token, or all of the keys, it is that of softmax attention."""
    same(*stack(C, k))


def test_a_stack_of_layers_with_few_clusters_is_another():
    found, exact = stack(2)
    assert jnp.isfinite(found).all()
    assert np.abs(found - exact).max() > 1e-3
