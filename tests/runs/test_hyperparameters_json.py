"""Hyperparameters go to JSON and come back: the printed ones, and every variation that the library has."""

import json

import pytest

import formal_tx
from formal_tx.activations import silu
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.normalization import rms_norm
from formal_tx.placement import SANDWICH
from formal_tx.positional import Alibi, Llama3Scaling, RelativeBuckets, Rotary, whisper_sinusoids
from formal_tx.runs.hyperparameters_json import from_json, to_json
from formal_tx.scores import InTurn, QKNorm, SoftCap

D = formal_tx.DTransformerHyperparameters
SIZES = {"l_max": 7, "H": 2, "d_e": 6, "d_mlp": 5, "N_V": 11, "L": 2}
VARIED = (
    {},
    {"norm": rms_norm, "activation": silu, "gated": True, "biases": NO_BIASES, "table": None, "H_kv": 1},
    {"rotate": Rotary(base=5e5, size=2, scaling=Llama3Scaling(8.0, 16)), "normalise_qk": QKNorm(all_heads=True)},
    {"score": InTurn((RelativeBuckets(8), SoftCap(5.0))), "logit_cap": SoftCap(3.0), "windows": (3, None)},
    {"placement": SANDWICH, "table": whisper_sinusoids, "score": Alibi(), "special_tokens": (0, 1, 2)},
)


@pytest.mark.parametrize("variations", VARIED, ids=range(len(VARIED)))
def test_they_come_back(variations):
    hyperparameters = D(**SIZES, **variations)
    written = json.dumps(to_json(hyperparameters))
    assert from_json(D, json.loads(written)) == hyperparameters
    assert set(to_json(hyperparameters)) - set(to_json(D(**SIZES))) == set(variations)


def mine(x):
    return x


def test_a_function_that_has_no_name_here():
    with pytest.raises(ValueError, match=r"activation is <function mine.*>, expected a function of this library"):
        to_json(D(**SIZES, activation=mine))
    with pytest.raises(ValueError, match=r"rotate.scaling is <function mine.*>, expected a function of this library"):
        to_json(D(**SIZES, rotate=Rotary(scaling=mine)))


def test_a_file_that_names_another_function():
    with pytest.raises(ValueError, match=r"activation has the function 'system', expected one of relu, gelu"):
        from_json(D, {**SIZES, "activation": {"function": "system"}})
