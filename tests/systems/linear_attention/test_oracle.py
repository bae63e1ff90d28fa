"""Linear attention against the dense kernel, PyTorch's gradients, the authors' package, and cases worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.crosscheck.tolerances import EXACT, FOREIGN
from formal_tx.initialization import init_mh_attention
from formal_tx.long_context.feature_maps import elu_plus_one, favor, fourier, random_directions, relu
from formal_tx.long_context.linear_attention import (
    causal_linear_attention,
    continue_linear_attention,
    empty_state,
    linear_attention,
    linear_attention_step,
)
from formal_tx.long_context.linear_transformer import linear_mh_attention

from .golden import FILE

EPSILON = 1e-6


@pytest.fixture(scope="module")
def package():
    """What the authors' package computed, in float32; heads before tokens."""
    with np.load(FILE) as file:
        made = dict(file)
    return {name: np.moveaxis(a, 1, 2) if name in _BY_HEAD else a for name, a in made.items()}


_BY_HEAD = ("Q", "K", "V", "X", "linear", "causal", "recurrent", "favor", "fourier", "relu")


def agree(found, expected):
    """To what single precision leaves of sums in another order."""
    assert np.max(np.abs(found - expected)) <= FOREIGN["float32"] * np.max(np.abs(expected))


def test_the_package_with_padding(package):
    found = linear_attention(package["Q"], package["K"], package["V"], lengths=package["lengths"][:, None])
    agree(found, package["linear"])


@pytest.mark.parametrize("chunk", [None, 4, 64])
def test_the_package_with_a_causal_mask(package, chunk):
    Q, K, V = package["Q"], package["K"][:, :, :11], package["V"][:, :, :11]
    agree(causal_linear_attention(Q, K, V, chunk=chunk), package["causal"])


def test_the_package_one_token_after_the_other(package):
    state = empty_state((2, 3), 4, 5)
    for i in range(11):
        y, state = linear_attention_step(*(package[name][:, :, i] for name in "QKV"), state)
        agree(y, package["recurrent"][:, :, i])
    agree(state.S, package["S"])
    agree(state.z, package["z"])


def test_the_features_of_the_package(package):
    agree(favor(package["Omega_favor"], temperature=0.3)(package["X"]), package["favor"])
    agree(fourier(package["Omega_fourier"])(package["X"]), package["fourier"])
    agree(relu(package["Omega_relu"])(package["X"]), package["relu"])


# The definition, with all weights at once


def draw(rng, *shape):
    return rng.standard_normal(shape)


def elu_plus_one_by_numpy(X):
    return np.where(X > 0, X + 1, np.exp(np.minimum(X, 0)))


def by_weights(Q_prime, K_prime, V, visible):
    """Σ_s w_s v_s / (Σ_s w_s + ε), one query at a time."""
    Y = np.zeros((len(Q_prime), V.shape[1]))
    for i, q in enumerate(Q_prime):
        weights = [q @ k if visible(i, s) else 0.0 for s, k in enumerate(K_prime)]
        Y[i] = sum(w * v for w, v in zip(weights, V, strict=True)) / (sum(weights) + EPSILON)
    return Y


