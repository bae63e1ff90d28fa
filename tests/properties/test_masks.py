"""Masks: an algebra of predicates, equal to that of dense NumPy arrays, and the adapters from other conventions."""

import operator

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import formal_tx
from formal_tx import masks

from .strategies import close, normal, random_head, seeds, some

L_X, L_Z = 4, 5


def _window(t_x, t_z):
    return abs(t_x - t_z) <= 1


def _leaves():
    rng = np.random.default_rng(0)
    array = rng.random((L_X, L_Z)) < 0.5
    lengths = np.int64(3)
    t_x, t_z = np.mgrid[:L_X, :L_Z]
    return st.sampled_from(
        [
            (masks.full, np.ones((L_X, L_Z), bool)),
            (masks.causal, t_z <= t_x),
            (masks.padding(lengths), t_z < lengths),
            (masks.as_mask(_window), abs(t_x - t_z) <= 1),
            (masks.as_mask(array), array),
        ]
    )


def _combined(parts):
    return st.one_of(
        st.tuples(parts, parts).map(lambda ab: (ab[0][0] & ab[1][0], ab[0][1] & ab[1][1])),
        st.tuples(parts, parts).map(lambda ab: (ab[0][0] | ab[1][0], ab[0][1] | ab[1][1])),
        parts.map(lambda a: (~a[0], ~a[1])),
    )


@pytest.fixture(scope="module")
def expressions():
    return st.recursive(_leaves(), _combined, max_leaves=5)


@some
@given(data=st.data())
def test_masks_combine_as_their_tables_do(expressions, data):
    """`&`, `|` and `~` of masks, evaluated densely, are those of the dense tables."""
    mask, table = data.draw(expressions)
    np.testing.assert_array_equal(masks.dense(mask, L_X, L_Z), table)


def test_the_masks_of_the_paper():
    """Eq. (3): ones, and the tokens that are not later; the library's mask is the transpose of the paper's."""
    t_x, t_z = np.mgrid[:L_X, :L_Z]
    np.testing.assert_array_equal(masks.dense(masks.full, L_X, L_Z), np.ones((L_X, L_Z), bool))
    np.testing.assert_array_equal(masks.dense(masks.causal, L_X, L_Z), t_z <= t_x)


@some
@given(seed=seeds)
def test_a_mask_of_padding(seed):
    """The first `lengths` tokens of each context are real, in one sequence and in a batch, traced or not."""
    lengths = np.random.default_rng(seed).integers(1, L_Z + 1, 3)
    tables = np.arange(L_Z) < lengths[:, None, None]
    expected = np.broadcast_to(tables, (3, L_X, L_Z))
    np.testing.assert_array_equal(masks.dense(masks.padding(lengths), L_X, L_Z), expected)
    np.testing.assert_array_equal(jax.jit(lambda n: masks.dense(masks.padding(n), L_X, L_Z))(lengths), expected)
    np.testing.assert_array_equal(masks.dense(masks.padding(lengths[0]), L_X, L_Z), expected[0])
    alone = masks.dense(masks.padding(lengths[0]) & masks.causal, L_X, L_Z)
    np.testing.assert_array_equal(alone, expected[0] & np.tri(L_X, L_Z, dtype=bool))


@pytest.mark.parametrize("combine", [operator.and_, operator.or_], ids=["and", "or"])
def test_a_batch_of_masks_combines_with_one(combine):
    """`padding(lengths) & causal`: the mask of a batch of padded sequences, and `|` alike."""
    lengths = np.array([2, 5, 3])
    padding, causal = np.arange(L_Z) < lengths[:, None, None], np.tri(L_X, L_Z, dtype=bool)
    expected = combine(padding, causal)
    for mask in (combine(masks.padding(lengths), masks.causal), combine(masks.causal, masks.padding(lengths))):
        np.testing.assert_array_equal(masks.dense(mask, L_X, L_Z), expected)
    array = masks.as_mask(np.broadcast_to(padding, (3, L_X, L_Z)))
    np.testing.assert_array_equal(masks.dense(combine(array, masks.causal), L_X, L_Z), expected)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_lengths_of_any_integer_type(dtype):
    """The type of the lengths does not matter, in double precision either."""
    lengths = np.array([2, 5, 3], dtype)
    expected = np.broadcast_to(np.arange(L_Z) < lengths[:, None, None], (3, L_X, L_Z))
    np.testing.assert_array_equal(masks.dense(masks.padding(lengths), L_X, L_Z), expected)


@some
@given(seed=seeds)
def test_adapters_from_other_conventions(seed):
    """An additive mask, PyTorch's and Hugging Face's, made from a boolean one, come back as that."""
    keep = np.random.default_rng(seed).random((2, L_X, L_Z)) < 0.5
    for dtype in (np.float32, np.float64):
        for least in (-np.inf, np.finfo(dtype).min):
            np.testing.assert_array_equal(masks.from_additive(np.where(keep, 0, least).astype(dtype)), keep)
    np.testing.assert_array_equal(masks.from_torch(~keep), keep)
    real = keep[:, 0]
    for given_as in (real, real.astype(np.int32)):
        table = masks.dense(masks.from_padding(given_as), L_X, L_Z)
        np.testing.assert_array_equal(table, np.broadcast_to(real[:, None, :], keep.shape))


@some
@given(seed=seeds)
def test_adapters_and_scores(seed):
    """Attention under an adapted mask is a softmax of scores to which the additive one was added."""
    X, Z = normal(seed, L_X, 6), normal(seed + 1, L_Z, 7)
    params = random_head(seed, d_x=6, d_z=7, d_attn=2, d_out=3)
    keep = np.random.default_rng(seed).random((L_X, L_Z)) < 0.5
    keep[:, seed % L_Z] = True
    additive = np.where(keep, 0.0, -np.inf)
    Q, K, V = X @ params.W_q.T + params.b_q, Z @ params.W_k.T + params.b_k, Z @ params.W_v.T + params.b_v
    weights = np.exp(Q @ K.T / np.sqrt(2) + additive)
    expected = weights / weights.sum(axis=1, keepdims=True) @ V
    for mask in (masks.from_additive(additive), masks.from_torch(~keep), keep):
        close(formal_tx.attention(X, Z, params, mask), expected)
