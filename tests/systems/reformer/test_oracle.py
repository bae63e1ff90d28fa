"""LSH attention token by token, in loops that share nothing with either edition; and cases worked by hand."""

import math

import numpy as np
import pytest

from formal_tx import masks
from formal_tx.long_context.reformer import ReformerHyperparameters, lsh_attention


def bucket_of(q, R):
    """The bucket of a query: which of the directions r_1, …, -r_1, … is nearest; the first of several."""
    projections = [sum(a * b for a, b in zip(q, column, strict=True)) for column in R.T]
    best, found = -math.inf, 0
    for i, p in enumerate([*projections, *(-p for p in projections)]):
        if p > best:
            best, found = p, i
    return found


def neighbours(Q, R, hp, causal):
    """For each token the tokens that it meets in a round, itself among them."""
    buckets = [bucket_of(q, R) for q in Q]
    listed = sorted(range(len(Q)), key=lambda t: (buckets[t], t))
    chunks = [listed[i : i + hp.chunk] for i in range(0, len(Q), hp.chunk)]
    met = {}
    for i, chunk in enumerate(chunks):
        for t in chunk:
            near = [*(chunks[i - 1] if i else []), *chunk]
            met[t] = [
                u
                for u in near
                if u == t or ((not hp.same_bucket or buckets[u] == buckets[t]) and (not causal or u < t))
            ]
    return met


def attend(Q, V, Rs, hp, causal):
    """Each token's answer, from sums over sets of tokens."""
    rounds = [neighbours(Q, R, hp, causal) for R in Rs]
    Y = np.zeros(V.shape)
    for t in range(len(Q)):
        numerators, sums, answers = [], [], []
        for met in (r[t] for r in rounds):
            total, answer = 0.0, np.zeros(V.shape[1])
            alone = len(met) == 1
            for u in met:
                if u == t and hp.discourage_self and not alone:
                    continue
                weight = math.exp(Q[t] @ Q[u] / np.linalg.norm(Q[u]) / math.sqrt(Q.shape[1]))
                if hp.by_normaliser and u != t:
                    weight /= sum(u in other[t] for other in rounds)
                total, answer = total + weight, answer + weight * V[u]
            answers.append(answer / total)
            sums.append(total)
            numerators.append(0.0 if alone and hp.discourage_self else total)
        if not hp.by_normaliser:
            Y[t] = np.mean(answers, axis=0)
            continue
        # A round in which nobody else is met counts only if that is so in all rounds.
        weights = numerators if any(numerators) else sums
        Y[t] = sum(w * a for w, a in zip(weights, answers, strict=True)) / sum(weights)
    return Y


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "hp",
    [
        ReformerHyperparameters(chunk=4, buckets=6, rounds=3),
        ReformerHyperparameters(chunk=5, buckets=2, rounds=2, discourage_self=False),
        ReformerHyperparameters(chunk=3, buckets=4, rounds=2, by_normaliser=False),
        ReformerHyperparameters(
            chunk=4, buckets=8, rounds=2, same_bucket=False, by_normaliser=False, discourage_self=False
        ),
    ],
    ids=["paper", "self allowed", "averaged", "package"],
)
def test_it_is_a_loop_over_tokens(hp, causal, x64):
    rng = np.random.default_rng(0)
    Q, V, R = (rng.normal(size=s) for s in ((19, 4), (19, 3), (hp.rounds, 4, hp.buckets // 2)))
    found = lsh_attention(Q, V, R, hp, masks.causal if causal else masks.full)
    np.testing.assert_allclose(found, attend(Q, V, R, hp, causal), rtol=1e-11, atol=1e-12)


def test_a_window_may_be_combined(x64):
    """Sees what a window and the buckets let it see both."""
    rng = np.random.default_rng(1)
    Q, V, R = (rng.normal(size=s) for s in ((11, 4), (11, 3), (1, 4, 1)))
    hp = ReformerHyperparameters(chunk=11, buckets=2, rounds=1)
    found = lsh_attention(Q, V, R, hp, masks.causal & masks.window(3))
    met = neighbours(Q, R[0], hp, causal=True)
    for t in range(11):
        seen = [u for u in met[t] if t - 3 < u < t] or [t]
        weights = np.array([math.exp(Q[t] @ Q[u] / np.linalg.norm(Q[u]) / 2) for u in seen])
        np.testing.assert_allclose(found[t], weights @ V[seen] / weights.sum(), rtol=1e-11, atol=1e-12)


def test_by_hand(x64):
    """Two pairs of opposite queries of length 2 along the axes, R the identity: four buckets of one or two tokens.

    Tokens 0 and 2 are (2, 0), 1 is (0, 2), 3 is (-2, 0). Of 0 and 2 each sees the other alone, the rest themselves.
    """
    Q = np.array([[2.0, 0], [0, 2], [2, 0], [-2, 0]])
    V = np.array([[1.0], [2], [4], [8]])
    hp = ReformerHyperparameters(chunk=4, buckets=4, rounds=1)
    np.testing.assert_allclose(lsh_attention(Q, V, np.eye(2)[None], hp)[:, 0], [4, 2, 1, 8], rtol=1e-12)
    with_self = ReformerHyperparameters(chunk=4, buckets=4, rounds=1, discourage_self=False)
    np.testing.assert_allclose(lsh_attention(Q, V, np.eye(2)[None], with_self)[:, 0], [2.5, 2, 2.5, 8], rtol=1e-12)
