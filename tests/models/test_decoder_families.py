"""Every family of decoders: the same logits as transformers, the same tensors after a round trip, known sizes."""

import math

import jax
import numpy as np
import pytest

from formal_tx.inference import d_prefill, d_step
from formal_tx.models import families, load, published
from formal_tx.models.registry import family_of
from formal_tx.models.tables import expected, read, write

SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

# Widths are different wherever a family leaves the choice. Heads are 6 or 12, not a power of two, which ALiBi minds.
GPT = {"n_embd": 24, "n_layer": 3, "n_head": 6, "n_positions": 19, "vocab_size": 41, **SPECIAL}
WIDE = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 6, "vocab_size": 41, **SPECIAL}
LLAMA = {**WIDE, "num_key_value_heads": 2, "intermediate_size": 31, "max_position_embeddings": 19, "head_dim": 10}
NO_WIDTH = {name: value for name, value in LLAMA.items() if name != "head_dim"}
GEMMA2 = {**LLAMA, "sliding_window": 3}
NEOX = {**WIDE, "intermediate_size": 31, "max_position_embeddings": 19}
OPT = {**WIDE, "ffn_dim": 31, "max_position_embeddings": 19}
BLOOM = {"hidden_size": 24, "n_layer": 3, "n_head": 6, "vocab_size": 41, "seq_length": 19, **SPECIAL}
MPT = {"d_model": 24, "n_layers": 3, "n_heads": 6, "vocab_size": 41, "max_seq_len": 19, **SPECIAL}


def _rope(kind, **entries):
    return {"rope_parameters": {"rope_theta": 500.0, "rope_type": kind, **entries}}


