"""MEGABYTE: what is refused, and in which words."""

import re

import jax
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters
from formal_tx.long_context.megabyte import MegabyteHyperparameters, bits_per_byte, init_megabyte, megabyte
from formal_tx.long_context.megabyte_generation import megabyte_inference

SIZES = {"N_V": 11, "T_max": 12, "P": 3, "D_G": 4, "D_L": 6, "L_G": 2, "L_L": 1, "H_G": 2, "H_L": 2}
HP = MegabyteHyperparameters(**SIZES)
PARAMS = init_megabyte(jax.random.key(0), HP)
WIDER = MegabyteHyperparameters(**SIZES | {"D_L": 8})
X, KEY = np.arange(6), jax.random.key(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"P": 0}, "MegabyteHyperparameters: P is 0, expected an integer of at least 1"),
        ({"P": -3}, "MegabyteHyperparameters: P is -3, expected an integer of at least 1"),
        ({"P": 2.0}, "MegabyteHyperparameters: P is 2.0, expected an integer of at least 1"),
        ({"P": True}, "MegabyteHyperparameters: P is True, expected an integer of at least 1"),
        ({"P": 5}, "MegabyteHyperparameters: T_max is 12, expected a multiple of P = 5"),
        ({"P": 24}, "MegabyteHyperparameters: T_max is 12, expected a multiple of P = 24"),
        ({"N_V": 0}, "MegabyteHyperparameters: N_V is 0, expected an integer of at least 1"),
        ({"H_G": 5}, "MegabyteHyperparameters: H_G is 5, expected a divisor of P·D_G = 12"),
        ({"H_L": 4}, "MegabyteHyperparameters: H_L is 4, expected a divisor of D_L = 6"),
        ({"D_G": 0}, "MegabyteHyperparameters: D_G is 0, expected an integer of at least 1"),
        ({"L_G": -1}, "MegabyteHyperparameters: L_G is -1, expected an integer of at least 0"),
        ({"d_mlp_L": 0}, "MegabyteHyperparameters: d_mlp_L is 0, expected an integer of at least 1"),
        ({"epsilon": -1.0}, "epsilon is -1.0, expected a finite number of at least 0"),
    ],
)
def test_hyperparameters(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        MegabyteHyperparameters(**SIZES | changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": np.arange(7)}, ValueError, "megabyte: x has 7 bytes, expected a multiple of P = 3: pad it at the end"),
        ({"x": np.arange(15) % 11}, ValueError, "megabyte: x has 15 tokens, more than l_max = 12"),
        ({"x": []}, ValueError, "megabyte: x is empty"),
        ({"x": 3}, ValueError, "megabyte: x is a single token, expected a sequence"),
        ({"x": X + 6}, ValueError, "megabyte: x[5] is 11, outside [0, N_V) = [0, 11)"),
        ({"x": X - 1}, ValueError, "megabyte: x[0] is -1, outside [0, N_V) = [0, 11)"),
        ({"x": X / 2}, TypeError, "megabyte: x has dtype float64, expected integers"),
        ({"lengths": np.array(7)}, ValueError, "megabyte: lengths of x is 7, outside [1, ℓ] = [1, 6]"),
        ({"lengths": np.array([3])}, ValueError, "megabyte: lengths of x have shape (1,), expected ()"),
        ({"params": None}, TypeError, "megabyte: params is a NoneType, expected MegabyteParameters, as init_megabyte"),
        (
            {"hyperparameters": DTransformerHyperparameters(l_max=12, L=1, H=1, d_e=4, d_mlp=4, N_V=11)},
            TypeError,
            "megabyte: hyperparameters is a DTransformerHyperparameters, expected MegabyteHyperparameters",
        ),
        (
            {"hyperparameters": WIDER},
            ValueError,
            "megabyte: params.W_GL has shape (6, 4), expected (8, 4) from MegabyteHyperparameters(",
        ),
        (
            {"params": PARAMS.replace(pad_L=PARAMS.pad_L[:-1])},
            ValueError,
            "megabyte: params.pad_L has shape (5,), expected (6,)",
        ),
        ({"params": PARAMS.replace(E_L=None)}, ValueError, "megabyte: params.E_L has shape None, expected (11, 6)"),
        ({"params": PARAMS.replace(pad_L=np.arange(6))}, TypeError, "megabyte: params.pad_L has dtype int64, expected"),
        (
            {"params": PARAMS.replace(E_G=PARAMS.E_G.at[2, 1].set(np.nan))},
            ValueError,
            "megabyte: params.E_G holds nan, first at index [2, 1]",
        ),
    ],
)
def test_what_is_refused(changes, error, message):
    arguments = {"x": X, "params": PARAMS, "hyperparameters": HP}
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        megabyte(**arguments | changes)


def test_the_loss_of_nothing():
    with pytest.raises(ValueError, match=r"^bits_per_byte: x is empty"):
        bits_per_byte(PARAMS, np.zeros(0, int), HP)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"length": 0}, ValueError, "megabyte_inference: length is 0, expected an integer of at least 1"),
        ({"length": 7}, ValueError, "megabyte_inference: a prompt of 6 bytes and 7 more do not fit: T_max is 12"),
        ({"temperature": 0}, ValueError, "megabyte_inference: temperature is 0, expected a finite number greater than"),
        ({"temperature": np.inf}, ValueError, "megabyte_inference: temperature is inf, expected a finite number"),
        ({"key": 3}, TypeError, "megabyte_inference: key is int, expected a key"),
        ({"key": jax.random.split(KEY)}, ValueError, "megabyte_inference: key has shape (2,), expected a single key"),
        ({"x": X + 9}, ValueError, "megabyte_inference: x[2] is 11, outside [0, N_V) = [0, 11)"),
        ({"x": X * 1.0}, TypeError, "megabyte_inference: x has dtype float64, expected integers"),
        ({"hyperparameters": WIDER}, ValueError, "megabyte_inference: params.W_GL has shape (6, 4), expected (8, 4)"),
        (
            {"params": PARAMS.replace(pad_L=PARAMS.pad_L * np.nan)},
            ValueError,
            "megabyte_inference: params.pad_L holds nan, first at index [0]",
        ),
    ],
)
def test_what_generation_refuses(changes, error, message):
    arguments = {"x": X, "params": PARAMS, "hyperparameters": HP, "length": 4, "key": KEY}
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        megabyte_inference(**arguments | changes)
