"""Which laws `flax.nnx.MultiHeadAttention` breaks, and that it really does."""

import runpy
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from flax import nnx

from formal_tx.crosscheck.adapters.flax import causal_attention, decoding_attention, multihead_attention
from formal_tx.crosscheck.laws import run

VIOLATIONS = Path(__file__).parents[2] / "examples" / "violations"
OF_DECODING = ("causality", "causality-by-gradient", "no-visible-key", "cache-is-no-cache", "full-cache")


def attention(dtype="float32"):
    bias = nnx.initializers.normal(0.5)
    sizes = {"num_heads": 2, "in_features": 6, "qkv_features": 10, "out_features": 6}
    with jax.enable_x64(dtype == "float64"):
        return nnx.MultiHeadAttention(**sizes, bias_init=bias, param_dtype=dtype, rngs=nnx.Rngs(0))


@pytest.fixture
def jax_as_it_comes():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def violated(model, names=None):
    findings = run(model, names)
    assert not [f for f in findings if f.outcome == "could not run"]
    return {f.law for f in findings if f.outcome == "violated"}


@pytest.mark.usefixtures("jax_as_it_comes")
def test_a_query_that_sees_nothing():
    names = ("no-visible-key", "no-visible-key-stays-alone", "head-permutation", "weights-sum-to-one")
    assert violated(multihead_attention(attention()), names) == {"no-visible-key"}


@pytest.mark.slow
@pytest.mark.usefixtures("jax_as_it_comes")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_plain_attention_breaks(dtype):
    assert violated(multihead_attention(attention(dtype))) == {"no-visible-key"}


@pytest.mark.slow
@pytest.mark.usefixtures("jax_as_it_comes")
def test_what_causal_attention_breaks():
    assert violated(causal_attention(attention())) == {"no-visible-key"}


@pytest.mark.usefixtures("jax_as_it_comes")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_what_decoding_breaks(dtype):
    module = attention(dtype)
    found = violated(decoding_attention(module, is_causal=False), OF_DECODING)
    assert found == {"no-visible-key", "full-cache"}
    found = violated(decoding_attention(module, is_causal=True), OF_DECODING)
    assert found == {"no-visible-key", "full-cache", "cache-is-no-cache"}


@pytest.mark.usefixtures("jax_as_it_comes")
def test_the_softmax_of_flax_is_in_single_precision():
    """Why the adapter says so: held to double precision, it would be accused of what is rounding."""
    model = replace(multihead_attention(attention("float64")), rounding=None)
    (finding,) = run(model, ["score-shift"])
    assert finding.outcome == "violated"
    assert 1e-9 < finding.error < 1e-6


SAYS = {
    "nnx_decode_is_causal": [
        "is_causal=False while decoding: the answers to tokens [] differ",
        "is_causal=True while decoding: the answers to tokens [1, 2, 3] differ",
    ],
    "nnx_full_cache": ["the fifth answer is that to tokens 0, 1, 2 and 4: True"],
    "nnx_no_visible_key": [
        "nothing is visible, and the answer depends on it: True",
        "it is that of the mean value: True",
    ],
}


@pytest.mark.usefixtures("jax_as_it_comes")
@pytest.mark.parametrize("name", SAYS)
def test_a_violation_is_real(name, capsys):
    path = VIOLATIONS / f"{name}.py"
    runpy.run_path(str(path))
    assert capsys.readouterr().out.splitlines() == SAYS[name]
    code = [line for line in path.read_text("utf-8").split('"""', 2)[2].splitlines() if line.strip()]
    assert len(code) <= 10
