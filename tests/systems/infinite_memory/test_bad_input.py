"""The ∞-former: what is refused, by its message, and what gives nan where it cannot be seen."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters
from formal_tx.long_context.infinite_decoder import (
    InfiniteDecoderParameters,
    empty_memory,
    infinite_d_transformer,
    init_infinite_decoder,
)
from formal_tx.long_context.infinite_memory import (
    Density,
    MemoryHyperparameters,
    MemoryParameters,
    basis_regression,
    continuous_attention,
    kl_regulariser,
    memory_update,
    read_density,
    sticky_points,
)

MEMORY = MemoryHyperparameters(N=4, widths=(0.1, 0.2), M=3, D=5)
SIX = MemoryHyperparameters(N=6, widths=(0.1, 0.2), M=3, D=5)
KEY = jax.random.key(0)


def ones(*shape):
    return np.ones(shape, np.float32)


def parameters(**changes):
    fields = {"W_k": ones(2, 3, 5), "W_v": ones(2, 7, 5), "W_o": ones(5, 14), "a_m": ones(4), "a_v": ones(4)}
    return MemoryParameters(**fields | changes)


X, B, Q, R = ones(6, 5), ones(4, 5), ones(2, 6, 3), ones(3) / 2
DENSITY = Density(ones(2, 6), ones(2, 6))


def spoiled(A, value, index):
    A = A.copy()
    A[index] = value
    return A


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"N": 5}, ValueError, "N is 5, expected a multiple of 2, the number of widths"),
        ({"N": 0}, ValueError, "N is 0, expected an integer of at least 1"),
        ({"M": 0}, ValueError, "M is 0, expected an integer of at least 1"),
        ({"M": -3}, ValueError, "M is -3, expected an integer of at least 1"),
        ({"M": 2.0}, ValueError, "M is 2.0, expected an integer of at least 1"),
        ({"D": 0}, ValueError, "D is 0, expected an integer of at least 1"),
        ({"tau": 0.0}, ValueError, "tau is 0.0, expected a finite number greater than 0"),
        ({"tau": 1.0}, ValueError, "tau is 1.0, expected a number between 0 and 1"),
        ({"tau": -0.5}, ValueError, "tau is -0.5, expected a finite number greater than 0"),
        ({"ridge": 0.0}, ValueError, "ridge is 0.0, expected a finite number greater than 0"),
        ({"ridge": -1.0}, ValueError, "ridge is -1.0, expected a finite number greater than 0"),
        ({"v_min": 0.0}, ValueError, "v_min is 0.0, expected a finite number greater than 0"),
        ({"sigma_0": 0.0}, ValueError, "sigma_0 is 0.0, expected a finite number greater than 0"),
        ({"widths": (0.1, 0.0)}, ValueError, "widths[1] is 0.0, expected a finite number greater than 0"),
        ({"widths": (-0.1, 0.1)}, ValueError, "widths[0] is -0.1, expected a finite number greater than 0"),
        ({"widths": ()}, ValueError, "widths is (), expected a tuple of at least one number"),
        ({"widths": [0.1]}, ValueError, "widths is [0.1], expected a tuple of at least one number"),
        ({"sticky": "no"}, TypeError, "sticky is 'no', expected True or False"),
    ],
)
def test_hyperparameters(changes, error, message):
    with pytest.raises(error, match=f"^{re.escape('MemoryHyperparameters: ' + message)}"):
        MemoryHyperparameters(**{"N": 4, "widths": (0.1, 0.2)} | changes)


@pytest.mark.parametrize(
    ("f", "arguments", "error", "message"),
    [
        (basis_regression, (ones(0, 5), MEMORY), ValueError, "X is empty, at least one token is needed"),
        (basis_regression, (ones(5), MEMORY), ValueError, "X has shape (5,), expected (..., L, d_e)"),
        (basis_regression, (np.ones((6, 5), int), MEMORY), TypeError, "X has dtype int64, expected a floating dtype"),
        (basis_regression, (spoiled(X, np.inf, (2, 1)), MEMORY), ValueError, "X is inf at index [2, 1], expected fini"),
        (basis_regression, (spoiled(X, np.nan, (2, 1)), MEMORY), ValueError, "X holds nan, first at index [2, 1]"),
        (basis_regression, (X, 4), TypeError, "hyperparameters is a int, expected MemoryHyperparameters"),
        (memory_update, (B, ones(6, 4), MEMORY), ValueError, "X has shape (6, 4), expected (..., L, d_e) with d_e = 5"),
        (
            memory_update,
            (ones(5, 5), X, MEMORY),
            ValueError,
            "B_old has shape (5, 5), expected (..., N, d_e) with N = 4",
        ),
        (
            memory_update,
            (ones(2, 4, 5), X, MEMORY),
            ValueError,
            "B_old has shape (2, 4, 5) and X (6, 5), expected the s",
        ),
        (memory_update, (B, X, MEMORY, ones(4)), ValueError, "u has shape (4,), expected (..., M) with M = 3"),
        (memory_update, (B, X, MEMORY, R + 1), ValueError, "u is 1.5 at index [0], expected times in [0, 1]"),
        (
            memory_update,
            (B, X, MEMORY, spoiled(R, 0.25, 2)),
            ValueError,
            "u is 0.25 at index [2], expected times that do not decrease",
        ),
        (sticky_points, (None, R, MEMORY), ValueError, "density is None, expected that of a read before"),
        (sticky_points, (DENSITY, ones(3), MEMORY), ValueError, "r is 1.0 at index [0], expected one of [0, 1)"),
        (sticky_points, (DENSITY, ones(2), MEMORY), ValueError, "r has shape (2,), expected (..., M) with M = 3"),
        (
            sticky_points,
            (DENSITY._replace(v=ones(2, 5)), R, MEMORY),
            ValueError,
            "density.v has shape (2, 5), expected (..., H, l) with l = 6",
        ),
        (
            sticky_points,
            (DENSITY._replace(v=0 * DENSITY.v), R, MEMORY),
            ValueError,
            "density.v is 0.0 at index [0, 0], expected variances above 0",
        ),
        (read_density, (Q, B, parameters(), SIX), ValueError, "params.a_m has shape (4,), expected (N,) with N = 6"),
        (read_density, (ones(2, 6, 4), B, parameters(), MEMORY), ValueError, "Q has shape (2, 6, 4), expected (..., H"),
        (read_density, (Q, ones(4, 4), parameters(), MEMORY), ValueError, "B has shape (4, 4), expected (..., N, d_e)"),
        (read_density, (Q, B, None, MEMORY), TypeError, "params is a NoneType, expected MemoryParameters"),
        (
            continuous_attention,
            (B, DENSITY, parameters(W_o=ones(5, 13)), MEMORY),
            ValueError,
            "params.W_o has shape (5, 13), expected (d_out, H·d_mid) with H·d_mid = 2 × 7",
        ),
        (
            continuous_attention,
            (B, Density(ones(3, 6), ones(3, 6)), parameters(), MEMORY),
            ValueError,
            "density.m has shape (3, 6), expected (..., H, l) with H = 2",
        ),
        (kl_regulariser, (-ones(2), 0.1), ValueError, "v is -1.0 at index [0], expected variances above 0"),
        (kl_regulariser, (ones(2), 0.0), ValueError, "sigma_0 is 0.0, expected a finite number greater than 0"),
    ],
)
def test_what_is_refused(f, arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape(f'{f.__name__}: {message}')}"):
        f(*arguments)


@pytest.mark.parametrize(
    ("f", "arguments"),
    [
        (lambda X: basis_regression(X, MEMORY), (spoiled(X, np.inf, (2, 1)),)),
        (lambda u: memory_update(B, X, MEMORY, u), (spoiled(R, 0.25, 2),)),
        (lambda u: memory_update(B, X, MEMORY, u), (R + 1,)),
        (lambda r: sticky_points(DENSITY, r, MEMORY), (ones(3),)),
        (lambda v: sticky_points(DENSITY._replace(v=v), R, MEMORY), (0 * DENSITY.v,)),
        (lambda v: kl_regulariser(v, 0.1), (-ones(2),)),
    ],
)
def test_what_cannot_be_seen_gives_nan(f, arguments):
    assert np.isnan(jax.jit(f)(*arguments)).any()


HP = DTransformerHyperparameters(l_max=4, L=2, H=2, d_e=6, d_mlp=5, N_V=7)


@pytest.fixture(scope="module")
def model():
    return init_infinite_decoder(KEY, HP, MEMORY)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"segment": 0}, ValueError, "segment is 0, expected an integer of at least 1"),
        ({"segment": -4}, ValueError, "segment is -4, expected an integer of at least 1"),
        ({"segment": 3}, ValueError, "x has 8 tokens, expected a multiple of segment = 3"),
        ({"segment": 8}, ValueError, "segment is 8, expected at most l_max = 4"),
        ({"key": None}, ValueError, "there is no key, expected one: the points of sticky memories are drawn"),
        ({"key": 3}, TypeError, "key is int, expected a key"),
        ({"x": np.full(8, 7)}, ValueError, "x[0] is 7, outside [0, N_V) = [0, 7)"),
        ({"x": np.zeros(8)}, TypeError, "x has dtype float64, expected integers"),
        ({"x": np.zeros(0, int)}, ValueError, "x is empty"),
        ({"memory_hyperparameters": SIX}, ValueError, "params.memory are of other sizes than init_infinite_decoder"),
        ({"params": 3}, TypeError, "params is a int, expected InfiniteDecoderParameters"),
        ({"memory": 3}, TypeError, "memory is a int, expected Memory"),
    ],
)
def test_a_decoder(model, changes, error, message):
    arguments = {"x": np.zeros(8, int), "params": model, "hyperparameters": HP, "segment": 4, "key": KEY}
    arguments["memory_hyperparameters"] = MEMORY
    with pytest.raises(error, match=f"^infinite_d_transformer.*: {re.escape(message)}"):
        infinite_d_transformer(**arguments | changes)


def test_a_memory_of_another_configuration(model):
    other = empty_memory(KEY, (), 2, HP, MEMORY)
    with pytest.raises(ValueError, match=r"memory\.density\.m \(2, 2, 2\), expected .* and \(2, 2, 4\)"):
        infinite_d_transformer(np.zeros(8, int), model, HP, MEMORY, segment=4, memory=other)
    with pytest.raises(ValueError, match=r"memory\.B has shape \(2, 3, 4, 6\)"):
        infinite_d_transformer(
            np.zeros(8, int), model, HP, MEMORY, segment=4, memory=empty_memory(KEY, (3,), 4, HP, MEMORY)
        )


def test_a_token_that_cannot_be_seen_gives_nan(model):
    def run(x):
        return infinite_d_transformer(x, model, HP, MEMORY, segment=4, key=KEY).logits

    logits = jax.jit(run)(jnp.full(8, 7))
    assert np.isnan(logits).all()


def test_parameters_of_another_decoder(model):
    other = DTransformerHyperparameters(l_max=4, L=2, H=2, d_e=6, d_mlp=4, N_V=7)
    params = InfiniteDecoderParameters(init_infinite_decoder(KEY, other, MEMORY).decoder, model.memory)
    with pytest.raises(ValueError, match=r"^infinite_d_transformer, the decoder: params\.layers\.W_mlp1 has shape"):
        infinite_d_transformer(np.zeros(8, int), params, HP, MEMORY, segment=4, key=KEY)