_LLAMA3 = _rope("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
_YARN = _rope("yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=3.0)

# Name: the type of the model, and the entries of its configuration.
CASES = {
    "gpt1": ("openai-gpt", GPT),
    "gpt2": ("gpt2", GPT),
    "gpt2, untied, ReLU, narrow MLP": (
        "gpt2",
        {**GPT, "tie_word_embeddings": False, "activation_function": "relu", "n_inner": 13},
    ),
    "gptj": ("gptj", {**GPT, "n_embd": 36, "rotary_dim": 4}),
    "gpt_neox": ("gpt_neox", {**NEOX, "hidden_size": 48}),
    "gpt_neox, in sequence, all rotated": (
        "gpt_neox",
        {**NEOX, "use_parallel_residual": False, **_rope("default", partial_rotary_factor=1.0)},
    ),
    "gpt_neox, no biases, tied": (
        "gpt_neox",
        {**NEOX, "attention_bias": False, "tie_word_embeddings": True, **_rope("default", partial_rotary_factor=0.5)},
    ),
    "opt": ("opt", OPT),
    "opt, norms after": ("opt", {**OPT, "do_layer_norm_before": False}),
    "opt, no biases": ("opt", {**OPT, "enable_bias": False, "activation_function": "gelu"}),
    "bloom": ("bloom", BLOOM),
    "mpt": ("mpt", MPT),
    # Not `alibi_bias_max`: transformers computes its slopes with 8 whatever it is.
    "mpt, 4 heads, another scale": ("mpt", {**MPT, "n_heads": 4, "attn_config": {"softmax_scale": 0.3}}),
    "llama": ("llama", LLAMA),
    "llama, all biases, tied, linear": (
        "llama",
        {**LLAMA, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, **_rope("linear", factor=2.5)},
    ),
    "llama 3.1": ("llama", {**LLAMA, **_LLAMA3}),
    "llama, YaRN": ("llama", {**LLAMA, **_YARN}),
    "mistral": ("mistral", {**LLAMA, "sliding_window": 3}),
    "mistral, no window": ("mistral", {**LLAMA, "sliding_window": None}),
    "qwen2": ("qwen2", NO_WIDTH),
    "qwen2, windows": (
        "qwen2",
        {
            **NO_WIDTH,
            "use_sliding_window": True,
            "sliding_window": 3,
            "max_window_layers": 2,
            "tie_word_embeddings": True,
        },
    ),
    "qwen3": ("qwen3", LLAMA),
    "gemma": ("gemma", LLAMA),
    "gemma2": (
        "gemma2",
        {
            **LLAMA,
            "sliding_window": 3,
            "query_pre_attn_scalar": 5,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma2, no caps": (
        "gemma2",
        {**GEMMA2, "attn_logit_softcapping": None, "final_logit_softcapping": None},
    ),
    "olmo2": ("olmo2", NO_WIDTH),
}


@pytest.fixture
def oracles():
    """The harness; what uses it is skipped without PyTorch."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models import oracles

    return oracles


def _config(oracles, name):
    model_type, entries = CASES[name]
    return oracles.transformers.AutoConfig.for_model(model_type, **entries)


def _family(name):
    model_type, entries = CASES[name]
    return family_of({"model_type": model_type}), entries


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_names_has_every_parameter_once(name):
    family, entries = _family(name)
    hp = family.hyperparameters(entries)
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda W: random.normal(size=W.shape), expected("decoder", hp))
    tensors = write(params, family.rows(hp), hp)
    again = read(tensors, family.rows(hp), "decoder", hp)
    assert jax.tree.structure(again) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, again, params)
    extras = sum(2 * hp.d_e for name in tensors if "embed_positions" in name and family.name == "opt")
    assert sum(W.size for W in tensors.values()) == sum(W.size for W in jax.tree.leaves(params)) + extras


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_what_a_configuration_does_not_say_is_what_transformers_takes(oracles, name):
    family, entries = _family(name)
    whole = {**_config(oracles, name).to_dict(), **{k: v for k, v in entries.items() if k == "seq_length"}}
    assert family.hyperparameters(entries) == family.hyperparameters(whole)


# BLOOM's code has √(2/π) in its GELU as 0.79788456, which makes 6e-10 in float64; others 1e-14.
@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_are_those_of_transformers(oracles, name, dtype, tmp_path):
    with oracles.precision(dtype):
        theirs = oracles.make(_config(oracles, name))
        oracles.write(theirs, tmp_path)
        oracles.compare_logits(load(tmp_path, dtype), theirs, oracles.ids(41, 2, 17), dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_round_trip_gives_the_same_bits(oracles, name, tmp_path):
    oracles.write(oracles.make(_config(oracles, name)), tmp_path / "theirs")
    x = oracles.ids(41, 2, 17)
    oracles.round_trip(tmp_path / "theirs", tmp_path / "ours", lambda model: oracles.outputs(model, x))


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_cached_decoding_is_uncached(oracles, name, tmp_path):
    with oracles.precision("float64"):
        oracles.write(oracles.make(_config(oracles, name)), tmp_path)
        model = load(tmp_path)
        x = oracles.ids(41, 2, 17)
        expected = np.asarray(model.logits(x))
        cache = d_prefill(x[:, :11], model.params, model.hyperparameters, slots=17)
        for t in range(11, 17):
            logits, cache = d_step(x[:, t], np.array(t), cache, model.params, model.hyperparameters)
            np.testing.assert_allclose(logits, expected[:, t], rtol=0, atol=1e-12 * np.abs(expected).max())


SIZES = {
    "gpt1": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
    "pythia-1.4b": 1_414_647_808,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
    "opt-125m": 125_239_296 - 2 * 768,  # the two rows that no position has are no parameters here
    "opt-6.7b": 6_658_473_984 - 2 * 4096,
    "bloom-560m": 559_214_592,
    "bloom-7b1": 7_069_016_064,
    "bloom": 176_247_271_424,
    "mpt-7b": 6_649_286_656,
    "palm-8b": 8_630_000_000,
    "palm-62b": 62_500_000_000,
    "palm-540b": 540_350_000_000,
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mistral-7b-v0.1": 7_241_732_096,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "qwen2-0.5b": 494_032_768,
    "qwen2-1.5b": 1_543_714_304,
    "qwen2-7b": 7_615_616_512,
    "qwen2-72b": 72_706_203_648,
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "gemma-2b": 2_506_172_416,
    "gemma-7b": 8_537_680_896,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2-27b": 27_227_128_320,
    "olmo-2-7b": 7_298_617_344,
    "olmo-2-13b": 13_716_198_400,
}
"""How many parameters published models have: as their files do; PaLM's as its paper prints them, in four digits."""


def _size(name):
    return sum(math.prod(W.shape) for W in jax.tree.leaves(expected("decoder", published(name))))


@pytest.mark.parametrize("name", SIZES)
def test_published_models_have_the_published_number_of_parameters(name):
    if name.startswith("palm"):
        assert _size(name) == pytest.approx(SIZES[name], rel=3e-4)
    else:
        assert _size(name) == SIZES[name]


def test_every_published_name_has_hyperparameters_of_its_architecture():
    for family in families().values():
        for name in family.published:
            assert published(name) == family.hyperparameters(family.published[name])
            expected(family.architecture, published(name))


def test_an_unknown_published_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="there is no published model 'gpt-2-xl'; the nearest are gpt2-xl"):
        published("gpt-2-xl")
