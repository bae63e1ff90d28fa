"""What the Recurrent Memory Transformer refuses, and what it says."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import init_d_transformer
from formal_tx.long_context.recurrent_memory import init_recurrent_memory, rmt_decoder, rmt_encoder

from .test_properties import DECODER, ENCODER, D, E, S, text

X = text(0, 2, 8)
MEMORY = jnp.zeros((2, 2, 6))
WITH_NAN = DECODER.replace(M_0=DECODER.M_0.at[1, 2].set(jnp.nan))


def decode(x=X, params=DECODER, hp=D, memory=None, **options):
    return rmt_decoder(x, params, hp, memory, **{"segment": S} | options)


CASES = {
    "segment is 0, expected an integer of at least 1": {"segment": 0},
    "segment is -4, expected an integer of at least 1": {"segment": -4},
    "segment is 4.0, expected an integer of at least 1": {"segment": 4.0},
    "segment is 3, expected a divisor of ℓ = 8": {"segment": 3},
    "segment is 16, expected a divisor of ℓ = 8": {"segment": 16},
    "a segment of 4 tokens with m = 2 rows of memory is 8 rows, more than l_max = 7": {
        "hp": replace(D, l_max=7),
        "params": init_recurrent_memory(jax.random.key(0), replace(D, l_max=7), 2),
    },
    "bptt is -1, expected an integer of at least 0": {"bptt": -1},
    "bptt is True, expected an integer of at least 0": {"bptt": True},
    "x is empty, at least one token is needed": {"x": X[:, :0]},
    "x is a single token, expected a sequence": {"x": 3},
    "x[1, 2] is 11, outside [0, N_V) = [0, 11)": {"x": np.where(np.arange(8) == 2, [[0], [11]], X)},
    "params.M_0 has shape (2, 5), expected (m, d_e) with d_e = 6": {"params": DECODER.replace(M_0=DECODER.M_0[:, :5])},
    "params.M_0 has shape (6,), expected (m, d_e)": {"params": DECODER.replace(M_0=DECODER.M_0[0])},
    "params.layers.W_mlp1 has shape": {"hp": replace(D, d_mlp=9)},
    "M has shape (3, 2, 6), expected (..., m, d_e) = (2, 2, 6): that of another model, or of other sequences?": {
        "memory": jnp.zeros((3, 2, 6))
    },
    "M has shape (2, 3, 6), expected": {"memory": jnp.zeros((2, 3, 6))},
    "M has shape (2, 6), expected": {"memory": MEMORY[0]},
    "params.M_0 holds nan, first at index [1, 2]": {"params": WITH_NAN},
}


@pytest.mark.parametrize("message", CASES)
def test_what_is_refused(message):
    with pytest.raises(ValueError, match="^rmt_decoder(_logits)?: .*" + re.escape(message)):
        decode(**CASES[message])


TYPES = {
    "params is a DTransformerParameters, expected RecurrentMemoryParameters, as init_recurrent_memory makes it": {
        "params": init_d_transformer(jax.random.key(0), D)
    },
    "params is a ETransformerParameters, expected DTransformerParameters, as init_d_transformer makes it": {
        "params": ENCODER
    },
    "hyperparameters is a ETransformerHyperparameters, expected DTransformerHyperparameters": {"hp": E},
    "x has dtype float64, expected integers": {"x": X / 2},
    "params.M_0 has dtype int32, expected a floating dtype": {"params": DECODER.replace(M_0=jnp.ones((2, 6), int))},
    "M has dtype int32, expected a floating dtype": {"memory": MEMORY.astype(int)},
    "mem_bidirectional is 1, expected True or False": {"mem_bidirectional": 1},
    "remat is None, expected True or False": {"remat": None},
}


@pytest.mark.parametrize("message", TYPES)
def test_what_is_of_another_type(message):
    with pytest.raises(TypeError, match="^rmt_decoder: " + re.escape(message)):
        decode(**TYPES[message])


def encode(params=ENCODER, hp=E, **options):
    return rmt_encoder(X, params, hp, **{"segment": S} | options)


ENCODERS = {
    "a segment of 4 tokens with m = 2 rows of memory is 9 rows, more than l_max = 8": {
        "hp": replace(E, l_max=8),
        "params": init_recurrent_memory(jax.random.key(0), replace(E, l_max=8), 2),
    },
    "segment is 5, expected a divisor of ℓ = 8": {"segment": 5},
    "bptt is -2, expected an integer of at least 0": {"bptt": -2},
    "N_V is 2, a vocabulary with tokens to begin and to end a segment has at least 3": {"hp": replace(E, N_V=2)},
}


@pytest.mark.parametrize("message", ENCODERS)
def test_what_the_encoder_refuses(message):
    with pytest.raises(ValueError, match="^rmt_encoder: " + re.escape(message)):
        encode(**ENCODERS[message])


def test_the_encoder_has_an_encoder_for_a_backbone():
    with pytest.raises(
        TypeError, match=r"^rmt_encoder: hyperparameters is a DTransformerHyperparameters, expected ETr"
    ):
        encode(params=DECODER, hp=D)


@pytest.mark.parametrize("m", [-1, 2.0, True])
def test_a_memory_of_no_such_size(m):
    with pytest.raises(ValueError, match=f"init_recurrent_memory: m is {m}, expected an integer of at least 0"):
        init_recurrent_memory(jax.random.key(0), D, m)


def test_a_traced_id_out_of_range_is_nan_from_its_segment_on():
    x = X.copy()
    x[1, 5] = 99
    P, memory = jax.jit(lambda x: decode(x))(x)
    assert np.isfinite(P[0]).all()
    assert np.isfinite(P[1, :S]).all()
    assert np.isnan(P[1, S:]).all()
    assert np.isnan(memory[1]).all()
