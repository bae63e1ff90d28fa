"""What the variations say of values that they cannot have; bad input is never answered with a plausible number."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    d_transformer,
    init_d_transformer,
)
from formal_tx.attending import Attending
from formal_tx.attention import attention
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.placement import PARALLEL, PARALLEL_ONE_NORM, Placement
from formal_tx.positional import (
    Alibi,
    LinearScaling,
    Llama3Scaling,
    NTKScaling,
    RelativeBuckets,
    Rotary,
    YaRNScaling,
    interleaved_sinusoids,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.scores import InTurn, QKNorm, SoftCap

WIDTHS = {"l_max": 8, "H": 4, "d_e": 6, "d_mlp": 5, "N_V": 7, "d_attn": 3, "d_mid": 2}
NO_NUMBERS = [math.nan, math.inf, 0, -1.0]


def refused(message, kind, *args, error=ValueError, **given):
    with pytest.raises(error) as caught:
        kind(*args, **given)
    assert str(caught.value) == message


def decoder(**variations):
    return DTransformerHyperparameters(**WIDTHS | {"L": 1} | variations)


# Hyperparameters

IDS = "expected the ids of mask, bos and eos"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("H_kv", 0, "H_kv is 0, expected an integer of at least 1"),
        ("H_kv", 3, "H_kv is 3, expected a divisor of H = 4"),
        ("H_kv", 8, "H_kv is 8, expected a divisor of H = 4"),
        ("H_kv", 2.0, "H_kv is 2.0, expected an integer of at least 1"),
        ("placement", "pre", "placement is 'pre', expected a Placement"),
        ("biases", False, "biases is False, expected a Biases"),
        ("norm", None, "norm is None, expected a function"),
        ("norm", "rms", "norm is 'rms', expected a function"),
        ("activation", None, "activation is None, expected a function"),
        ("table", 3, "table is 3, expected a function"),
        ("rotate", True, "rotate is True, expected a function"),
        ("score", 1.0, "score is 1.0, expected a function"),
        ("normalise_qk", True, "normalise_qk is True, expected a function"),
        ("logit_cap", 30.0, "logit_cap is 30.0, expected a function"),
        ("gated", 1, "gated is 1, expected True or False"),
        ("embedding_norm", None, "embedding_norm is None, expected True or False"),
        ("layer_scale", 1e-4, "layer_scale is 0.0001, expected True or False"),
        ("scale", 0, "scale is 0, expected a finite number greater than 0"),
        ("scale", math.nan, "scale is nan, expected a finite number greater than 0"),
        ("embedding_scale", -1.0, "embedding_scale is -1.0, expected a finite number greater than 0"),
        ("embedding_scale", None, "embedding_scale is None, expected a finite number greater than 0"),
        ("logit_scale", math.inf, "logit_scale is inf, expected a finite number greater than 0"),
        ("logit_scale", True, "logit_scale is True, expected a finite number greater than 0"),
        ("windows", 3, "windows is 3, expected a tuple of integers of at least 1, or None"),
        ("windows", (), "windows is (), expected a tuple of integers of at least 1, or None"),
        ("windows", [3], "windows is [3], expected a tuple of integers of at least 1, or None"),
        ("windows", (3, 0), "windows is (3, 0), expected a tuple of integers of at least 1, or None"),
        ("windows", (2.5,), "windows is (2.5,), expected a tuple of integers of at least 1, or None"),
        ("windows", (True,), "windows is (True,), expected a tuple of integers of at least 1, or None"),
        ("special_tokens", (1, 2), f"special_tokens is (1, 2), {IDS}"),
        ("special_tokens", (1, 2, -1), f"special_tokens is (1, 2, -1), {IDS}"),
        ("special_tokens", (1, 2, True), f"special_tokens is (1, 2, True), {IDS}"),
    ],
)
def test_a_variation_that_is_none(name, value, expected):
    refused(expected, decoder, **{name: value})


def test_a_table_of_another_shape():
    hp = decoder(table=lambda l_max, d_e: np.zeros((l_max, d_e + 1)))
    params = init_d_transformer(jax.random.key(0), hp)
    l_max, d_e = WIDTHS["l_max"], WIDTHS["d_e"]
    message = f"hyperparameters.table gives shape {(l_max, d_e + 1)}, expected {(l_max, d_e)}"
    refused(message, d_transformer, [1, 2], params, hp)


@pytest.mark.parametrize("placement", [PARALLEL, PARALLEL_ONE_NORM], ids=["two norms", "one norm"])
def test_three_sub_layers_in_parallel(placement):
    message = "placement is parallel, expected sub-layers in sequence: a decoder's has three of them"
    refused(message, EDTransformerHyperparameters, **WIDTHS, L_enc=1, L_dec=1, placement=placement)


def test_a_context_that_has_no_place():
    refused(
        "l_max_z is 0, expected an integer of at least 1",
        EDTransformerHyperparameters,
        **WIDTHS,
        L_enc=1,
        L_dec=1,
        l_max_z=0,
    )


def test_types_of_tokens_and_a_vocabulary():
    refused("N_S is -1, expected an integer of at least 0", ETransformerHyperparameters, **WIDTHS, L=1, N_S=-1)
    refused("N_V is 0, expected an integer of at least 1", decoder, N_V=0)


def test_placements_that_contradict_themselves():
    shared = "one norm is shared by sub-layers in parallel, and stands before them"
    refused(shared, Placement, one_norm=True)
    refused(shared, Placement, one_norm=True, parallel=True)
    refused("sub-layers in parallel have one sum, and no norm after each", Placement, parallel=True, after=True)


# The functions


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ("kind", "name", "others"),
    [
        (SoftCap, "cap", {}),
        (Alibi, "largest_exponent", {}),
        (Rotary, "base", {}),
        (LinearScaling, "factor", {}),
        (NTKScaling, "factor", {}),
        (Llama3Scaling, "factor", {"context": 8}),
        (Llama3Scaling, "context", {"factor": 8.0}),
        (YaRNScaling, "factor", {"context": 8}),
        (YaRNScaling, "attention", {"factor": 2.0, "context": 8}),
    ],
    ids=lambda given: getattr(given, "__name__", given if isinstance(given, str) else ""),
)
def test_numbers_that_are_not_positive(kind, name, others, value):
    message = f"{kind.__name__}: {name} is {value}, expected a finite number greater than 0"
    refused(message, kind, **others, **{name: value})


@pytest.mark.parametrize("value", [True, "50", [50.0]], ids=repr)
def test_a_cap_that_is_no_number(value):
    with pytest.raises((TypeError, ValueError), match=r"^SoftCap: cap (is|has) "):
        SoftCap(value)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Rotary, {"size": 3}, "Rotary: size is 3, expected an even number of features to turn"),
        (Rotary, {"size": 0}, "Rotary: size is 0, expected an integer of at least 2"),
        (Rotary, {"size": 2.0}, "Rotary: size is 2.0, expected an integer of at least 2"),
        (Rotary, {"base": 1.0}, "Rotary: base is 1.0, expected a number greater than 1"),
        (
            YaRNScaling,
            {"factor": 2.0, "context": 8, "base": 0.5},
            "YaRNScaling: base is 0.5, expected a number greater than 1",
        ),
        (
            YaRNScaling,
            {"factor": 2.0, "context": 8, "slow": 32.0, "fast": 1.0},
            "YaRNScaling: slow is 32.0, expected less than fast = 1.0",
        ),
        (
            Llama3Scaling,
            {"factor": 2.0, "context": 8, "low": 4.0},
            "Llama3Scaling: low is 4.0, expected less than high = 4.0",
        ),
        (RelativeBuckets, {"rows": 2}, "RelativeBuckets: rows is 2, expected an integer of at least 4"),
        (
            RelativeBuckets,
            {"rows": 7},
            "RelativeBuckets: rows is 7, expected an even number: half of them for each direction",
        ),
        (
            RelativeBuckets,
            {"rows": 1, "bidirectional": False},
            "RelativeBuckets: rows is 1, expected an integer of at least 2",
        ),
        (RelativeBuckets, {"furthest": 8}, "RelativeBuckets: furthest is 8, expected an integer of at least 9"),
        (
            RelativeBuckets,
            {"furthest": 16, "bidirectional": False},
            "RelativeBuckets: furthest is 16, expected an integer of at least 17",
        ),
        (QKNorm, {"epsilon": -1e-6}, "QKNorm: epsilon is -1e-06, expected a finite number greater than 0"),
        (InTurn, {"scores": ()}, "InTurn: scores is (), expected a tuple of at least one"),
        (
            InTurn,
            {"scores": (RelativeBuckets(), RelativeBuckets())},
            "InTurn: more than one score has a learned table, and there is one table",
        ),
    ],
    ids=lambda given: getattr(given, "__name__", "" if isinstance(given, dict) else str(given)),
)
def test_a_function_of_values_that_do_not_go_together(kind, given, message):
    refused(message, kind, **given)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Rotary, {"neighbours": "no"}, "Rotary: neighbours is 'no', expected True or False"),
        (Rotary, {"scaling": 4.0}, "Rotary: scaling is 4.0, expected a function of frequencies"),
        (RelativeBuckets, {"bidirectional": 1}, "RelativeBuckets: bidirectional is 1, expected True or False"),
        (QKNorm, {"all_heads": "all"}, "QKNorm: all_heads is 'all', expected True or False"),
        (InTurn, {"scores": (SoftCap(2.0), 50.0)}, "InTurn: scores[1] is 50.0, expected a function"),
    ],
)
def test_a_function_of_another_type(kind, given, message):
    refused(message, kind, **given, error=TypeError)


@pytest.mark.parametrize("table", [interleaved_sinusoids, sinusoid_halves, whisper_sinusoids])
def test_sinusoids_of_an_odd_width(table):
    refused("sinusoidal positions: d_e is 5, expected an even number", table, 4, 5)


@pytest.mark.parametrize("rotary", [Rotary(), Rotary(size=4)], ids=["all features", "more than there are"])
def test_features_that_cannot_turn_in_pairs(rotary):
    r = rotary.size or 3
    with pytest.raises(ValueError, match=f"^Rotary: {r} of d_attn = 3 features cannot turn in pairs$"):
        rotary(jnp.zeros((5, 3)), jnp.arange(5))


# Parameters of other variations


def test_parameters_of_other_variations_are_named():
    printed = init_d_transformer(jax.random.key(0), decoder())
    x = np.arange(5)
    for variations, message in (
        ({"H_kv": 2}, r"params\.layers\.attention\.heads\.W_k has shape \(1, 4, 3, 6\), expected \(1, 2, 3, 6\)"),
        ({"gated": True}, r"params\.layers\.W_gate is missing, expected shape \(1, 5, 6\)"),
        ({"biases": NO_BIASES}, r"params\.layers\.attention\.heads\.b_q is one too many, expected None"),
        ({"score": RelativeBuckets(8, 16)}, r"params\.W_r is missing, expected shape \(8, 4\)"),
        ({"normalise_qk": QKNorm()}, r"params\.layers\.attention\.heads\.gamma_q is missing, expected shape \(1, 3\)"),
        ({"final_norm": False}, r"params\.gamma is one too many, expected None"),
        ({"table": None}, r"params\.W_p is one too many, expected None"),
    ):
        with pytest.raises(ValueError, match=f"^d_transformer: {message} from DTransformerHyperparameters") as caught:
            d_transformer(x, printed, decoder(**variations))
        assert re.search(f"{next(iter(variations))}=", str(caught.value))


def test_heads_that_do_not_fall_into_groups():
    params = init_d_transformer(jax.random.key(0), decoder()).layers.attention.heads
    heads = jax.tree.map(lambda W: W[0], params)
    heads = heads.replace(W_k=heads.W_k[:3], b_k=heads.b_k[:3], W_v=heads.W_v[:3], b_v=heads.b_v[:3])
    X = jnp.zeros((5, 6), heads.W_q.dtype)
    with pytest.raises(ValueError, match=r"^attention: params.W_[qk] has .*4"):
        attention(X, X, heads)


def test_what_is_no_attending():
    params = jax.tree.map(lambda W: W[0], init_d_transformer(jax.random.key(0), decoder()).layers.attention.heads)
    X = jnp.zeros((5, 6), params.W_q.dtype)
    with pytest.raises(TypeError, match=r"^attention: attending is a Rotary, expected Attending$"):
        attention(X, X, params, attending=Rotary())
    assert attention(X, X, params, attending=Attending()).shape == (4, 5, 2)
