"""Algorithms 1 to 7 against `torch.nn.functional` and `torch.nn.MultiheadAttention`."""

import numpy as np
import pytest

import formal_tx
from formal_tx import masks
from tests.golden.editions import assert_agree, random_parameters, shapes
from tests.oracles.cases import D
from tests.oracles.torch_models import (
    F,
    multihead_attention,
    multihead_attention_state,
    run,
    tensors,
    torch,
    transformers,
)

L_X, L_Z, D_X, D_Z, D_ATTN, D_OUT = 5, 7, 11, 13, 3, 17
BATCH = 2


def normal(seed, dtype, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def any_mask(seed, *shape):
    """A random boolean mask in which every query sees a key, and none of them all."""
    mask = np.random.default_rng(seed).random(shape) < 0.5
    mask[..., 0] |= ~mask.any(axis=-1)
    assert not mask.all(axis=-1).any()
    return mask


@pytest.mark.parametrize("embedding", [formal_tx.token_embedding, formal_tx.positional_embedding])
def test_embeddings_are_torch_embedding(embedding, dtype):
    """1 and 2: the same rows, exactly."""
    table, index = normal(0, dtype, 13, 5), np.random.default_rng(1).integers(0, 13, (2, 7))
    expected = F.embedding(tensors(index), tensors(table))
    np.testing.assert_array_equal(embedding(index, table), expected)


def test_single_query_attention_is_sdpa_of_one_query(dtype, tolerance):
    """3: `scaled_dot_product_attention` whose query has length one."""
    params = random_parameters(shapes(formal_tx.init_attention, d_x=D_X, d_z=D_X, d_attn=D_ATTN, d_out=D_OUT), 0, dtype)
    e, context = normal(1, dtype, BATCH, D_X), normal(2, dtype, BATCH, L_Z, D_X)
    expected = sdpa(tensors(e[:, None]), tensors(context), tensors(params))[:, 0]
    assert_agree(formal_tx.basic_single_query_attention(e, context, params), expected, tolerance)


def sdpa(X, Z, W, **options):
    Q, K, V = F.linear(X, W.W_q, W.b_q), F.linear(Z, W.W_k, W.b_k), F.linear(Z, W.W_v, W.b_v)
    return F.scaled_dot_product_attention(Q, K, V, **options)


@pytest.mark.parametrize("kind", ["full", "causal", "array", "array of the batch"])
def test_attention_is_sdpa(kind, dtype, tolerance):
    """4: true means "may attend" to `scaled_dot_product_attention` too."""
    params = random_parameters(shapes(formal_tx.init_attention, d_x=D_X, d_z=D_Z, d_attn=D_ATTN, d_out=D_OUT), 0, dtype)
    X, Z = normal(1, dtype, BATCH, L_X, D_X), normal(2, dtype, BATCH, L_Z, D_Z)
    array = any_mask(3, *([BATCH] if "batch" in kind else []), L_X, L_Z)
    mask, option = {"full": (masks.full, {}), "causal": (masks.causal, {"is_causal": True})}.get(
        kind, (array, {"attn_mask": tensors(array)})
    )
    expected = sdpa(tensors(X), tensors(Z), tensors(params), **option)
    assert_agree(formal_tx.attention(X, Z, params, mask), expected, tolerance)


@pytest.mark.parametrize(("d_x", "d_z", "H"), [(15, 15, 3), (15, 13, 3), (14, 14, 1)], ids=["self", "cross", "H=1"])
@pytest.mark.parametrize("kind", ["full", "causal", "array", "lengths"])
def test_mh_attention_is_torch_multihead_attention(d_x, d_z, H, kind, dtype, tolerance):
    """5: in `MultiheadAttention` true means *drop*, so the masks go over inverted."""
    sizes = {"d_x": d_x, "d_z": d_z, "d_attn": d_x // H, "d_mid": d_x // H, "d_out": d_x, "H": H}
    params = random_parameters(shapes(formal_tx.init_mh_attention, **sizes), 0, dtype)
    X, Z = normal(1, dtype, BATCH, L_X, d_x), normal(2, dtype, BATCH, L_Z, d_z)
    lengths = np.array([3, 7])
    drop = torch.tensor(~any_mask(3, L_X, L_Z))
    mask, option = {
        "full": (masks.full, {}),
        "causal": (masks.causal, {"attn_mask": torch.ones(L_X, L_Z, dtype=torch.bool).triu(1)}),
        "array": (masks.from_torch(drop.numpy()), {"attn_mask": drop}),
        "lengths": (masks.padding(lengths), {"key_padding_mask": torch.tensor(np.arange(L_Z) >= lengths[:, None])}),
    }[kind]
    W, X_torch, Z_torch = tensors(params), tensors(X), tensors(Z)
    state = multihead_attention_state(W, separate=d_x != d_z)
    expected, _ = run(multihead_attention(W, d_x, d_z), state, X_torch, Z_torch, Z_torch, **option)
    assert_agree(formal_tx.mh_attention(X, Z, params, mask), expected, tolerance)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-12])
def test_layer_norm_is_torch_layer_norm(epsilon, dtype, tolerance):
    """6."""
    e, gamma, beta = normal(0, dtype, 3, 5, 7), normal(1, dtype, 7), normal(2, dtype, 7)
    expected = F.layer_norm(tensors(e), (7,), tensors(gamma), tensors(beta), epsilon)
    assert_agree(formal_tx.layer_norm(e, gamma, beta, epsilon=epsilon), expected, tolerance)
    expected = F.layer_norm(tensors(e), (7,), tensors(gamma), None, epsilon)
    assert_agree(formal_tx.layer_norm(e, gamma, epsilon=epsilon), expected, tolerance)


def test_layer_norm_is_torch_layer_norm_where_epsilon_matters(dtype, tolerance):
    """6: a variance of 1e-6, and the epsilon that PyTorch has by default, 1e-5, as GPT-2."""
    e, ones = 1e-3 * normal(0, dtype, 3, 7), np.ones(7, dtype)
    expected = F.layer_norm(tensors(e), (7,))
    assert np.abs(expected.numpy()).max() < 0.9
    assert_agree(formal_tx.layer_norm(e, ones), expected, tolerance)
    assert D.epsilon == transformers.GPT2Config().layer_norm_epsilon


def test_unembedding_is_torch_linear_and_softmax(dtype, tolerance):
    """7."""
    e, W_u = normal(0, dtype, 3, 5, 7), normal(1, dtype, 13, 7)
    expected = F.softmax(F.linear(tensors(e), tensors(W_u)), dim=-1)
    assert_agree(formal_tx.unembedding(e, W_u), expected, tolerance)