@pytest.mark.usefixtures("x64")
def test_linear_attention_is_the_dense_kernel():
    rng = np.random.default_rng(0)
    Q, K, V = draw(rng, 7, 5), draw(rng, 11, 5), draw(rng, 11, 3)
    expected = by_weights(elu_plus_one_by_numpy(Q), elu_plus_one_by_numpy(K), V, lambda i, s: True)
    np.testing.assert_allclose(linear_attention(Q, K, V), expected, rtol=EXACT["float64"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chunk", [None, 1, 3, 11, 64])
def test_causal_linear_attention_is_the_dense_kernel_below_its_diagonal(chunk):
    rng = np.random.default_rng(1)
    Q, K, V = draw(rng, 11, 5), draw(rng, 11, 5), draw(rng, 11, 3)
    expected = by_weights(elu_plus_one_by_numpy(Q), elu_plus_one_by_numpy(K), V, lambda i, s: s <= i)
    np.testing.assert_allclose(causal_linear_attention(Q, K, V, chunk=chunk), expected, rtol=EXACT["float64"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("causal", [False, True])
def test_heads_are_linear_attention_one_by_one(causal):
    params = init_mh_attention(jax.random.key(2), d_x=7, d_z=7, d_attn=5, d_mid=3, d_out=2, H=4)
    params = params.replace(b_o=jnp.arange(2.0))
    X = draw(np.random.default_rng(2), 6, 7)
    Y = []
    for h in range(4):
        W = jax.tree.map(lambda W, h=h: np.asarray(W[h]), params.heads)
        Q, K, V = (X @ getattr(W, f"W_{n}").T + getattr(W, f"b_{n}") for n in "qkv")
        features = elu_plus_one_by_numpy(Q), elu_plus_one_by_numpy(K)
        Y.append(by_weights(*features, V, lambda i, s: s <= i or not causal))
    expected = np.concatenate(Y, axis=1) @ np.asarray(params.W_o).T + np.asarray(params.b_o)
    found = linear_mh_attention(X, X, params, causal=causal)
    np.testing.assert_allclose(found, expected, rtol=EXACT["float64"], atol=EXACT["float64"])


# By hand


@pytest.mark.usefixtures("x64")
def test_features_that_are_all_one_give_means():
    """E = 1 and q = k = 0: φ = 1, so every weight is 1."""
    zeros, V = np.zeros((4, 1)), np.array([[1.0], [3.0], [8.0], [0.0]])
    np.testing.assert_allclose(linear_attention(zeros, zeros, V, epsilon=0.0), np.full((4, 1), 3.0))
    running = [[1.0], [2.0], [4.0], [3.0]]
    np.testing.assert_allclose(causal_linear_attention(zeros, zeros, V, epsilon=0.0), running)


@pytest.mark.usefixtures("x64")
def test_elu_plus_one_by_hand():
    np.testing.assert_allclose(elu_plus_one(np.array([[-np.log(4.0), 0.0, 2.5]])), [[0.25, 1.0, 3.5]])


def test_epsilon_makes_nothing_of_nothing():
    """Pitfall 1: features that are all 0 are answered with 0."""
    rng = np.random.default_rng(3)
    Omega = -np.ones((2, 3), np.float32)
    Q = np.abs(draw(rng, 4, 2)).astype(np.float32)  # no projection of these is positive
    V = draw(rng, 4, 5).astype(np.float32)
    assert (linear_attention(Q, Q, V, relu(Omega)) == 0).all()
    assert (causal_linear_attention(Q, Q, V, relu(Omega)) == 0).all()


# Random features


@jax.jit
def kernel(phi, Q, K):
    """φ(q)·φ(k), pair by pair."""
    return (phi(Q) * phi(K)).sum(axis=1)


@pytest.mark.usefixtures("x64")
def test_favor_approximates_the_softmax_better_the_more_features():
    """2009.14794, lemma 1: the expectation of φ(q)·φ(k) is exp(t q·k)."""
    rng = np.random.default_rng(4)
    Q, K = draw(rng, 20, 8), draw(rng, 20, 8)
    Q, K = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (Q, K))
    expected = np.exp((Q * K).sum(axis=1) / np.sqrt(8))

    def error(m):
        phi = favor(random_directions(jax.random.key(5), 8, m))
        return np.abs(kernel(phi, Q, K) / expected - 1).mean()

    # The specification measured 1.4 % on average with 4,096 features; it falls with the root of their number.
    few, many = error(16), error(1024)
    assert many < 0.04
    assert many < few / 2


@pytest.mark.usefixtures("x64")
def test_linear_attention_with_favor_approaches_softmax_attention():
    rng = np.random.default_rng(6)
    Q, K, V = draw(rng, 5, 8) / 2, draw(rng, 9, 8) / 2, draw(rng, 9, 3)
    expected = jax.nn.softmax(Q @ K.T / np.sqrt(8)) @ V

    def error(m):
        phi = favor(random_directions(jax.random.key(7), 8, m))
        return float(np.abs(linear_attention(Q, K, V, phi) - expected).max())

    few, many = error(16), error(2048)
    assert many < 0.1  # of values of about 1
    assert many < few / 2


@pytest.mark.usefixtures("x64")
def test_fourier_features_approximate_a_gaussian():
    rng = np.random.default_rng(8)
    Q, K = draw(rng, 20, 8), draw(rng, 20, 8)
    phi = fourier(draw(rng, 8, 8192), smoothing=2.0, temperature=0.1)
    expected = np.exp(-0.1 * ((Q - K) ** 2).sum(axis=1) / 2) + 2.0
    # The standard deviation of a mean of 8192 cosines is at most 1/√8192 = 0.011; five of them.
    np.testing.assert_allclose(kernel(phi, Q, K), expected, atol=5 / np.sqrt(8192))


@pytest.mark.usefixtures("x64")
def test_directions_are_orthogonal_in_groups_and_as_long_as_normal_vectors():
    Omega = np.asarray(random_directions(jax.random.key(10), 16, 4000))
    lengths = np.linalg.norm(Omega, axis=0)
    products = (Omega[:, :16] / lengths[:16]).T @ (Omega[:, :16] / lengths[:16])
    np.testing.assert_allclose(products, np.eye(16), atol=1e-12)
    # The squared length has mean 16 and variance 32, an entry mean 0 and variance 1: five standard errors each.
    assert abs((lengths**2).mean() - 16) < 5 * np.sqrt(32 / 4000)
    assert abs(Omega.mean()) < 5 / np.sqrt(Omega.size)
    assert abs((Omega**2).mean() - 1) < 5 * np.sqrt(2 / Omega.size)


@pytest.mark.oracle
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chunk", [None, 4])
def test_gradients_are_those_of_pytorch(chunk):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(11)
    arrays = draw(rng, 2, 11, 5), draw(rng, 2, 11, 5), draw(rng, 2, 11, 3), draw(rng, 2, 11, 3)
    *qkv, weight = (torch.tensor(a, requires_grad=True) for a in arrays)
    Q, K, V = qkv
    A = (torch.nn.functional.elu(Q) + 1) @ (torch.nn.functional.elu(K) + 1).mT
    A = torch.tril(A)
    Y = A @ V / (A.sum(-1, keepdim=True) + EPSILON)
    (Y * weight).sum().backward()

    def total(Q, K, V):
        return (causal_linear_attention(Q, K, V, chunk=chunk) * arrays[3]).sum()

    found = jax.grad(total, argnums=(0, 1, 2))(*(jnp.asarray(a) for a in arrays[:3]))
    for ours, theirs in zip(found, qkv, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_a_state_is_the_sum_that_it_says():
    rng = np.random.default_rng(12)
    Q, K, V = draw(rng, 9, 5), draw(rng, 9, 5), draw(rng, 9, 3)
    _, state = continue_linear_attention(Q, K, V, empty_state((), 5, 3, jnp.float64), chunk=4)
    K_prime = elu_plus_one_by_numpy(K)
    np.testing.assert_allclose(state.S, sum(np.outer(k, v) for k, v in zip(K_prime, V, strict=True)))
    np.testing.assert_allclose(state.z, K_prime.sum(axis=0))
