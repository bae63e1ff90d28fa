"""Directories in the form of Hugging Face: what they may look like, and what their configurations may say."""

import json

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.models import families, load, save
from formal_tx.models.safetensors_file import SafetensorsFile, write_safetensors
from formal_tx.runs.model_directory import Model, save_model
from tests.models.tiny import GPT2, IDS, LLAMA, OPT, make, random_params, same, tensors_of


@pytest.mark.parametrize("config", [GPT2, OPT, LLAMA], ids=lambda config: config["model_type"])
def test_what_is_saved_is_loaded_again(tmp_path, config):
    model = load(make(tmp_path / "a", config))
    save(tmp_path / "b", model)
    again = load(tmp_path / "b")
    assert same(model.params, again.params)
    assert model.hyperparameters == again.hyperparameters
    assert again.config == {**model.config, "dtype": "float32"}
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    np.testing.assert_array_equal(model.logits(IDS), again.logits(IDS))
    assert model.logits(IDS).shape == (5, 11)


def test_a_model_says_what_it_is(tmp_path):
    model = load(make(tmp_path, LLAMA))
    assert (model.family, model.architecture, model.tokenizer) == ("llama", "decoder", None)
    assert repr(model).startswith("Model(llama, DTransformerHyperparameters(l_max=8, H=4, d_e=8")
    with pytest.raises(ValueError, match="the architecture is 'decoder', and only an 'encoder' has features"):
        model.features(IDS)


def test_names_may_lack_their_prefix_and_buffers_are_ignored(tmp_path):
    tensors = tensors_of(GPT2)
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    bare["h.0.attn.bias"] = np.tri(8, dtype=np.float32)[None, None]
    assert same(load(make(tmp_path / "a", tensors=bare)).params, load(make(tmp_path / "b", tensors=tensors)).params)


def test_a_head_that_is_the_table_of_embeddings_may_stand_there_twice(tmp_path):
    tensors = tensors_of(GPT2)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
    assert load(make(tmp_path, tensors=tensors)).params.W_u is None
    tensors["lm_head.weight"] = tensors["lm_head.weight"] + 1
    with pytest.raises(ValueError, match=r"lm_head.weight and transformer.wte.weight differ, .*tie_word_embeddings"):
        load(make(tmp_path, tensors=tensors))
    untied = load(make(tmp_path, {**GPT2, "tie_word_embeddings": False}, tensors))
    np.testing.assert_array_equal(untied.params.W_u, tensors["lm_head.weight"])


def test_shards_are_one_model(tmp_path):
    whole, tensors = load(make(tmp_path / "a")), tensors_of(GPT2)
    directory = tmp_path / "b"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(GPT2))
    halves = {"1.safetensors": sorted(tensors)[:9], "2.safetensors": sorted(tensors)[9:]}
    for file, names in halves.items():
        write_safetensors(directory / file, {name: tensors[name] for name in names})
    where = {name: file for file, names in halves.items() for name in names}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert same(load(directory).params, whole.params)


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_parameters_are_float32_unless_another_type_is_asked_for(tmp_path, kind):
    make(tmp_path, dtype=kind)
    tensor = SafetensorsFile(tmp_path / "model.safetensors")["transformer.wte.weight"]
    for asked, dtype in ((None, np.float32), ("bfloat16", ml_dtypes.bfloat16), (jnp.float16, np.float16)):
        W_e = load(tmp_path, asked).params.W_e
        assert W_e.dtype == dtype
        np.testing.assert_array_equal(W_e, tensor.astype(dtype))


def test_float64_stays_where_there_is_float64(tmp_path, x64):
    make(tmp_path / "a", dtype=np.float64)
    assert load(tmp_path / "a").params.W_e.dtype == np.float64
    make(tmp_path / "b", dtype=np.float32)
    assert load(tmp_path / "b").params.W_e.dtype == np.float32
    assert load(tmp_path / "b", "float64").params.W_e.dtype == np.float64


def test_bfloat16_is_saved_to_the_same_bits(tmp_path):
    make(tmp_path / "a", OPT, dtype=ml_dtypes.bfloat16)
    save(tmp_path / "b", load(tmp_path / "a", "bfloat16"))
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert json.loads((tmp_path / "b/config.json").read_text())["dtype"] == "bfloat16"


