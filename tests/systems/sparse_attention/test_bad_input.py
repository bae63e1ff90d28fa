"""What sparse attention refuses, and in which words; and what it gives where a value cannot be seen."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import init_mh_attention, masks
from formal_tx.attention import mh_attention
from formal_tx.long_context import sparse_attention as sparse

KEY = jax.random.key(0)
Q, K, V = (jnp.ones((8, d)) for d in (3, 3, 2))
BLOCKS = np.zeros((8, 1), int)
X = jax.random.normal(KEY, (8, 6))
PARAMS = sparse.init_longformer(KEY, d_e=6, d_attn=3, d_mid=3, d_out=5, H=2)
banded, strided, bigbird = sparse.banded_attention, sparse.strided_attention, sparse.bigbird_attention
longformer = sparse.longformer_attention


def refused(error, message, call, *arguments, **options):
    with pytest.raises(error, match=re.escape(message)):
        call(*arguments, **options)


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (sparse.banded, (-1, 2), "banded: left is -1, expected an integer of at least 0"),
        (sparse.banded, (2, -1), "banded: right is -1, expected an integer of at least 0"),
        (sparse.banded, (2.0, 1), "banded: left is 2.0, expected an integer of at least 0"),
        (sparse.banded, (True, 1), "banded: left is True, expected an integer of at least 0"),
        (sparse.local, (0,), "local: width is 0, expected an integer of at least 1"),
        (sparse.every, (0,), "every: stride is 0, expected an integer of at least 1"),
        (sparse.every, (-3,), "every: stride is -3, expected an integer of at least 1"),
        (sparse.strided, (0, 3), "strided: width is 0, expected an integer of at least 1"),
        (sparse.strided, (3, 0), "strided: stride is 0, expected an integer of at least 1"),
        (sparse.fixed, (0, 1), "fixed: stride is 0, expected an integer of at least 1"),
        (sparse.fixed, (4, 0), "fixed: summary is 0, expected an integer of at least 1"),
        (sparse.fixed, (4, 5), "fixed: summary is 5, expected at most stride = 4"),
        (sparse.dilated, (-1, 2), "dilated: width is -1, expected an integer of at least 0"),
        (sparse.dilated, (2, 0), "dilated: dilation is 0, expected an integer of at least 1"),
        (sparse.global_tokens, (-1, [0], 8), "global_tokens: width is -1, expected an integer of at least 0"),
        (sparse.global_tokens, (1, [0], 0), "global_tokens: length is 0, expected an integer of at least 1"),
        (sparse.global_tokens, (1, [0, 8], 8), "global_tokens: tokens[1] is 8, outside [0, ℓ) = [0, 8)"),
        (sparse.global_tokens, (1, [-1], 8), "global_tokens: tokens[0] is -1, outside [0, ℓ) = [0, 8)"),
        (sparse.global_tokens, (1, 3, 8), "global_tokens: tokens is a single number, expected (..., n_g), a list of"),
        (sparse.bigbird, (0, 1, BLOCKS), "bigbird: length is 0, expected an integer of at least 1"),
        (sparse.bigbird, (8, 0, BLOCKS), "bigbird: block is 0, expected an integer of at least 1"),
        (sparse.bigbird, (8, 3, BLOCKS), "bigbird: block is 3, expected a divisor of ℓ = 8: fill the sequence up"),
        (sparse.bigbird, (8, 16, BLOCKS), "bigbird: block is 16, expected a divisor of ℓ = 8: fill the sequence up"),
        (sparse.bigbird, (8, 2, BLOCKS), "bigbird: drawn has shape (8, 1), expected (n, r) with n = ℓ/block = 4"),
        (sparse.bigbird, (8, 1, BLOCKS[0]), "bigbird: drawn has shape (1,), expected (n, r) with n = ℓ/block = 8"),
        (sparse.bigbird, (8, 1, BLOCKS + 8), "bigbird: drawn[0, 0] is 8, outside [0, n) = [0, 8)"),
        (sparse.random_blocks, (KEY, 0, 0), "random_blocks: blocks is 0, expected an integer of at least 1"),
        (sparse.random_blocks, (KEY, 8, -1), "random_blocks: each is -1, expected an integer of at least 0"),
        (sparse.random_blocks, (KEY, 8, 4), "random_blocks: each is 4, expected at most max(blocks - 5, 0) = 3"),
        (sparse.random_blocks, (KEY, 4, 1), "random_blocks: each is 1, expected at most max(blocks - 5, 0) = 0"),
        (banded, (Q, K, V, -1, 0), "banded_attention: left is -1, expected an integer of at least 0"),
        (banded, (Q, K, V, 0, -2), "banded_attention: right is -2, expected an integer of at least 0"),
        (banded, (Q, K, V, 1, 1, 0), "banded_attention: block is 0, expected an integer of at least 1"),
        (banded, (Q, K[:7], V, 1, 1), "banded_attention: K has shape (7, 3), expected (..., l, d_attn) with l = 8"),
        (banded, (Q, K[:, :2], V, 1, 1), "K has shape (8, 2), expected (..., l, d_attn) with d_attn = 3"),
        (banded, (Q[0], K, V, 1, 1), "banded_attention: Q has shape (3,), expected (..., l, d_attn)"),
        (banded, (Q[:0], K[:0], V[:0], 1, 1), "banded_attention: Q is empty, at least one token is needed"),
        (
            banded,
            (jnp.ones((2, 8, 3)), jnp.ones((3, 8, 3)), V, 1, 1),
            "banded_attention: the leading axes are Q (2,) and K (3,), expected axes that fit each other",
        ),
        (strided, (Q, K, V, 0), "strided_attention: stride is 0, expected an integer of at least 1"),
        (strided, (Q, K, V[:7], 2), "strided_attention: V has shape (7, 2), expected (..., l, d_mid) with l = 8"),
        (bigbird, (Q, K, V, 3, BLOCKS), "bigbird_attention: block is 3, expected a divisor of ℓ = 8"),
        (bigbird, (Q, K, V, 2, BLOCKS), "bigbird_attention: drawn has shape (8, 1), expected (n, r) with n = ℓ/block"),
        (bigbird, (Q, K, V, 1, BLOCKS - 1), "bigbird_attention: drawn[0, 0] is -1, outside [0, n) = [0, 8)"),
        (longformer, (X, PARAMS, -1, [0]), "longformer_attention: width is -1, expected an integer of at least 0"),
        (longformer, (X, PARAMS, 1, [8]), "longformer_attention: tokens[0] is 8, outside [0, ℓ) = [0, 8)"),
        (longformer, (X, PARAMS, 1, 0), "longformer_attention: tokens is a single number, expected (..., n_g)"),
        (longformer, (X[:0], PARAMS, 1, []), "X is empty, at least one token is needed"),
        (longformer, (X[:, :5], PARAMS, 1, []), "W_q has shape (2, 3, 6), expected (H, d_attn, d_x) with d_x = 5"),
        (longformer, (X[None], PARAMS, 1, [0], [9]), "lengths[0] of X is 9, outside [1, ℓ] = [1, 8]"),
        (longformer, (X[None], PARAMS, 1, [0], [0]), "lengths[0] of X is 0, outside [1, ℓ] = [1, 8]"),
        (longformer, (X, PARAMS, 1, [0], [8]), "lengths of X have shape (1,), expected (): one for each sequence"),
        (
            longformer,
            (X[None], PARAMS, 1, [[0], [1], [2]]),
            "tokens have leading axes (3,), expected those of X, (1,)",
        ),
        (
            longformer,
            (X, PARAMS.replace(global_heads=jax.tree.map(lambda W: W[:1], PARAMS.global_heads)), 1, [0]),
            "longformer_attention: params.global_heads differ in shape from params.attention.heads, expected the same",
        ),
    ],
)
def test_a_value_that_is_refused(call, arguments, message):
    refused(ValueError, message, call, *arguments)


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (sparse.global_tokens, (1, [0.5], 8), "global_tokens: tokens has dtype float64, expected integers"),
        (sparse.global_tokens, (1, [True], 8), "global_tokens: tokens has dtype bool, expected integers"),
        (sparse.bigbird, (8, 1, BLOCKS * 1.0), "bigbird: drawn has dtype float64, expected integers"),
        (sparse.random_blocks, (0, 8, 1), "random_blocks: key is int, expected a key"),
        (banded, (Q.astype(int), K, V, 1, 1), "banded_attention: Q has dtype int32, expected a floating dtype"),
        (banded, (None, K, V, 1, 1), "banded_attention: Q is None, expected an array of numbers"),
        (longformer, (X, PARAMS.attention, 1, [0]), "params is a MHAttentionParameters, expected LongformerParameters"),
        (longformer, (X.astype(int), PARAMS, 1, [0]), "longformer_attention: X has dtype int32, expected a floating"),
        (longformer, (X, PARAMS, 1, [0.0]), "longformer_attention: tokens has dtype float64, expected integers"),
        (longformer, (X[None], PARAMS, 1, [0], [8.0]), "lengths of X have dtype float64, expected integers"),
    ],
)
def test_what_is_of_another_type(call, arguments, message):
    refused(TypeError, message, call, *arguments)


def test_padding_that_leaves_a_token_nothing_to_see():
    """A band does not reach back from the padding to the text; Longformer's padding sees itself instead."""
    params = init_mh_attention(KEY, d_x=6, d_z=6, d_attn=3, d_mid=3, d_out=5, H=2)
    message = "mh_attention: the mask lets query 4 attend to nothing"
    refused(ValueError, message, mh_attention, X, X, params, sparse.banded(1, 1) & masks.padding(jnp.asarray(3)))
    assert np.isfinite(longformer(X, PARAMS, 1, [], 3)).all()


