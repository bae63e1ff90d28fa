"""Transformer-XL beside other computations: loops over pairs, the addition theorem, the masks of the released code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks
from formal_tx.attend import attend
from formal_tx.attending import Attending
from formal_tx.attention import join_heads
from formal_tx.initialization import init_mh_attention
from formal_tx.linear import affine
from formal_tx.long_context.relative_attention import (
    relative_attention,
    relative_positions,
    remembered,
)

from .test_properties import close, normal, one_head_set


def by_loops(X, M, params, u, v, W_r, clamp_len=np.inf, window=np.inf):
    """The paper's four terms, one pair of tokens after the other, each distance with a sinusoid of its own."""
    W, (q, d), m = params.heads, X.shape, len(M)
    C = np.concatenate([M, X])
    answers = []
    for i in range(q):
        heads = []
        for h in range(len(W.W_q)):
            query, scores, seen = W.W_q[h] @ X[i] + W.b_q[h], [], []
            for j in range(m + q):
                distance = i + m - j
                if not 0 <= distance < window:
                    continue
                angles = min(distance, clamp_len) / 10000 ** (np.arange(d // 2) / (d // 2))
                position = W_r[h] @ np.concatenate([np.sin(angles), np.cos(angles)])
                key = W.W_k[h] @ C[j] + W.b_k[h]
                scores.append(query @ key + query @ position + u[h] @ key + v[h] @ position)
                seen.append(W.W_v[h] @ C[j] + W.b_v[h])
            weights = np.exp(np.array(scores) / np.sqrt(len(query)))
            heads.append(weights @ np.array(seen) / weights.sum())
        answers.append(params.W_o @ np.concatenate(heads) + params.b_o)
    return np.array(answers)


@pytest.mark.parametrize(
    ("q", "m", "limits"),
    [(5, 8, {}), (5, 0, {}), (6, 2, {"clamp_len": 3}), (4, 9, {"window": 5})],
)
def test_it_is_the_double_loop(x64, q, m, limits):
    X, M = normal(0, q, 6), normal(1, m, 6)
    params, *bias = one_head_set()
    numbers = [np.asarray(a) for a in (X, M, *bias)]
    expected = by_loops(*numbers[:2], params, *numbers[2:], **limits)
    close(relative_attention(X, M, params, *bias, **limits), expected)


def test_the_addition_theorem_makes_it_ordinary_attention(x64):
    """sin and cos of i - j are products of those of i and of j: wider queries and keys, and no scores of positions.

    (Q_i + v) · W_r R_(i-j) is a turned W_r^T (Q_i + v) times [sin, cos] of j.
    """
    q, m, d = 7, 11, 6
    X, M = normal(0, q, d), normal(1, m, d)
    params, u, v, W_r = one_head_set()
    C = jnp.concatenate([M, X])
    Q, K, V = (affine(A, W) for A, W in ((X, params.heads.W_q), (C, params.heads.W_k), (C, params.heads.W_v)))

    def sin_cos(t):
        angle = t[:, None] * 10000.0 ** (-jnp.arange(d // 2) / (d // 2))[None, :]
        return jnp.sin(angle), jnp.cos(angle)

    sin, cos = (part[None] for part in sin_cos(jnp.arange(m, m + q, dtype=float)))
    a, b = jnp.split((Q + v[:, None]) @ W_r, 2, axis=-1)  # a sin(i - j) + b cos(i - j)
    turned = jnp.concatenate([b * sin - a * cos, a * sin + b * cos], axis=-1)
    places = jnp.concatenate(sin_cos(jnp.arange(m + q, dtype=float)), axis=-1)
    keys = jnp.concatenate([K, jnp.broadcast_to(places, (len(K), *places.shape))], axis=-1)
    queries = jnp.concatenate([Q + u[:, None], turned], axis=-1)
    Y_h = attend(queries, keys, V, remembered(m), Attending(scale=Q.shape[-1] ** -0.5), heads=1)
    close(relative_attention(X, M, params, u, v, W_r), join_heads(Y_h, params))


def test_heads_may_share_keys_and_values(x64):
    X, M = normal(0, 5, 6), normal(1, 4, 6)
    params, *bias = one_head_set(H=4)
    shared = {name: getattr(params.heads, name)[:2] for name in ("W_k", "b_k", "W_v", "b_v")}
    grouped = params.replace(heads=params.heads.replace(**shared))
    repeated = {name: jnp.repeat(A, 2, axis=0) for name, A in shared.items()}
    expected = relative_attention(X, M, params.replace(heads=params.heads.replace(**repeated)), *bias)
    close(relative_attention(X, M, grouped, *bias), expected)


@pytest.mark.parametrize(("q", "m", "mem_len"), [(4, 6, 6), (4, 2, 6), (4, 0, 6), (6, 3, 3), (2, 7, 7), (5, 0, 3)])
def test_same_length_sees_what_it_does_in_the_released_code(q, m, mem_len):
    """`mem_transformer.py` hides triu(ones, 1 + m), and with same_length also tril(ones, -shift)."""
    k = m + q
    shift = q - (k - mem_len) if k > mem_len else q
    hidden = np.triu(np.ones((q, k)), 1 + m) + np.tril(np.ones((q, k)), -shift)
    np.testing.assert_array_equal(masks.dense(remembered(m, window=mem_len), q, k), hidden == 0)


def test_positions_are_those_of_the_released_code():
    """`PositionalEmbedding`: [sin, cos] of the outer product of distances, from the largest on, and frequencies."""
    d, k, clamp_len = 8, 7, 4
    pos_seq = np.minimum(np.arange(k - 1, -1, -1.0), clamp_len)
    inv_freq = 1 / (10000 ** (np.arange(0.0, d, 2.0) / d))
    angle = np.outer(pos_seq, inv_freq)
    np.testing.assert_allclose(
        relative_positions(d, k, clamp_len), np.concatenate([np.sin(angle), np.cos(angle)], axis=-1), rtol=1e-14
    )


def test_a_case_by_hand(x64):
    """One head, d = 2, Q = K = 0: scores are u · 0 + v · W_r R. With W_r = 1 and v = (0, √2 log 2 / c) a distance of 0
    has the weight 2^(1/c), one of 1 has 2^(cos 1 / c).
    """
    params = init_mh_attention(jax.random.key(0), d_x=2, d_z=2, d_attn=2, d_mid=2, d_out=2, H=1)
    eye, zero = jnp.eye(2)[None], jnp.zeros((1, 2, 2))
    params = params.replace(heads=params.heads.replace(W_q=zero, W_k=zero, W_v=eye), W_o=jnp.eye(2))
    v = jnp.array([[0.0, 2**0.5 * np.log(2)]])
    X, M = jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 0.0]])
    found = relative_attention(X, M, params, jnp.zeros((1, 2)), v, eye)
    near, far = 2.0, 2 ** np.cos(1)
    close(found, [[far / (near + far), near / (near + far)]])
