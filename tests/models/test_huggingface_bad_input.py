"""Directories in the form of Hugging Face in which something is wrong, and models that do not fit themselves."""

import json

import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters
from formal_tx.models import Model, load, memory
from formal_tx.models.safetensors_file import SafetensorsFile
from tests.models.tiny import GPT2, IDS, LLAMA, OPT, make, tensors_of


def test_a_path_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such file or directory"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no config.json, .* and no model.bin"):
        load(tmp_path)
    make(tmp_path)
    with pytest.raises(ValueError, match=rf"model.safetensors is one file of a model: give the directory {tmp_path}"):
        load(tmp_path / "model.safetensors")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes.txt is no GGUF file, and other models are directories; .*b'hell'"):
        load(tmp_path / "notes.txt")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no weights: no model.safetensors, .*pytorch_model.bin"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "line 1, column 2: .*expected JSON"),
        ("[1]", "has a list, expected an object"),
        ("\ufeff{}", "expected JSON"),
        ("{}", "model_type is None, expected one of .*llama"),
        ({**GPT2, "model_type": "lama"}, "there is no model_type 'lama'; the nearest are llama"),
        ({**GPT2, "model_type": "xyz"}, "there is no model_type 'xyz'; they are .*gpt2"),
        ({**GPT2, "model_type": ["gpt2"]}, r"model_type is \['gpt2'\], expected one of"),
        ({"model_type": "gpt2"}, "there is no entry 'n_positions'"),
        ({**GPT2, "n_layer": "2"}, "L is '2', expected an integer"),
        ({**GPT2, "n_layer": -1}, "L is -1, expected an integer of at least 0"),
        ({**GPT2, "n_head": 4}, "H = 4 does not divide d_e = 6"),
        ({**GPT2, "n_embd": None, "n_head": None}, "an entry has a value of another type than expected"),
        ({**GPT2, "activation_function": "mish"}, "the activation 'mish' is not known; they are gelu"),
        ({**GPT2, "scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True, and only False"),
        ({**GPT2, "quantization_config": {"bits": 4}}, "quantised weights are read from GGUF files alone"),
        ({**OPT, "word_embed_proj_dim": 3}, "word_embed_proj_dim is 3, and only 6 is supported"),
        ({**LLAMA, "num_attention_heads": 0}, "division|modulo|zero"),
        ({**LLAMA, "num_key_value_heads": 3}, "H_kv is 3, expected a divisor of H = 4"),
        ({**LLAMA, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "is 'dynamic', expected default, linear"),
        ({**LLAMA, "rope_scaling": {"type": "linear"}}, "there is no entry 'factor'"),
        ({**LLAMA, "layer_types": ["full_attention", "chunked"]}, r"layer_types\[1\] is 'chunked', expected one of"),
        ({**LLAMA, "layer_types": ["full_attention"]}, "an entry has a value of another type"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused(tmp_path, config, message):
    make(tmp_path)
    (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=rf"config.json.*({message})"):
        load(tmp_path)


def test_tensors_that_are_missing_left_over_or_of_another_shape_are_named(tmp_path):
    name, tensors = "transformer.h.1.mlp.c_fc.weight", tensors_of(GPT2)
    with pytest.raises(ValueError, match=rf"{tmp_path}: tensors are missing: {name}$"):
        load(make(tmp_path, tensors={n: t for n, t in tensors.items() if n != name}))
    with pytest.raises(ValueError, match=r"tensors are left over: .*: transformer.h.2.ln_1.bias, transformer.more"):
        load(make(tmp_path, tensors=tensors | {"transformer.more": IDS, "transformer.h.2.ln_1.bias": IDS}))
    with pytest.raises(
        ValueError, match=rf"{name} has shape \(24, 6\), which gives .*W_mlp1 \(6, 24\), expected \(24, 6\)"
    ):
        load(make(tmp_path, tensors=tensors | {name: tensors[name].T}))
    with pytest.raises(ValueError, match=rf"tensor {name} has type int32, expected numbers with a point"):
        load(make(tmp_path, tensors=tensors | {name: tensors[name].astype(np.int32)}))
    twice = {"wte.weight": tensors["transformer.wte.weight"], **tensors}
    with pytest.raises(ValueError, match=r"tensors .*wte.weight and .*wte.weight are both transformer.wte.weight"):
        load(make(tmp_path, tensors=twice))


def test_a_configuration_with_any_number_of_layers_takes_no_time(tmp_path):
    make(tmp_path, tensors=tensors_of(GPT2))
    (tmp_path / "config.json").write_text(json.dumps({**GPT2, "n_layer": 10**7}))
    with pytest.raises(ValueError, match=r"tensors are missing: transformer.h.2.ln_1.weight, .* and 993 more"):
        load(tmp_path)


def test_a_model_that_is_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr(SafetensorsFile, "__getitem__", lambda self, name: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"parameters take .* GB as float32, and .* GB of memory are available; as"):
        load(tmp_path)


def test_the_machine_says_how_much_memory_it_has():
    assert 10**6 < memory.available() < 10**14


@pytest.mark.parametrize("dtype", ["int16", "float8_e4m3fn", "nonsense", object()])
def test_a_type_that_parameters_cannot_have_is_refused(tmp_path, dtype):
    with pytest.raises(ValueError, match=r"dtype is .*, expected one of float16, bfloat16, float32, float64"):
        load(make(tmp_path), dtype)


def test_float64_needs_64_bit_types(tmp_path):
    with pytest.raises(ValueError, match="dtype is float64, for which JAX needs jax_enable_x64"):
        load(make(tmp_path), "float64")


def test_a_model_that_does_not_fit_itself_is_refused():
    hp = DTransformerHyperparameters(l_max=8, L=1, H=2, d_e=6, d_mlp=5, N_V=11)
    with pytest.raises(ValueError, match="the hyperparameters of architecture 'encoder' are ETransformer"):
        Model("encoder", hp, None)
    with pytest.raises(ValueError, match="there is no architecture 'gpt'"):
        Model("gpt", hp, None)
