"""Matrices as small integers: how close they are, that models run with them, and what refuses them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formal_tx
from formal_tx.embedding import rows
from formal_tx.inference import d_inference, d_stream, ed_inference
from formal_tx.linear import affine, quantized_product
from formal_tx.models import load, save
from formal_tx.quantization import QuantizedMatrix, dequantize, is_quantized, quantize
from tests.bad_input.cases import ED, KEY, D, E, models, nan_at, spoiled
from tests.models import tiny

CALLS = {
    "d_transformer_logits": ("d", lambda params: formal_tx.d_transformer_logits(np.array([9, 1, 2]), params, D)),
    "e_transformer_logits": ("e", lambda params: formal_tx.e_transformer_logits(np.array([9, 1, 2]), params, E)),
    "ed_transformer_logits": (
        "ed",
        lambda params: formal_tx.ed_transformer_logits(np.array([3, 4]), np.array([9, 1, 2]), params, ED),
    ),
}


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    group=st.sampled_from([1, 2, 3, None]),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e20]),
    seed=st.integers(0, 99),
)
def test_every_number_is_within_half_a_scale(shape, group, scale, seed):
    W = np.float32(scale) * np.random.default_rng(seed).normal(size=(shape[0], shape[1] * (group or 1)))
    W = W.astype(np.float32)
    W[0] = 0
    Q = quantize(models().d.replace(W_e=jnp.asarray(W), layers=None, W_u=None), group).W_e
    assert Q.integers.dtype == jnp.int8
    assert np.abs(np.asarray(Q.integers, int)).max() <= 127
    half = np.repeat(np.asarray(Q.scales, float), W.shape[1] // Q.scales.shape[1], axis=1) / 2
    assert (np.abs(W.astype(float) - np.asarray(Q.matrix(), float)) <= half * (1 + 1e-6)).all()
    assert (Q.matrix()[0] == 0).all()


def test_what_was_quantized_by_the_formula_stays_as_it_is():
    """As tensors of the type Q8_0: in each group of 32 one integer is 127 or -127, and scales have 11 digits."""
    rng = np.random.default_rng(0)
    integers = rng.integers(-127, 128, (5, 4, 32))
    integers[..., 7] = 127 * rng.choice([-1, 1], (5, 4))
    scales = np.float16(rng.uniform(1e-4, 1, (5, 4))).astype(np.float32)
    W = (integers * scales[..., None]).astype(np.float32).reshape(5, 128)
    Q = quantize(models().d.replace(W_e=jnp.asarray(W), layers=None, W_u=None), group=32).W_e
    assert (np.asarray(Q.integers) == integers.reshape(5, 128)).all()
    assert (np.asarray(Q.scales) == scales).all()


@settings(deadline=None)
@given(
    n=st.sampled_from([1, 5]), spread=st.sampled_from([0.0, 3.0, 10.0]), zeros=st.booleans(), seed=st.integers(0, 99)
)
def test_products_are_as_exact_as_those_of_float32(n, spread, zeros, seed):
    """Rows of numbers alike, and rows in which a few are many thousand times the others."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, 96)) * np.exp(spread * rng.normal(size=(n, 96)))).astype(np.float32)
    X[0] *= not zeros
    Q = QuantizedMatrix(
        jnp.asarray(rng.uniform(0.1, 2, (8, 1)), jnp.float32), jnp.asarray(rng.integers(-127, 128, (8, 96)), jnp.int8)
    )
    exact = X.astype(float) @ np.asarray(Q.matrix(), float).T
    size = np.abs(X).max(axis=1, keepdims=True) * np.abs(np.asarray(Q.matrix(), float)).sum(axis=1)
    assert (np.abs(np.asarray(quantized_product(jnp.asarray(X), Q)) - exact) <= 2e-7 * size).all()


def test_products_in_double_precision(x64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 96))
    Q = QuantizedMatrix(jnp.asarray(rng.uniform(0.1, 2, (8, 1))), jnp.asarray(rng.integers(-127, 128, (8, 96)), "int8"))
    np.testing.assert_allclose(quantized_product(jnp.asarray(X), Q), X @ np.asarray(Q.matrix()).T, atol=1e-11)


def test_products_with_nan_are_nan():
    Q = QuantizedMatrix(jnp.ones((2, 1)), jnp.ones((2, 3), jnp.int8))
    Y = affine(jnp.array([[1, 2, 3], [1, jnp.nan, 3]], jnp.float32), Q)
    assert jnp.isfinite(Y[0]).all()
    assert jnp.isnan(Y[1]).all()


@pytest.mark.parametrize("group", [None, 1], ids=["rows", "groups"])
@pytest.mark.parametrize("name", CALLS)
def test_architectures_compute_with_them(name, group):
    """They give what the rounded matrices give, which is near what the whole ones give."""
    of, call = CALLS[name]
    params = getattr(models(), of)
    quantized = quantize(params, group)
    logits = call(quantized)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, call(dequantize(quantized)), atol=2e-6)
    assert 0 < np.abs(logits - call(params)).max() < (0.2 if group is None else 0.02) * np.abs(logits).max()


