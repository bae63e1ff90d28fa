"""Algorithms 11, 12 and 13 against `torch.optim.SGD` on models made of `torch.nn.functional`, with autograd.

Every size is a prime of its own, d_attn and d_mid too. Several sequences of several lengths and two epochs: the order
of the updates matters. In float64, where what adds up over the updates stays below 1e-9.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import formal_tx
from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from tests.golden.editions import assert_agree, named, random_parameters
from tests.oracles.torch_models import (
    free_d_logits,
    free_e_logits,
    free_ed_logits,
    masked_word_loss,
    next_token_loss,
    tensors,
    train,
)

SIZES = {"l_max": 11, "H": 3, "d_e": 7, "d_mlp": 19, "N_V": 13, "d_attn": 5, "d_mid": 2}
D = DTransformerHyperparameters(L=2, **SIZES)
E = ETransformerHyperparameters(L=2, d_f=17, **SIZES)
ED = EDTransformerHyperparameters(L_enc=2, L_dec=2, **SIZES)

EPOCHS, ETA = 2, 0.03
X_LENGTHS, Z_LENGTHS = np.array([6, 2, 8, 5]), np.array([7, 3, 1, 5])
X = np.random.default_rng(0).integers(0, 13, (4, 8))
Z = np.random.default_rng(1).integers(0, 13, (4, 7))
UPDATES = [(i, n) for i in range(EPOCHS) for n in range(len(X))]


@pytest.fixture
def optimizer():
    return optax.sgd(ETA)


def cut(x, lengths, n):
    """Sequence n without its padding."""
    return tensors(x[n, : lengths[n]])


def assert_trained(actual, losses, params, history):
    """Every parameter and every loss; and every parameter has moved by far more than the tolerance."""
    expected, values = train(losses, params, ETA)
    assert_agree(history.loss.ravel(), values, 1e-9)
    before, actual, expected = named(params), named(actual), named(expected)
    assert actual.keys() == expected.keys()
    for name in expected:
        assert_agree(actual[name], expected[name], 1e-9)
        assert name.endswith("b_k") or np.abs(expected[name] - before[name]).max() > 1e-5


def test_ed_training_is_sgd(x64, optimizer):
    """11."""

    def loss_of(n):
        z, x = cut(Z, Z_LENGTHS, n), cut(X, X_LENGTHS, n)
        return lambda theta: next_token_loss(free_ed_logits(theta, z, x, ED), x)

    params, losses = random_parameters(ED, 0), [loss_of(n) for _, n in UPDATES]
    options = {"epochs": EPOCHS, "optimizer": optimizer, "history": True}
    trained = formal_tx.ed_training(Z, X, params, ED, z_lengths=Z_LENGTHS, x_lengths=X_LENGTHS, **options)
    assert_trained(trained[0], losses, params, trained[1])


def test_e_training_is_sgd(x64, optimizer):
    """12: the mask of update n in epoch i is drawn from `fold_in(fold_in(key, i), n)`, as documented."""
    params, key, mask_probability = random_parameters(E, 0), jax.random.key(2), 0.4
    X_with_mask_token = X.copy()
    X_with_mask_token[2, 3] = E.mask_token  # counts as masked, whatever is drawn

    def loss_of(i, n):
        key_n = jax.random.fold_in(jax.random.fold_in(key, i), n)
        drawn = jax.random.uniform(key_n, X[n].shape, jnp.float32) < mask_probability
        x = X_with_mask_token[n]
        x_tilde = np.where(drawn, E.mask_token, x)[: X_LENGTHS[n]]
        x, masked = tensors(x[: X_LENGTHS[n]]), tensors(x_tilde == E.mask_token)
        return lambda theta: masked_word_loss(free_e_logits(theta, tensors(x_tilde), E), x, masked)

    losses = [loss_of(i, n) for i, n in UPDATES]
    options = {"epochs": EPOCHS, "optimizer": optimizer, "mask_probability": mask_probability, "key": key}
    trained = formal_tx.e_training(X_with_mask_token, params, E, lengths=X_LENGTHS, history=True, **options)
    assert_trained(trained[0], losses, params, trained[1])


def test_d_training_is_sgd(x64, optimizer):
    """13."""

    def loss_of(n):
        x = cut(X, X_LENGTHS, n)
        return lambda theta: next_token_loss(free_d_logits(theta, x, D), x)

    params, losses = random_parameters(D, 0), [loss_of(n) for _, n in UPDATES]
    options = {"epochs": EPOCHS, "optimizer": optimizer, "history": True}
    trained = formal_tx.d_training(X, params, D, lengths=X_LENGTHS, **options)
    assert_trained(trained[0], losses, params, trained[1])
