"""The ∞-former against computations of other hands: numerical integrals, ridge regression as least squares, loops."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from formal_tx import DTransformerHyperparameters, mh_attention
from formal_tx.long_context.infinite_decoder import Memory, infinite_attend, init_infinite_decoder, sticky_numbers
from formal_tx.long_context.infinite_memory import (
    Density,
    MemoryHyperparameters,
    MemoryParameters,
    basis,
    basis_regression,
    continuous_attention,
    memory_update,
    sticky_points,
)

HP = MemoryHyperparameters(N=12, widths=(0.05, 0.1), ridge=0.3, tau=0.6, M=8, D=10, v_min=1e-4)
CENTRES = np.linspace(0, 1, 6)


def functions(t):
    """ψ(t) by SciPy's normal density."""
    return np.array([stats.norm.pdf(t, mu, sigma) for mu in CENTRES for sigma in (0.05, 0.1)])


def ridge(t, Y):
    """argmin |F'B - Y|² + λ|B|², as least squares with √λ I below the rows."""
    F = np.array([functions(s) for s in t])
    above, below = np.concatenate([F, np.sqrt(HP.ridge) * np.eye(12)]), np.concatenate([Y, np.zeros((12, Y.shape[1]))])
    return np.linalg.lstsq(above, below, rcond=None)[0]


def test_basis_functions_are_normal_densities(x64):
    t = np.linspace(-0.2, 1.3, 7)
    np.testing.assert_allclose(basis(jax.numpy.asarray(t), HP), [functions(s) for s in t], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("L", [1, 4, 7])
def test_a_fit_is_least_squares(L, x64):
    X = np.random.default_rng(L).normal(size=(L, 3))
    cells = np.arange(-(L // 2), L + L // 2)
    Y = np.array([X[i] if 0 <= i < L else np.zeros(3) for i in cells])
    np.testing.assert_allclose(basis_regression(X, HP), ridge((cells + 0.5) / L, Y), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("L", [1, 4, 7])
def test_an_update_is_least_squares(L, x64):
    rng = np.random.default_rng(L)
    B, X, u = rng.normal(size=(12, 3)) / 12, rng.normal(size=(L, 3)), np.sort(rng.uniform(size=8))
    t, Y = [], []
    for m in range(8):
        t.append(0.6 * (m + 1) / 8)
        Y.append(functions(u[m]) @ B)
    for i in range(L):
        t.append(0.6 + 0.4 * (i + 1) / L)
        Y.append(X[i])
    n = 8 + L
    for i in range(n // 2):
        t += [-(i + 0.5) / n, 1 + (i + 0.5) / n]
        Y += [np.zeros(3), np.zeros(3)]
    np.testing.assert_allclose(memory_update(B, X, HP, u), ridge(t, np.array(Y)), rtol=1e-9, atol=1e-9)


def test_a_read_is_an_integral(x64):
    """E[x(t)] for t ~ N(m, v), for each head and query, by quadrature."""
    rng = np.random.default_rng(0)
    B, m, v = rng.normal(size=(12, 3)), rng.uniform(size=(2, 4)), rng.uniform(0.02, 0.3, (2, 4)) ** 2
    U = MemoryParameters(np.ones((2, 3, 3)), rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 10)), *np.ones((2, 12)))
    Z = np.zeros((4, 3))
    for q in range(4):
        heads = []
        for h in range(2):
            spread = np.sqrt(v[h, q])
            t = np.linspace(m[h, q] - 9 * spread - 1, m[h, q] + 9 * spread + 1, 20_001)
            weighted = stats.norm.pdf(t, m[h, q], spread)[:, None] * (functions(t).T @ B)
            heads.append(U.W_v[h] @ integrate.simpson(weighted, x=t, axis=0))
        Z[q] = U.W_o @ np.concatenate(heads)
    # Simpson's rule at steps of 1e-4 and widths of at least 0.02 is exact to rounding.
    np.testing.assert_allclose(continuous_attention(B, Density(m, v), U, HP), Z, rtol=1e-9, atol=1e-9)


def test_sticky_points_have_the_distribution_of_the_densities(x64):
    """How often each bin is drawn, against the mixture of the densities within [0, 1], by SciPy."""
    rng = np.random.default_rng(1)
    m, v = rng.uniform(size=(2, 3)), rng.uniform(0.05, 0.2, (2, 3)) ** 2
    hp = MemoryHyperparameters(N=2, widths=(0.1,), M=50_000, D=10)
    u = sticky_points(Density(m, v), rng.uniform(size=hp.M), hp)
    edges = np.linspace(0, 1, 11)
    p = np.diff(stats.norm.cdf(edges[:, None, None], m, np.sqrt(v)), axis=0).sum(axis=(1, 2))
    counts = np.bincount(np.round(10 * np.asarray(u)).astype(int), minlength=10)
    assert stats.chisquare(counts, hp.M * p / p.sum()).pvalue > 1e-3


def test_a_layer_over_segments_is_a_loop(x64):
    """`infinite_attend` step by step: scores and densities entry by entry, the fits by least squares."""
    decoder = DTransformerHyperparameters(l_max=5, L=1, H=2, d_e=6, d_mlp=7, N_V=5)
    params = jax.tree.map(
        lambda W: W[0].astype(float),
        (init := init_infinite_decoder(jax.random.key(0), decoder, HP)).memory,
    )
    W = jax.tree.map(lambda W: W[0].astype(float), init.decoder.layers.attention)
    segments = np.random.default_rng(2).normal(size=(4, 5, 6))
    start = Density(*(jax.numpy.ones((2, 5)) for _ in range(2)))
    memory = Memory(jax.numpy.zeros((12, 6)), start, jax.numpy.zeros((), int), jax.random.key(3))
    B, key = None, jax.random.key(3)
    step = jax.jit(lambda X, memory: infinite_attend(HP)(X, W, (params, memory), None))
    for X in segments:
        found, memory = step(X, memory)
        expected = np.array(mh_attention(X, X, W, lambda t_x, t_z: t_z <= t_x))
        key, of_this = jax.random.split(key)
        if B is None:
            cells = np.arange(-2, 7)
            B = ridge((cells + 0.5) / 5, np.array([X[i] if 0 <= i < 5 else np.zeros(6) for i in cells]))
        else:
            m, v = np.zeros((2, 5)), np.zeros((2, 5))
            for h in range(2):
                for q in range(5):
                    s = (B @ params.W_k[h].T) @ (W.heads.W_q[h] @ X[q] + W.heads.b_q[h]) / np.sqrt(3)
                    m[h, q] = 1 / (1 + np.exp(-s @ params.a_m))
                    v[h, q] = max(np.log1p(np.exp(s @ params.a_v)), 1e-4)
            expected += np.array(continuous_attention(B, Density(m, v), params, HP))
            u = np.array(sticky_points(Density(m, v), sticky_numbers(of_this, HP, float), HP))
            t = [*0.6 * np.arange(1, 9) / 8, *(0.6 + 0.4 * np.arange(1, 6) / 5)]
            Y = [*(functions(s) @ B for s in u), *X]
            for i in range(6):
                t, Y = [*t, -(i + 0.5) / 13, 1 + (i + 0.5) / 13], [*Y, np.zeros(6), np.zeros(6)]
            B = ridge(t, np.array(Y))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(memory.B, B, rtol=1e-9, atol=1e-9)
    assert memory.segments == 4
