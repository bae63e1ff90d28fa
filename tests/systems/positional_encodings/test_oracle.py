"""The encodings against what another hand wrote: loops, complex numbers, tables from the papers, PyTorch."""

from bisect import bisect_right
from cmath import exp as cexp
from math import cos, erf, sin, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks
from formal_tx.attending import Attending
from formal_tx.attention import mh_attention
from formal_tx.embedding import positional_embedding
from formal_tx.parameters import AttentionParameters, MHAttentionParameters
from formal_tx.positional import (
    Alibi,
    RelativeBuckets,
    Rotary,
    interleaved_sinusoids,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.positional.alibi import slopes
from formal_tx.positional.learnable_sinusoids import LearnableSinusoidsParameters, learnable_sinusoids
from formal_tx.positional.no_positions import count_from_start, fit_probe, read_positions

from .encodings import close, normal


@pytest.mark.parametrize("d_e", [2, 8, 14])
def test_tables_by_loops(d_e):
    for t in range(9):
        for i in range(d_e // 2):
            angle = t / 10000 ** (2 * i / d_e)
            close(interleaved_sinusoids(9, d_e)[t, 2 * i : 2 * i + 2], [sin(angle), cos(angle)])
            close(sinusoid_halves(9, d_e)[t, [i, d_e // 2 + i]], [sin(angle), cos(angle)])
            slowed = t / 10000 ** (i / (d_e // 2 - 1)) if d_e > 2 else t
            close(whisper_sinusoids(9, d_e)[t, [i, d_e // 2 + i]], [sin(slowed), cos(slowed)])


def test_learned_positions_by_a_product_with_indicators():
    t, W_p = np.array([[3, 0], [7, 3]]), np.asarray(normal(0, 8, 5))
    close(positional_embedding(t, W_p), np.eye(8)[t] @ W_p)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_learnable_sinusoids_by_loops(residual, learned):
    d_e, d_ff = 6, 5
    W_1, b_1, W_2, b_2 = (np.asarray(normal(i, *s)) for i, s in enumerate(((d_ff, d_e), (d_ff,), (d_e, d_ff), (d_e,))))
    omega = np.array([1.5, 0.3, 0.01]) if learned else np.array([100.0 ** (-2 * i / d_e) for i in range(3)])
    params = LearnableSinusoidsParameters(W_1, b_1, W_2, b_2, omega if learned else None)
    found = learnable_sinusoids([0, 4, 99], params, residual=residual, base=100.0)
    for row, t in zip(found, (0, 4, 99), strict=True):
        S = [f(w * t) for w in omega for f in (sin, cos)]
        hidden = [sum(W_1[j, i] * S[i] for i in range(d_e)) + b_1[j] for j in range(d_ff)]
        hidden = [x / 2 * (1 + erf(x / sqrt(2))) for x in hidden]
        P = [sum(W_2[i, j] * hidden[j] for j in range(d_ff)) + b_2[i] + residual * S[i] for i in range(d_e)]
        close(row, P)


@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("size", [None, 4])
def test_rotary_by_complex_numbers(neighbours, size):
    X, t = np.asarray(normal(0, 5, 8)), [0, 3, 3, 700, 1]
    turned = np.asarray(Rotary(base=500.0, size=size, neighbours=neighbours)(jnp.asarray(X), jnp.asarray(t)))
    r = size or 8
    for x, y, position in zip(X, turned, t, strict=True):
        for i in range(r // 2):
            a, b = (2 * i, 2 * i + 1) if neighbours else (i, i + r // 2)
            z = complex(x[a], x[b]) * cexp(1j * position * 500.0 ** (-2 * i / r))
            close([y[a], y[b]], [z.real, z.imag])
        np.testing.assert_array_equal(y[r:], x[r:])


def test_the_slopes_of_the_paper():
    """Section 3 of 2108.12409 for 8 and 16 heads; 12 by the code that its authors released."""
    close(slopes(8), [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256])
    close(slopes(16)[:3], [1 / sqrt(2), 1 / 2, 1 / (2 * sqrt(2))])
    close(slopes(12)[8:], [0.7071067811865476, 0.35355339059327373, 0.17677669529663687, 0.08838834764831843])


def test_attention_with_alibi_by_loops():
    """One query after the other, one head after the other, with the penalty as the paper prints it."""
    H, l, d = 3, 6, 4
    heads = [np.asarray(normal(i, H, d, 5)) for i in range(3)]
    W_q, W_k, W_v = heads
    params = MHAttentionParameters(AttentionParameters(W_q, None, W_k, None, W_v, None), np.eye(H * d), np.zeros(H * d))
    X = np.asarray(normal(9, l, 5))
    found = mh_attention(X, X, params, masks.causal, Attending(score=Alibi()))
    for h, m in enumerate(slopes(H)):
        for i in range(l):
            scores = [(W_q[h] @ X[i]) @ (W_k[h] @ X[j]) / sqrt(d) - m * (i - j) for j in range(i + 1)]
            weights = np.exp(scores) / np.exp(scores).sum()
            close(found[i, h * d : (h + 1) * d], sum(w * (W_v[h] @ X[j]) for j, w in enumerate(weights)))


TWO_WAYS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
ONE_WAY = [*range(16), 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
"""The first distance of each bucket, of 32 buckets and 128."""


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_by_a_list_of_where_they_begin(bidirectional):
    distances = range(-300, 301)
    found = RelativeBuckets(bidirectional=bidirectional).bucket(jnp.asarray([*distances]))
    for distance, bucket in zip(distances, found.tolist(), strict=True):
        if bidirectional:
            assert bucket == 16 * (distance > 0) + bisect_right(TWO_WAYS, abs(distance)) - 1
        else:
            assert bucket == bisect_right(ONE_WAY, max(-distance, 0)) - 1


def test_counting_by_a_running_mean():
    X = np.asarray(normal(0, 9, 4)).copy()
    X[:, 0] = np.arange(9) == 0
    running = [X[: t + 1, 0].mean() for t in range(9)]
    close(count_from_start(X, np.eye(4)[0]), [1 / mean - 1 for mean in running])


def test_a_probe_by_least_squares():
    """Ridge regression is least squares with rows √(n penalty) e_i more, whose targets are 0."""
    n, d_f, penalty = 40, 7, 0.3
    X, t = np.asarray(normal(0, n, 5)), np.random.default_rng(1).integers(0, 64, n)
    R, c = np.asarray(normal(2, d_f, 5)), np.asarray(normal(3, d_f))
    W = fit_probe(X, t, R, c, penalty=penalty)
    Phi = np.maximum(X @ R.T + c, 0)
    rows = np.block([[Phi, np.ones((n, 1))], [sqrt(n * penalty) * np.eye(d_f), np.zeros((d_f, 1))]])
    expected, *_ = np.linalg.lstsq(rows, np.concatenate([t, np.zeros(d_f)]), rcond=None)
    close(W.w, expected[:-1])
    close(W.b, expected[-1])
    close(read_positions(X, W), Phi @ expected[:-1] + expected[-1])


# PyTorch


@pytest.mark.oracle
@pytest.mark.parametrize("residual", [False, True])
def test_learnable_sinusoids_and_their_gradients_against_pytorch(residual):
    torch = pytest.importorskip("torch")
    d_e, d_ff, l = 6, 5, 11
    layers = torch.nn.Sequential(torch.nn.Linear(d_e, d_ff), torch.nn.GELU(), torch.nn.Linear(d_ff, d_e)).double()
    omega = torch.tensor([1.5, 0.3, 0.01], dtype=torch.float64, requires_grad=True)
    angle = torch.arange(l)[:, None] * omega
    S = torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(l, d_e)
    theirs = layers(S) + residual * S
    G = np.asarray(normal(0, l, d_e))
    theirs.backward(torch.from_numpy(G.copy()))

    def numpy(of):
        return of.detach().numpy().copy()

    first, second = layers[0], layers[2]
    weights = [numpy(of) for of in (first.weight, first.bias, second.weight, second.bias, omega)]
    run = lambda W: learnable_sinusoids(jnp.arange(l), W, residual=residual)  # noqa: E731
    ours, pull = jax.vjp(run, LearnableSinusoidsParameters(*map(jnp.asarray, weights)))
    close(ours, numpy(theirs))
    (gradient,) = pull(jnp.asarray(G))
    expected = [of.grad for of in (first.weight, first.bias, second.weight, second.bias, omega)]
    for found, of in zip(jax.tree.leaves(gradient), expected, strict=True):
        close(found, numpy(of))
