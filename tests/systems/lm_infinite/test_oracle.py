"""LM-Infinite's attention against loops over pairs of tokens, and a case by hand."""

from math import cos, log, sin, sqrt

import numpy as np
import pytest

from formal_tx.attending import Attending
from formal_tx.implementation import attend_with
from formal_tx.long_context.lm_infinite import lambda_attention
from formal_tx.positional import Alibi, RelativeBuckets, Rotary
from formal_tx.scores import InTurn, SoftCap

BASE = 50.0
W = 5
ROTATING = Attending(rotate=Rotary(BASE))
ATOL = 1e-12
"""Sums of some hundred numbers near 1 in float64."""


def turned(x, angle_of):
    """Halves are paired: features i and i + r/2 turn by angle_of(i)."""
    x, half = x.copy(), len(x) // 2
    for i in range(half):
        a, b, angle = x[i], x[i + half], angle_of(i)
        x[i], x[i + half] = a * cos(angle) - b * sin(angle), a * sin(angle) + b * cos(angle)
    return x


def by_pairs(Q, K, V, first, window, ceiling, change=lambda s, h, distance: s):
    """Q (H, ℓ, d), K (H_kv, ℓ, d), V (H_kv, ℓ, ·): a query with each key that it sees, at their distance."""
    H, l, d = Q.shape
    Y = np.zeros((H, l, V.shape[-1]))
    for h in range(H):
        g = h * len(K) // H
        for i in range(l):
            seen = [j for j in range(i + 1) if j < first or i - j < window]
            scores = []
            for j in seen:
                distance = min(i - j, ceiling)
                q = turned(Q[h, i], lambda pair, distance=distance: distance * BASE ** (-2 * pair / d))
                scores.append(change(q @ K[g, j] / sqrt(d), h, distance))
            weights = np.exp(np.array(scores) - max(scores))
            Y[h, i] = weights @ V[g, seen] / weights.sum()
    return Y


def heads(l, H=1, H_kv=1, d=6, d_mid=3):
    rng = np.random.default_rng(l)
    return rng.standard_normal((H, l, d)), rng.standard_normal((H_kv, l, d)), rng.standard_normal((H_kv, l, d_mid))


def test_a_case_by_hand(x64):
    """q = k = (1, 0) and one pair that turns by 1 a token: S = cos(min(δ, c)) / √2."""
    l, c = 4, 2
    one = np.tile([1.0, 0.0], (l, 1))
    found = lambda_attention(one, one, np.eye(l), first=1, window=2, ceiling=c, attending=ROTATING)
    far, near, here = (np.exp(cos(distance) / sqrt(2)) for distance in (2, 1, 0))
    expected = [
        [1, 0, 0, 0],
        np.array([near, here, 0, 0]) / (near + here),
        np.array([far, near, here, 0]) / (far + near + here),
        np.array([far, 0, near, here]) / (far + near + here),  # the first token is 3 away
    ]
    np.testing.assert_allclose(found, expected, atol=ATOL)


@pytest.mark.parametrize("l", [1, W - 1, W, W + 1, 2 * W, 2 * W + 3])
@pytest.mark.parametrize("first", [0, 1, W])
def test_every_pair_alone(l, first, x64):
    Q, K, V = heads(l)
    found = lambda_attention(Q, K, V, first=first, window=W, ceiling=W, attending=ROTATING)
    np.testing.assert_allclose(found, by_pairs(Q, K, V, first, W, W), atol=ATOL)


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
@pytest.mark.parametrize(("window", "ceiling"), [(5, 0), (5, 3), (5, 4), (5, 9), (70, 70)])
def test_any_ceiling_at_once_and_by_blocks(implementation, window, ceiling, x64):
    """139 tokens are three blocks, of 64 or of 70, the last of them not full."""
    Q, K, V = heads(139)
    with attend_with(implementation):
        found = lambda_attention(Q, K, V, first=3, window=window, ceiling=ceiling, attending=ROTATING)
    np.testing.assert_allclose(found, by_pairs(Q, K, V, 3, window, ceiling), atol=ATOL)


def alibi(s, h, distance):
    return s - 2.0 ** (-2 * (h + 1)) * distance


def buckets(W_r):
    """T5's for decoders: of 8 buckets 4 are exact, the others go up to 16 tokens in equal steps of the logarithm."""

    def change(s, h, distance):
        far = 4 + int(log(max(distance, 1) / 4) / log(16 / 4) * 4)
        return s + W_r[distance if distance < 4 else min(far, 7), h]

    return change


def capped(s, h, distance):
    return 2 * np.tanh(alibi(s, h, distance) / 2)


W_R = np.random.default_rng(5).standard_normal((8, 4))
SCORES = {
    "alibi": (Alibi(), None, alibi),
    "t5": (RelativeBuckets(8, 16, bidirectional=False), W_R, buckets(W_R)),
    "cap": (InTurn((Alibi(), SoftCap(2.0))), None, capped),
}


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
@pytest.mark.parametrize("name", SCORES)
def test_grouped_heads_with_scores_of_distances(implementation, name, x64):
    score, table, change = SCORES[name]
    Q, K, V = heads(67, H=4, H_kv=2)
    attending = Attending(rotate=Rotary(BASE), score=score)
    with attend_with(implementation):
        found = lambda_attention(Q, K, V, first=2, window=7, ceiling=11, attending=attending, W_r=table)
    np.testing.assert_allclose(found, by_pairs(Q, K, V, 2, 7, 11, change), atol=ATOL)
