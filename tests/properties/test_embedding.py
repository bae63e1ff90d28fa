"""Algorithms 1, 2 and 7, and eq. (2), which makes probabilities: their properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import formal_tx

from .strategies import close, few, normal, permutation, seeds, some, tokens

N_V, L_MAX, D_E = 13, 7, 6


# Algorithms 1 and 2


@some
@given(seed=seeds)
def test_embeddings_are_products_with_a_one_hot_vector(edition, seed):
    """P1.1, P2.1: tok(v) = W_e onehot(v) and pos(t) = W_p onehot(t), exactly."""
    W_e, W_p, v, t = normal(seed, N_V, D_E), normal(seed, L_MAX, D_E), tokens(seed, 5), tokens(seed, 5, N_V=L_MAX)
    np.testing.assert_array_equal(edition.token_embedding(v, W_e), np.eye(N_V)[v] @ W_e)
    np.testing.assert_array_equal(edition.positional_embedding(t, W_p), np.eye(L_MAX)[t] @ W_p)


@pytest.mark.parametrize(
    ("f", "rows"), [(formal_tx.token_embedding, N_V), (formal_tx.positional_embedding, L_MAX)], ids=["tok", "pos"]
)
def test_embeddings_move_only_the_rows_they_read(f, rows):
    """P1.2, P2.1: the gradient with respect to the table is zero outside the rows that were looked up."""
    gradient = jax.jit(jax.grad(lambda table, v: jnp.sum(jnp.sin(f(v, table)))))

    @few
    @given(seed=seeds)
    def check(seed):
        table, v = normal(seed, rows, D_E), tokens(seed, 3, N_V=rows)
        g = np.asarray(gradient(table, v))
        read = np.isin(np.arange(rows), v)
        assert (g[~read] == 0).all()
        close(g[v[0]], np.cos(table[v[0]]) * np.sum(v == v[0]))

    check()


@pytest.mark.parametrize(("l_max", "d_e"), [(7, 6), (50, 4)])
def test_sinusoidal_positions(edition, l_max, d_e):
    """P2.2, P2.3, P2.4: pairs on the unit circle, a shift is a rotation, the slowest pair has argument t / l_max."""
    W_p = edition.sinusoidal_positions(l_max, d_e)
    sine, cosine = W_p[:, 0::2], W_p[:, 1::2]
    close(sine**2 + cosine**2, np.ones((l_max, d_e // 2)))
    close(np.sum(W_p**2, axis=1), np.full(l_max, d_e / 2))
    t = np.arange(1, l_max + 1)
    close(sine[:, -1], np.sin(t / l_max))
    close(cosine[:, -1], np.cos(t / l_max))
    for s in range(1, l_max):
        a = s / l_max ** (2 * np.arange(1, d_e // 2 + 1) / d_e)
        close(sine[s:], np.cos(a) * sine[:-s] + np.sin(a) * cosine[:-s])
        close(cosine[s:], -np.sin(a) * sine[:-s] + np.cos(a) * cosine[:-s])


# Eq. (2)


@some
@given(seed=seeds)
def test_softmax(edition, seed):
    """PS.1, PS.2, PS.3: a distribution for each token, blind to a shift, indifferent to the order of things."""
    A, shift, rows, entries = 10 * normal(seed, 5, 7), normal(seed, 5, 1), permutation(seed, 5), permutation(seed, 7)
    P = edition.softmax(A)
    assert (P >= 0).all()
    close(P.sum(axis=-1), np.ones(5))
    close(edition.softmax(A + shift), P)
    close(edition.softmax(A[rows]), P[rows])
    close(edition.softmax(A[:, entries]), P[:, entries])


@some
@given(seed=seeds)
def test_softmax_of_minus_infinity_is_zero(edition, seed):
    """PS.4: entries equal to -inf give exactly 0 if there is a finite one beside them."""
    drop = np.random.default_rng(seed).random((5, 7)) < 0.6
    drop[:, seed % 7] = False
    P = edition.softmax(np.where(drop, -np.inf, normal(seed, 5, 7)))
    assert (P[drop] == 0).all()
    assert (P[~drop] > 0).all()
    close(P.sum(axis=-1), np.ones(5))


# Algorithm 7


@some
@given(seed=seeds)
def test_unembedding(edition, seed):
    """P7.1, P7.2, P7.3, P7.4: a distribution, blind to a row added to all rows, uniform for 0, and equivariant."""
    e, W_u, c, order = normal(seed, 5, D_E), normal(seed + 1, N_V, D_E), normal(seed, 1, D_E), permutation(seed, N_V)
    p = edition.unembedding(e, W_u)
    assert (p > 0).all()
    close(p.sum(axis=-1), np.ones(5))
    close(edition.unembedding(e, W_u + c), p)
    close(edition.unembedding(e, np.zeros((N_V, D_E))), np.full((5, N_V), 1 / N_V))
    close(edition.unembedding(e, W_u[order]), p[:, order])


# Batches


@pytest.mark.parametrize(
    ("f", "draw"),
    [
        (formal_tx.token_embedding, lambda seed: (tokens(seed, 2, 5), normal(seed, N_V, D_E))),
        (formal_tx.positional_embedding, lambda seed: (tokens(seed, 2, 5, N_V=L_MAX), normal(seed, L_MAX, D_E))),
        (formal_tx.unembedding, lambda seed: (normal(seed, 2, 5, D_E), normal(seed, N_V, D_E))),
    ],
    ids=["token_embedding", "positional_embedding", "unembedding"],
)
def test_a_batch_is_a_vmap_is_a_loop(f, draw):
    """Leading axes are free: a batched call, `vmap` and a Python loop give the same numbers."""
    mapped = jax.vmap(jax.vmap(f, (0, None)), (0, None))

    @few
    @given(seed=seeds)
    def check(seed):
        batch, table = draw(seed)
        result = f(batch, table)
        close(mapped(batch, table), result)
        for i in np.ndindex(batch.shape[:2]):
            close(f(batch[i], table), result[i])

    check()