def test_values_that_cannot_be_seen_give_nan():
    params = PARAMS.attention

    def attended(mask):
        return mh_attention(X, X, params, mask)

    globals_of = jax.jit(lambda tokens: attended(sparse.global_tokens(1, tokens, 8)))
    blocks_of = jax.jit(lambda drawn: (attended(sparse.bigbird(8, 1, drawn)), bigbird(Q, K, V, 1, drawn)))
    of_longformer = jax.jit(partial(longformer, X, PARAMS, 1))
    for bad in (-1, 8):
        assert np.isnan(globals_of(jnp.array([0, bad]))).all()
        assert all(np.isnan(Y).all() for Y in blocks_of(jnp.asarray(BLOCKS).at[3, 0].set(bad)))
        assert np.isnan(of_longformer(jnp.array([bad, 0]))).all()
    for bad in (0, 9):
        assert np.isnan(of_longformer(jnp.array([0]), jnp.asarray(bad))).all()
    good = globals_of(jnp.array([0, 7])), *blocks_of(jnp.asarray(BLOCKS)), of_longformer(jnp.array([1, 2]))
    assert all(np.isfinite(Y).all() for Y in good)


def test_nan_is_traced_to_its_source():
    refused(
        ValueError, "banded_attention: K holds nan, first at index [2, 1]", banded, Q, K.at[2, 1].set(np.nan), V, 1, 1
    )
    spoiled = PARAMS.replace(
        global_heads=PARAMS.global_heads.replace(W_v=PARAMS.global_heads.W_v.at[1, 0, 2].set(np.nan))
    )
    message = "longformer_attention: params.global_heads.W_v holds nan, first at index [1, 0, 2]"
    refused(ValueError, message, longformer, X, spoiled, 1, [0])
