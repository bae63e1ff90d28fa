"""The instrument is itself tested: mistakes planted in the library are caught, at the line where they are."""

import jax
import jax.numpy as jnp
import pytest

import formal_tx.architectures
import formal_tx.attending
import formal_tx.embedding
import formal_tx.inference.cache
import formal_tx.losses
import formal_tx.normalization
from formal_tx import masks
from formal_tx.activations import gelu_tanh
from formal_tx.crosscheck import check, editions, find
from formal_tx.crosscheck.report import where

# `formal_tx.attention` is the function; this is its module.
attention_module = __import__("sys").modules["formal_tx.attention"]


@pytest.fixture(autouse=True)
def fresh_traces():
    """A planted mistake must not outlive its test in a compiled function."""
    jax.clear_caches()
    editions._reaped.cache_clear()
    yield
    jax.clear_caches()
    editions._reaped.cache_clear()


def tanh_gelu(X, params, activation, inner):
    return formal_mlp(X, params, gelu_tanh, inner)


formal_mlp = formal_tx.architectures.mlp


def unbiased_mean(values, axis):
    n = values.shape[axis]
    return jnp.sum(values, axis=axis) / jnp.asarray(max(n - 1, 1), values.dtype)


def swap_heads(Y_h, params, attending):
    return formal_join(Y_h[..., ::-1, :, :], params, attending)


formal_join = attention_module.join_heads


def strictly_before(x, lengths, segments):
    del lengths, segments
    return x[..., :-1], jnp.ones(x[..., 1:].shape, bool)  # the targets are not shifted


@pytest.mark.parametrize(
    ("module", "name", "mistake", "number", "place"),
    [
        (formal_tx.attending, "root", lambda d, like: jnp.asarray(d, like.dtype), 4, "6. V_tilde"),
        (attention_module, "root", lambda d, like: jnp.asarray(1, like.dtype), 3, "4. alpha"),
        (attention_module, "join_heads", swap_heads, 5, "3. Y"),
        (formal_tx.normalization.jnp, "mean", unbiased_mean, 6, "1. m"),
        (formal_tx.architectures, "mlp", tanh_gelu, 10, "8. X, layer 1"),
        (formal_tx.architectures, "mlp", tanh_gelu, 9, "7. X, layer 1"),
        (formal_tx.architectures, "mlp", tanh_gelu, 8, "7. Z, layer 1"),
        (formal_tx.architectures.masks, "causal", masks.full, 10, "6. X, layer 1"),
        (formal_tx.architectures.masks, "causal", masks.full, 8, "14. X, layer 1"),
        pytest.param(formal_tx.losses, "next_tokens", strictly_before, 13, "5. loss, update 1", marks=pytest.mark.slow),
        (formal_tx.inference.cache, "_write", lambda past, row, t: past, 14, "4. p, token 3"),
    ],
)
def test_a_planted_mistake_is_caught_at_its_line(monkeypatch, module, name, mistake, number, place):
    monkeypatch.setattr(module, name, mistake)
    comparison = check(find(number), cases=1)
    assert not comparison.agrees
    assert where(comparison.algorithm, comparison.first_bad) == place


def test_an_epsilon_hidden_in_layer_norm_is_caught(monkeypatch):
    honest = jnp.sqrt
    monkeypatch.setattr(formal_tx.normalization.jnp, "sqrt", lambda x: honest(x + 1e-9))
    comparison = check(find(6), cases=1)
    assert comparison.first_bad.number == 3


def test_without_a_mistake_the_same_checks_agree():
    for number in (3, 4, 5, 6):
        assert check(find(number), cases=1).agrees
