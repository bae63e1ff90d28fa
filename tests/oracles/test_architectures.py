"""Algorithms 8, 9 and 10, and the gradients of their losses, against PyTorch's and Hugging Face's models.

Their parameters are ours, whatever they are called there, and the gradients are PyTorch's autograd's.
"""

import jax
import numpy as np
import pytest

import formal_tx
from formal_tx.losses import d_loss, e_loss, ed_loss
from tests.golden.editions import assert_agree, named, random_parameters
from tests.oracles import cases
from tests.oracles.cases import tokens
from tests.oracles.torch_models import (
    F,
    arrays,
    d_logits,
    e_logits,
    ed_logits,
    gradient,
    masked_word_loss,
    next_token_loss,
    tensors,
    torch,
)

LENGTHS = np.array([7, 4, 1])
REAL = np.arange(7) < LENGTHS[:, None]


def value_and_gradient(loss, params, *args):
    """Compiled as one, which takes less time than in pieces."""
    return jax.jit(jax.value_and_grad(lambda params: loss(params, *args)))(params)


def assert_gradients_agree(actual, expected, tolerance):
    """Leaf by leaf, relative to the leaf's largest entry.

    Only b_k has none but rounding: it adds the same to all scores of a query, so its gradient is 0. It is held against
    that of b_q.
    """
    actual, expected = named(actual), named(expected)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if name.endswith("b_k"):
            scale = np.abs(expected[name.removesuffix("b_k") + "b_q"]).max()
            assert_agree(actual[name], np.zeros_like(value), tolerance, scale)
        else:
            assert np.abs(value).max() > 1e-3
            assert_agree(actual[name], value, tolerance)


# Algorithm 10


@pytest.mark.parametrize("hp", [cases.D, cases.D_TIED, cases.D_PRINTED], ids=["untied", "tied", "no epsilon"])
def test_d_transformer_is_gpt2(hp, dtype, tolerance):
    params, x = random_parameters(hp, 0, dtype), tokens(1, 2, 7)
    expected = d_logits(tensors(params), tensors(x), hp)
    assert_agree(formal_tx.d_transformer_logits(x, params, hp), expected.detach(), tolerance)
    assert_agree(formal_tx.d_transformer(x, params, hp), F.softmax(expected, -1).detach(), tolerance)


def test_a_padded_batch_is_gpt2_on_each_sequence(dtype, tolerance):
    params, x = random_parameters(cases.D, 0, dtype), tokens(1, 3, 7)
    actual = formal_tx.d_transformer_logits(x, params, cases.D, LENGTHS)
    for row, x_n, length in zip(actual, x, LENGTHS, strict=True):
        expected = d_logits(tensors(params), tensors(x_n[None, :length]), cases.D)[0]
        assert_agree(row[:length], expected, tolerance)


@pytest.mark.parametrize("hp", [cases.D, cases.D_TIED], ids=["untied", "tied"])
def test_d_loss_and_its_gradient_are_gpt2s(hp, dtype, tolerance):
    params, x = random_parameters(hp, 0, dtype), tokens(1, 3, 7)

    def loss(theta):
        return next_token_loss(d_logits(theta, tensors(x), hp), tensors(x), tensors(LENGTHS))

    expected, slope = gradient(loss, tensors(params, requires_grad=True))
    value, actual = value_and_gradient(d_loss, params, x, hp, LENGTHS)
    assert_agree(value, expected.detach(), tolerance)
    assert_gradients_agree(actual, arrays(slope), tolerance)


# Algorithm 9


@pytest.mark.parametrize("hp", [cases.E, cases.E_TIED, cases.E_PRINTED], ids=["untied", "tied", "no epsilon"])
def test_e_transformer_is_bert(hp, dtype, tolerance):
    params, x = random_parameters(hp, 0, dtype), tokens(1, 2, 7)
    expected = e_logits(tensors(params), tensors(x), hp)
    assert_agree(formal_tx.e_transformer_logits(x, params, hp), expected.detach(), tolerance)
    assert_agree(formal_tx.e_transformer(x, params, hp), F.softmax(expected, -1).detach(), tolerance)


def test_lengths_are_berts_attention_mask(dtype, tolerance):
    params, x = random_parameters(cases.E, 0, dtype), tokens(1, 3, 7)
    expected = e_logits(tensors(params), tensors(x), cases.E, attention_mask=tensors(REAL.astype(int)))
    actual = formal_tx.e_transformer_logits(x, params, cases.E, LENGTHS)
    assert_agree(np.asarray(actual)[REAL], expected.detach()[REAL], tolerance)


@pytest.mark.parametrize("hp", [cases.E, cases.E_TIED], ids=["untied", "tied"])
def test_e_loss_and_its_gradient_are_berts(hp, dtype, tolerance):
    params, x = random_parameters(hp, 0, dtype), tokens(1, 3, 7)
    masked = np.random.default_rng(2).random(x.shape) < 0.5
    masked |= x == hp.mask_token  # a mask_token that the data holds counts as masked
    x_tilde = np.where(masked, hp.mask_token, x)

    def loss(theta):
        logits = e_logits(theta, tensors(x_tilde), hp, attention_mask=tensors(REAL.astype(int)))
        return masked_word_loss(logits, tensors(x), tensors(masked & REAL))

    expected, slope = gradient(loss, tensors(params, requires_grad=True))
    value, actual = value_and_gradient(e_loss, params, x_tilde, x, hp, LENGTHS)
    assert_agree(value, expected.detach(), tolerance)
    assert_gradients_agree(actual, arrays(slope), tolerance)


# Algorithm 8


@pytest.mark.parametrize("hp", [cases.ED, cases.ED_PRINTED], ids=["epsilon", "no epsilon"])
def test_ed_transformer_is_torch_encoder_and_decoder(hp, dtype, tolerance):
    params, z, x = random_parameters(hp, 0, dtype), tokens(1, 2, 7), tokens(2, 2, 5)
    expected = ed_logits(tensors(params), tensors(z), tensors(x), hp)
    assert_agree(formal_tx.ed_transformer_logits(z, x, params, hp), expected.detach(), tolerance)
    assert_agree(formal_tx.ed_transformer(z, x, params, hp), F.softmax(expected, -1).detach(), tolerance)


def test_ed_loss_and_its_gradient_are_torchs(dtype, tolerance):
    """With padded contexts (PyTorch's padding masks) and padded sequences."""
    params, z, x = random_parameters(cases.ED, 0, dtype), tokens(1, 3, 7), tokens(2, 3, 5)
    x_lengths = np.array([3, 5, 2])

    def loss(theta):
        logits = ed_logits(theta, tensors(z), tensors(x), cases.ED, z_padding=torch.tensor(~REAL))
        return next_token_loss(logits, tensors(x), tensors(x_lengths))

    logits = ed_logits(tensors(params), tensors(z), tensors(x), cases.ED, z_padding=torch.tensor(~REAL))
    real = np.arange(5) < x_lengths[:, None]
    actual = formal_tx.ed_transformer_logits(z, x, params, cases.ED, LENGTHS, x_lengths)
    assert_agree(np.asarray(actual)[real], logits.detach()[real], tolerance)

    expected, slope = gradient(loss, tensors(params, requires_grad=True))
    value, actual = value_and_gradient(ed_loss, params, z, x, cases.ED, LENGTHS, x_lengths)
    assert_agree(value, expected.detach(), tolerance)
    assert_gradients_agree(actual, arrays(slope), tolerance)
