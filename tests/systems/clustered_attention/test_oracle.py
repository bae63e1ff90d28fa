"""Clustered attention against the authors' package, and against loops written from the paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.crosscheck.tolerances import EXACT, FOREIGN
from formal_tx.initialization import init_mh_attention
from formal_tx.long_context.clustered_attention import (
    Clustering,
    clustered_attention,
    clustered_mh_attention,
    draw_clustering,
    hamming_k_means,
    improved_clustered_attention,
    query_hashes,
)

from .golden import CLUSTERS, FILE, ITERATIONS, K


@pytest.fixture(scope="module")
def package():
    """What the authors' package computed, in float32, heads before tokens; and its random numbers."""
    with np.load(FILE) as file:
        made = dict(file)
    made = {name: np.moveaxis(a, 1, 2) if a.ndim == 4 else a for name, a in made.items()}
    made["planes"][:, -1] *= -1  # its code compares a product with the offset
    other = np.zeros((ITERATIONS - 1, CLUSTERS, len(made["planes"])), bool)  # no cluster is empty
    return made, Clustering(made["planes"], made["first"], other)


def agree(found, expected):
    """To what single precision leaves of sums in another order."""
    assert np.max(np.abs(found - expected)) <= FOREIGN["float32"] * np.max(np.abs(expected))


def test_the_clusters_of_the_package(package):
    made, clustering = package
    c = hamming_k_means(query_hashes(jnp.asarray(made["Q"]), clustering.planes), clustering.first, clustering.other)
    np.testing.assert_array_equal(c, made["clusters"])
    assert len(np.unique(c)) == CLUSTERS


def test_the_answers_of_the_package(package):
    made, clustering = package
    agree(clustered_attention(made["Q"], made["K"], made["V"], clustering), made["clustered"])
    agree(improved_clustered_attention(made["Q"], made["K"], made["V"], clustering, K), made["improved"])


# Loops, of one query and one bit at a time


def nearest(hash_, centroids):
    distances = [sum(a != b for a, b in zip(hash_, m, strict=True)) for m in centroids]
    return distances.index(min(distances))


def clusters(Q, clustering):
    B = [[bool(plane[:-1] @ q + plane[-1] > 0) for plane in np.asarray(clustering.planes)] for q in Q]
    centroids = [B[i] for i in np.asarray(clustering.first)]
    c = [nearest(hash_, centroids) for hash_ in B]
    for other in np.asarray(clustering.other).tolist():
        for j in range(len(centroids)):
            members = [hash_ for hash_, cluster in zip(B, c, strict=True) if cluster == j]
            counts = [sum(bits) for bits in zip(*members, strict=True)]
            centroids[j] = [n > len(members) - n for n in counts] if members else other[j]
        c = [nearest(hash_, centroids) for hash_ in B]
    return c


def softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()


def by_loops(Q, K, V, clustering, k=0):
    c, Y = clusters(Q, clustering), []
    for i, q in enumerate(Q):
        mean = np.mean([other for other, j in zip(Q, c, strict=True) if j == c[i]], axis=0)
        scores = K @ mean
        a = softmax(scores / np.sqrt(len(q)))
        if k:
            best = np.argsort(-scores)[:k]
            mass = a[best].sum()
            a[best] = mass * softmax(K[best] @ q / np.sqrt(len(q)))
        Y.append(a @ V)
    return np.array(Y)


def draw(seed, l_x=19, l_z=13, C=4, **options):
    rng = np.random.default_rng(seed)
    Q, K, V = (rng.standard_normal((l, d)) for l, d in ((l_x, 5), (l_z, 5), (l_z, 3)))
    return Q, K, V, draw_clustering(jax.random.key(seed), 5, l_x, C, **options)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bits", [2, 32])  # two bits: ties, and clusters that become empty
def test_loops(bits):
    for seed in range(3):
        Q, K, V, clustering = draw(seed, bits=bits, iterations=4)
        np.testing.assert_allclose(
            clustered_attention(Q, K, V, clustering), by_loops(Q, K, V, clustering), rtol=0, atol=EXACT["float64"]
        )
        np.testing.assert_allclose(
            improved_clustered_attention(Q, K, V, clustering, 4),
            by_loops(Q, K, V, clustering, 4),
            rtol=0,
            atol=EXACT["float64"],
        )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("k", [None, 3])
def test_heads_cluster_one_by_one(k):
    params = init_mh_attention(jax.random.key(2), d_x=7, d_z=6, d_attn=5, d_mid=3, d_out=2, H=4)
    rng = np.random.default_rng(3)
    X, Z = rng.standard_normal((9, 7)), rng.standard_normal((8, 6))
    clustering, Y = draw_clustering(jax.random.key(4), 5, 9, 3), []
    for h in range(4):
        W = jax.tree.map(lambda W, h=h: np.asarray(W[h]), params.heads)
        Q, K, V = (A @ getattr(W, f"W_{n}").T for n, A in zip("qkv", (X, Z, Z), strict=True))
        Y.append(by_loops(Q, K, V, clustering, k or 0))
    expected = np.concatenate(Y, axis=1) @ np.asarray(params.W_o).T
    found = clustered_mh_attention(X, Z, params, clustering, k)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT["float64"])


@pytest.mark.usefixtures("x64")
def test_two_clusters_by_hand():
    """Queries on either side of 0 hash to 0 and 1: two clusters, and each asks with its mean."""
    Q = np.array([[1.0], [-2.0], [3.0], [-4.0]])
    K, V = np.array([[np.log(2.0)], [0.0]]), np.array([[1.0], [0.0]])
    clustering = Clustering(np.array([[1.0, 0.0]]), np.array([0, 1]), np.zeros((1, 2, 1), bool))
    # The means are 2 and -3: the first key is 2² and 2⁻³ times as good as the second.
    expected = np.array([4 / 5, 1 / 9, 4 / 5, 1 / 9])
    np.testing.assert_allclose(clustered_attention(Q, K, V, clustering)[:, 0], expected)


@pytest.mark.oracle
@pytest.mark.usefixtures("x64")
def test_gradients_are_those_of_pytorch_with_the_same_clusters():
    torch = pytest.importorskip("torch")
    Q, K, V, clustering = draw(5)
    c = torch.tensor(clusters(Q, clustering))
    weight = np.random.default_rng(6).standard_normal((19, 3))
    q, k, v = (torch.tensor(A, requires_grad=True) for A in (Q, K, V))
    member = torch.nn.functional.one_hot(c, 4).double()
    means = (member.T @ q) / member.sum(0)[:, None].clamp(min=1)
    A = torch.softmax(means @ k.T / 5**0.5, -1)
    best = (means @ k.T).topk(4).indices
    rest = A.scatter(1, best, 0.0)
    own = torch.softmax((k[best][c] @ q[:, :, None])[..., 0] / 5**0.5, -1) * (1 - rest.sum(-1))[c][:, None]
    Y = (rest @ v)[c] + (own[:, None, :] @ v[best][c])[:, 0]
    (Y * torch.tensor(weight)).sum().backward()

    def total(Q, K, V):
        return (improved_clustered_attention(Q, K, V, clustering, 4) * weight).sum()

    found = jax.grad(total, argnums=(0, 1, 2))(*(jnp.asarray(A) for A in (Q, K, V)))
    for ours, theirs in zip(found, (q, k, v), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)
