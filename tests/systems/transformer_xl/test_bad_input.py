"""What Transformer-XL refuses, and what it says."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.long_context.relative_attention import (
    relative_attention,
    relative_positions,
    relative_shift,
)
from formal_tx.long_context.transformer_xl import (
    Memory,
    empty_memory,
    init_transformer_xl,
    transformer_xl,
    transformer_xl_logits,
)
from formal_tx.positional import Alibi, Rotary

from .test_properties import POST_HP as HP
from .test_properties import normal, one_head_set, text

PARAMS = init_transformer_xl(jax.random.key(0), HP)
X = text(0, 2, 10)
MEMORY = empty_memory((2,), HP, 4)
LENGTHS = {"segment": 5, "mem_len": 4}

WITH_NAN = PARAMS.replace(W_r=PARAMS.W_r.at[1, 0, 2, 3].set(jnp.nan))


def run(x=X, params=PARAMS, hp=HP, memory=None, **lengths):
    return transformer_xl(x, params, hp, memory, **LENGTHS | lengths)


OTHER = {"memory.M has shape": {"memory": empty_memory((2,), replace(HP, L=2), 4)}}
CASES = {
    "segment is 0, expected an integer of at least 1": {"segment": 0},
    "segment is -5, expected an integer of at least 1": {"segment": -5},
    "segment is 5.0, expected an integer of at least 1": {"segment": 5.0},
    "segment is 4, expected a divisor of ℓ = 10": {"segment": 4},
    "segment is 20, expected a divisor of ℓ = 10": {"segment": 20},
    "segment is 5, more than l_max = 4": {"hp": replace(HP, l_max=4)},
    "mem_len is -1, expected an integer of at least 0": {"mem_len": -1},
    "mem_len is True, expected an integer of at least 0": {"mem_len": True},
    "clamp_len is 0, expected an integer of at least 1": {"clamp_len": 0},
    "same_length with mem_len = 0 lets a token attend to nothing": {"mem_len": 0, "same_length": True},
    "x is empty, at least one token is needed": {"x": X[:, :0]},
    "x is a single token, expected a sequence": {"x": 3},
    "x[1, 3] is 11, outside [0, N_V) = [0, 11)": {"x": np.where(np.arange(10) == 3, [[0], [11]], X)},
    "memory.M has shape (2, 2, 4, 6), expected (L, ..., mem_len, d_e) = (3, 2, 4, 6)": OTHER["memory.M has shape"],
    "memory.M has shape (3, 3, 4, 6), expected": {"memory": empty_memory((3,), HP, 4)},
    "memory.M has shape (3, 2, 5, 6), expected": {"memory": empty_memory((2,), HP, 5)},
    "memory.length is 5, outside [0, mem_len] = [0, 4]": {"memory": MEMORY.replace(length=jnp.asarray(5))},
    "memory.length is -1, outside": {"memory": MEMORY.replace(length=jnp.asarray(-1))},
    "params.u has shape (4,), expected (2, 4)": {"params": PARAMS.replace(u=PARAMS.u[0])},
    "params.v has shape (2, 3), expected (2, 4)": {"params": PARAMS.replace(v=PARAMS.v[:, :3])},
    "params.W_r has shape (2, 4, 6), expected (3, 2, 4, 6)": {"params": PARAMS.replace(W_r=PARAMS.W_r[0])},
    "params.decoder.layers.W_mlp1 has shape": {"hp": replace(HP, d_mlp=9)},
    "hyperparameters.rotate is Rotary": {"hp": replace(HP, rotate=Rotary())},
    "hyperparameters.score is Alibi": {"hp": replace(HP, score=Alibi())},
    "hyperparameters.table is <function learned": {"hp": DTransformerHyperparameters(**dict.fromkeys(
        ("l_max", "H", "d_e", "d_mlp", "N_V", "L"), 2))},
    "expected hyperparameters without windows": {"hp": replace(HP, windows=(3,))},
    "d_e is 5, expected an even number": {"hp": replace(HP, d_e=5)},
    "params.W_r holds nan, first at index [1, 0, 2, 3]": {"params": WITH_NAN},
}  # fmt: skip


@pytest.mark.parametrize("message", CASES)
def test_what_is_refused(message):
    with pytest.raises(ValueError, match="^transformer_xl(_logits)?: .*" + re.escape(message)):
        run(**CASES[message])


TYPES = {
    "params is a DTransformerParameters, expected TransformerXLParameters, as init_transformer_xl makes it": {
        "params": init_d_transformer(jax.random.key(0), HP)
    },
    "hyperparameters is a dict, expected DTransformerHyperparameters": {"hp": {}},
    "memory is a ArrayImpl, expected Memory, as empty_memory makes it": {"memory": MEMORY.M},
    "memory.M has dtype float16, expected float32": {"memory": MEMORY.replace(M=MEMORY.M.astype("float16"))},
    "expected a single integer": {"memory": MEMORY.replace(length=jnp.zeros(2, int))},
    "x has dtype float64, expected integers": {"x": X / 2},
    "same_length is 1, expected True or False": {"same_length": 1},
    "params.u has dtype int32, expected a floating dtype": {"params": PARAMS.replace(u=PARAMS.u.astype(int))},
}


@pytest.mark.parametrize("message", TYPES)
def test_what_is_of_another_type(message):
    with pytest.raises(TypeError, match="^transformer_xl: .*" + re.escape(message)):
        run(**TYPES[message])


def test_the_function_is_named_that_was_called():
    with pytest.raises(ValueError, match=r"^transformer_xl_logits: segment is 3"):
        transformer_xl_logits(X, PARAMS, HP, segment=3, mem_len=4)


def test_a_traced_id_out_of_range_is_nan_from_its_segment_on():
    x = X.copy()
    x[1, 6] = 99
    P, memory = jax.jit(lambda x: run(x))(x)
    assert np.isfinite(P[0]).all()
    assert np.isfinite(P[1, :5]).all()
    assert np.isnan(P[1, 5:]).all()
    assert np.isnan(memory.M[:, 1]).any()


def test_a_traced_length_of_a_memory_out_of_range_is_nan():
    run_with = jax.jit(lambda length: run(memory=Memory(MEMORY.M, length))[0])
    assert np.isnan(run_with(5)[:, :5]).all()
    assert np.isfinite(run_with(4)).all()


BIAS = one_head_set()
A = normal(0, 2, 5, 6)
ATTENTION = {
    "M has shape (2, 4, 5), expected (..., m, d_e)": {"M": normal(1, 2, 4, 5)},
    "M has leading axes (3,) and X has (2,), expected the same: each sequence has a memory": {"M": normal(1, 3, 4, 6)},
    "M has leading axes () and X has (2,)": {"M": normal(1, 4, 6)},
    "X is empty": {"X": A[:, :0]},
    "u has shape (3, 4), expected (H, d_attn)": {"u": normal(1, 3, 4)},
    "W_r has shape (2, 4, 5), expected (H, d_attn, d_e)": {"W_r": normal(1, 2, 4, 5)},
    "clamp_len is -1, expected an integer of at least 1": {"clamp_len": -1},
    "window is 0, expected an integer of at least 1": {"window": 0},
    "X holds nan, first at index [0, 1, 2]": {"X": A.at[0, 1, 2].set(jnp.nan)},
}


@pytest.mark.parametrize("message", ATTENTION)
def test_what_attention_refuses(message):
    arguments = {"X": A, "M": normal(1, 2, 4, 6), **dict(zip(("params", "u", "v", "W_r"), BIAS, strict=True))}
    with pytest.raises(ValueError, match="^relative_attention: " + re.escape(message)):
        relative_attention(**arguments | ATTENTION[message])


def test_attention_refuses_an_odd_width():
    params, u, v, W_r = one_head_set(d=5)
    with pytest.raises(ValueError, match="relative_attention: d_e is 5, expected an even number"):
        relative_attention(A[..., :5], A[:, :2, :5], params, u, v, W_r)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            partial(relative_shift, normal(0, 5, 4)),
            "relative_shift: B has shape (5, 4), expected (..., q, k) with 1 ≤ q",
        ),
        (partial(relative_shift, normal(0, 4)), "relative_shift: B has shape (4,), expected (..., q, k)"),
        (partial(relative_positions, 5, 3), "d_e is 5, expected an even number"),
        (partial(empty_memory, (), HP, -1), "empty_memory: mem_len is -1, expected an integer of at least 0"),
    ],
)
def test_what_its_parts_refuse(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