def test_rows_that_no_position_has_are_extras_and_come_back(tmp_path):
    name, tensors = "model.decoder.embed_positions.weight", tensors_of(OPT)
    tensors[name][:2] = [[7] * 6, [8] * 6]
    model = load(make(tmp_path / "a", OPT, tensors))
    np.testing.assert_array_equal(model.params.W_p, tensors[name][2:])
    np.testing.assert_array_equal(model.extras[name], tensors[name][:2])
    save(tmp_path / "b", model)
    np.testing.assert_array_equal(SafetensorsFile(tmp_path / "b/model.safetensors")[name], tensors[name])


def test_the_model_does_not_change_with_its_file(tmp_path):
    model = load(make(tmp_path))
    before = np.array(model.params.W_e)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 2)
        file.write(b"\0" * (size // 2))
    np.testing.assert_array_equal(model.params.W_e, before)


def test_a_directory_of_our_own_is_a_model_too(tmp_path):
    tokenizer = Tokenizer.train("bytes", ["abc"])
    hp = DTransformerHyperparameters(l_max=8, L=1, H=2, d_e=6, d_mlp=5, N_V=tokenizer.N_V)
    params = random_params(hp)
    save_model(tmp_path, Model("decoder", params, hp, tokenizer))
    model = load(tmp_path)
    assert same(model.params, params)
    assert (model.hyperparameters, model.tokenizer.json) == (hp, tokenizer.json)
    assert load(tmp_path, "bfloat16").params.W_e.dtype == jnp.bfloat16


@pytest.mark.oracle
def test_a_pickle_is_read_without_running_it(tmp_path):
    torch = pytest.importorskip("torch")
    model, tensors = load(make(tmp_path)), tensors_of(GPT2)
    (tmp_path / "model.safetensors").unlink()
    tensors = {name: torch.tensor(tensor) for name, tensor in tensors.items()}
    torch.save({**tensors, "lm_head.weight": tensors["transformer.wte.weight"]}, tmp_path / "pytorch_model.bin")
    assert same(load(tmp_path).params, model.params)


# Configurations


BLOOM = {"model_type": "bloom", "vocab_size": 11}
PYTHIA = {**{name: OPT[name] for name in OPT if name != "ffn_dim"}, "model_type": "gpt_neox", "intermediate_size": 5}
GEMMA = {**LLAMA, "model_type": "gemma"}
LINEAR, ROPE = {"rope_type": "linear", "factor": 2.0}, {"rope_theta": 300.0}
OLDER_AND_NEWER = {
    "base": ({**LLAMA, **ROPE}, {**LLAMA, "rope_parameters": {**ROPE, "rope_type": "default"}}),
    "scaling": (
        {**LLAMA, **ROPE, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {**LLAMA, "rope_parameters": {**ROPE, **LINEAR}},
    ),
    "all of them are heads of keys": ({**LLAMA, "num_key_value_heads": None}, {**LLAMA, "num_key_value_heads": 4}),
    "a part rotated": (
        {**PYTHIA, "hidden_size": 16, "rotary_pct": 0.5, "rotary_emb_base": 300},
        {**PYTHIA, "hidden_size": 16, "rope_parameters": {**ROPE, "partial_rotary_factor": 0.5}},
    ),
    "sizes": (
        {**BLOOM, "n_embed": 6, "num_hidden_layers": 2, "num_attention_heads": 2, "n_inner": None},
        {**BLOOM, "hidden_size": 6, "n_layer": 2, "n_head": 2},
    ),
    "an activation": ({**GEMMA, "hidden_act": "gelu"}, {**GEMMA, "hidden_activation": "gelu_pytorch_tanh"}),
    "several tokens that end": ({**GPT2, "eos_token_id": [7, 9]}, {**GPT2, "eos_token_id": 7, "bos_token_id": 7}),
}


@pytest.mark.parametrize("name", OLDER_AND_NEWER)
def test_configurations_may_be_written_in_several_ways(name):
    older, newer = OLDER_AND_NEWER[name]
    family = families()[older["model_type"]]
    assert family.hyperparameters(older) == family.hyperparameters(newer)


def test_windows_are_those_of_their_layers():
    qwen = {**LLAMA, "num_hidden_layers": 4, "model_type": "qwen2", "sliding_window": 3, "max_window_layers": 1}
    hyperparameters = families()["qwen2"].hyperparameters
    assert hyperparameters(qwen).windows == (None,)
    assert hyperparameters({**qwen, "use_sliding_window": True}).windows == (None, 3, 3, 3)
    gemma = {**LLAMA, "num_hidden_layers": 5, "model_type": "gemma2", "sliding_window": 3}
    assert families()["gemma2"].hyperparameters(gemma).windows == (3, None)
    assert families()["llama"].hyperparameters({**LLAMA, "sliding_window": 3}).windows == (3,)