def test_generating_with_them():
    """Greedy tokens, of one prompt, of a batch, and one by one."""
    params = quantize(models().d)
    options = {"length": 2, "temperature": 1e-6, "key": KEY}
    x = np.array([[9, 1, 2], [9, 4, 5]])
    y = d_inference(x, params, D, **options)
    assert (y == d_inference(x, dequantize(params), D, **options)).all()
    for row, expected in zip(x, y, strict=True):
        assert list(d_stream(row, params, D, **options)) == list(expected)
    z, params = np.array([3, 4]), quantize(models().ed)
    y = ed_inference(z, params, ED, key=KEY)
    assert list(y) == list(ed_inference(z, dequantize(params), ED, key=KEY))


def test_which_fields_are_quantized():
    leaves = jax.tree_util.tree_leaves_with_path(quantize(models().ed), is_leaf=is_quantized)
    found = {path[-1].name for path, W in leaves if is_quantized(W)}
    whole = {path[-1].name for path, W in leaves if not is_quantized(W)}
    assert found == {"W_e", "W_u", "W_q", "W_k", "W_v", "W_o", "W_mlp1", "W_mlp2", "W_mlp3", "W_mlp4"}
    assert all(name == "W_p" or name[0] != "W" for name in whole)


def test_rows_out_of_range_are_nan():
    table = quantize(models().d).W_e
    found = rows(table, jnp.array([0, 10, 11, -1]))
    assert (found[:2] == table.matrix()[np.array([0, 10])]).all()
    assert jnp.isnan(found[2:]).all()


def test_a_model_in_int8(tmp_path):
    whole = load(tiny.make(tmp_path / "model"))
    model = load(tmp_path / "model", dtype="int8")
    ids = np.array([1, 2, 3])
    expected = quantize(whole.params)
    assert all((a == b).all() for a, b in zip(*map(jax.tree.leaves, (model.params, expected)), strict=True))
    assert 0 < np.abs(model.logits(ids) - whole.logits(ids)).max() < 0.1
    with pytest.raises(TypeError, match=r"^save: params.W_e is quantized, expected parameters as they were before"):
        save(tmp_path / "other", model)


def test_training_refuses_them():
    with pytest.raises(TypeError, match=r"^d_training: params.W_e is quantized, expected parameters as they were"):
        formal_tx.d_training(np.array([[9, 1]]), quantize(models().d), D, epochs=1, optimizer=optax.sgd(0.1))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda Q: Q.replace(integers=Q.integers.astype(jnp.int32)),
            TypeError,
            "is quantized as int32 with scales of float32, expected int8 with scales of a floating dtype",
        ),
        (
            lambda Q: Q.replace(scales=Q.integers[:, :1]),
            TypeError,
            "has dtype int8, expected a floating dtype",
        ),
        (
            lambda Q: Q.replace(scales=Q.scales[:-1]),
            ValueError,
            "has scales of shape (10, 1) for integers of shape (11, 6), expected (…, d_out, groups), where groups",
        ),
        (
            lambda Q: Q.replace(scales=jnp.ones((11, 4))),
            ValueError,
            "has scales of shape (11, 4) for integers of shape (11, 6), expected (…, d_out, groups), where groups",
        ),
        (
            lambda Q: Q.replace(integers=Q.integers[:, :-1]),
            ValueError,
            "has shape (11, 5), expected (11, 6) from DTransformerHyperparameters",
        ),
        (
            lambda Q: Q.replace(scales=Q.scales.astype(jnp.float16)),
            TypeError,
            "has dtype float32, expected float16, which params.W_e has",
        ),
    ],
)
def test_matrices_that_do_not_fit(spoil, error, message):
    params = quantize(models().d)
    name = "params" if "which params" in message else r"params\.W_e"
    with pytest.raises(error, match=rf"^d_transformer: {name}.* {re.escape(message)}"):
        formal_tx.d_transformer(np.array([9, 1]), params.replace(W_e=spoil(params.W_e)), D)


@pytest.mark.parametrize(
    ("make", "group", "error", "message"),
    [
        (lambda: models().heads, None, TypeError, "params is a MHAttentionParameters, expected the parameters of one"),
        (lambda: quantize(models().d), None, TypeError, "params.W_e is quantized, expected parameters as they were"),
        (lambda: models().d, 0, ValueError, "group is 0, expected an integer of at least 1"),
        (lambda: models().d, True, ValueError, "group is True, expected an integer of at least 1"),
        (lambda: models().d, 4, ValueError, "group is 4, which does not divide the width 6 of params.W_e"),
        (
            lambda: spoiled(models().d, "W_u", nan_at(0, 0)),
            None,
            ValueError,
            "params.W_u has numbers that are not finite",
        ),
    ],
)
def test_what_cannot_be_quantized(make, group, error, message):
    with pytest.raises(error, match=f"^quantize: {re.escape(message)}"):
        quantize(make(), group)


def test_traced_parameters_cannot_be_quantized():
    with pytest.raises(TypeError, match=r"^quantize: params are traced, expected arrays whose values can be seen"):
        jax.jit(quantize)(models().d)
