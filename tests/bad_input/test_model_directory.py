"""Directories that hold no model, or not a whole one: what `load_model` and `save_model` say of each."""

import hashlib
import json
import os
from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import formal_tx
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.runs.hyperparameters_json import to_json
from formal_tx.runs.model_directory import Model, load_model, save_model
from formal_tx.runs.parameter_file import load_parameters, save_parameters

TOKENIZER = Tokenizer.train("characters", ["In the beginning"])
D = formal_tx.DTransformerHyperparameters(l_max=5, L=1, H=2, d_e=6, d_mlp=7, N_V=TOKENIZER.N_V)
FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture(scope="module")
def model():
    return Model("decoder", formal_tx.init_d_transformer(jax.random.key(0), D), D, TOKENIZER, {"seed": 1})


@pytest.fixture
def directory(tmp_path, model):
    save_model(tmp_path, model)
    return tmp_path


def refused(directory, error, message):
    with pytest.raises(error) as caught:
        load_model(directory)
    assert str(caught.value) == message
    assert type(caught.value) is error


def change_config(directory, **entries):
    """Change entries of config.json, or take those away that are None."""
    config = json.loads((directory / "config.json").read_text()) | entries
    config = {name: value for name, value in config.items() if value is not None}
    (directory / "config.json").write_text(json.dumps(config))


def sign(directory):
    """Make config.json expect the files as they are now."""
    names = ("model.safetensors", "tokenizer.json")
    change_config(
        directory, files={name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}
    )


def test_no_directory(tmp_path):
    message = f"{tmp_path}/none does not exist, expected the directory of a trained model"
    refused(tmp_path / "none", NotADirectoryError, message)
    (tmp_path / "file").write_text("")
    refused(
        tmp_path / "file", NotADirectoryError, f"{tmp_path}/file is a file, expected the directory of a trained model"
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_missing(directory, name):
    (directory / name).unlink()
    refused(
        directory,
        FileNotFoundError,
        f"{directory} has no {name}, which a trained model needs; `formal-tx train … --out {directory}` writes it "
        "when it has finished",
    )


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize(
    "spoil",
    [lambda content: content + b" ", lambda content: content[:-1], lambda content: b""],
    ids=["longer", "shorter", "empty"],
)
def test_a_file_is_altered(directory, name, spoil):
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(spoil(content))
    found, expected = (hashlib.sha256(some).hexdigest() for some in (spoil(content), content))
    refused(
        directory,
        ValueError,
        f"{directory}/{name} has been altered, or belongs to another model: its SHA-256 is {found}, and config.json "
        f"has {expected}",
    )


def test_config_that_is_no_json(directory):
    path = directory / "config.json"
    path.write_text('{\n  "format": 1,\n  "architecture" "decoder"}')
    refused(directory, ValueError, f"{path}, line 3, column 18: Expecting ':' delimiter, expected JSON")
    path.write_text("")
    refused(directory, ValueError, f"{path}, line 1, column 1: Expecting value, expected JSON")
    path.write_bytes(b'{"a": "\xff"}')
    refused(directory, ValueError, f"{path} is no text: byte 7 is 0xff")
    path.write_text("[1]")
    refused(directory, ValueError, f"{path}: its content is of type list, expected an object")


@pytest.mark.parametrize("name", ["format", "architecture", "hyperparameters", "files"])
def test_config_with_an_entry_missing(directory, name):
    change_config(directory, **{name: None})
    refused(directory, ValueError, f"{directory}/config.json: it has no entry {name!r}")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format": 2}, "its format is 2, expected 1, which is what this formal-tx reads"),
        ({"format": "1"}, "its format is '1', expected 1, which is what this formal-tx reads"),
        (
            {"architecture": "GPT"},
            "there is no architecture 'GPT'; they are 'decoder', 'encoder', 'encoder-decoder'",
        ),
        (
            {"architecture": ["decoder"]},
            "there is no architecture ['decoder']; they are 'decoder', 'encoder', 'encoder-decoder'",
        ),
        ({"hyperparameters": [5]}, "its entry 'hyperparameters' is of type list, expected an object"),
        ({"files": "all"}, "its entry 'files' is of type str, expected an object"),
    ],
    ids=str,
)
def test_config_with_an_entry_that_is_not_accepted(directory, entries, message):
    change_config(directory, **entries)
    refused(directory, ValueError, f"{directory}/config.json: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": 0}, "H is 0, expected an integer of at least 1"),
        ({"H": 4, "d_attn": None}, "H = 4 does not divide d_e = 6: choose another H, or give d_attn"),
        ({"d_model": 6}, "DTransformerHyperparameters.__init__() got an unexpected keyword argument 'd_model'"),
    ],
    ids=str,
)
def test_hyperparameters_that_are_not_accepted(directory, change, message):
    hyperparameters = json.loads((directory / "config.json").read_text())["hyperparameters"]
    change_config(directory, hyperparameters=hyperparameters | change)
    refused(directory, ValueError, f"{directory}/config.json: {message}")


def test_hyperparameters_of_another_model(directory):
    hyperparameters = replace(D, d_mlp=8)
    change_config(directory, hyperparameters=to_json(hyperparameters))
    refused(
        directory,
        ValueError,
        f"{directory}/model.safetensors does not fit {hyperparameters}: its layers.W_mlp1 is float32 (1, 7, 6), "
        "expected float32 (1, 8, 6)",
    )


def test_parameters_of_another_architecture(directory):
    change_config(directory, architecture="encoder", hyperparameters=to_json(D) | {"d_f": 6})
    refused(
        directory,
        ValueError,
        f"{directory}/model.safetensors has architecture 'decoder' in its metadata, expected 'encoder'",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("W_p"), "it has no W_p, expected float32 (5, 6)"),
        (lambda t: t.update(W_q=t["W_p"]), "it has W_q, float32 (5, 6), which is not expected"),
        (lambda t: t.update(gamma=t["gamma"][:5]), "its gamma is float32 (5,), expected float32 (6,)"),
        (lambda t: t.update(beta=t["beta"].astype(np.float16)), "its beta is F16 (6,), expected float32 (6,)"),
    ],
    ids=["too few", "too many", "shape", "dtype"],
)
def test_a_tensor_that_does_not_fit(directory, change, message):
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": "1", "architecture": "decoder"})
    sign(directory)
    refused(directory, ValueError, f"{path} does not fit {D}: {message}")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "format None in its metadata, expected '1'"),
        ({"format": "2", "architecture": "decoder"}, "format '2' in its metadata, expected '1'"),
        ({"format": "1"}, "architecture None in its metadata, expected 'decoder'"),
    ],
    ids=str,
)
def test_a_safetensors_file_of_somebody_else(directory, metadata, message):
    path = directory / "model.safetensors"
    save_file(load_file(path), path, metadata)
    sign(directory)
    refused(directory, ValueError, f"{path} has {message}")


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_safetensors_file_that_is_cut_short(directory, size):
    path = directory / "model.safetensors"
    os.truncate(path, size % path.stat().st_size)
    with pytest.raises(ValueError, match="is no safetensors file, or has been cut short: ") as caught:
        load_parameters(path, D, "decoder")
    assert str(caught.value).startswith(f"{path} is")
    with pytest.raises(FileNotFoundError, match="none"):
        load_parameters(directory / "none", D, "decoder")
    with pytest.raises(ValueError, match="there is no architecture None"):
        load_parameters(path, D, None)


def test_a_tokenizer_of_another_vocabulary(directory, model):
    other = Tokenizer.train("characters", ["God"])
    other.save(directory / "tokenizer.json")
    sign(directory)
    message = f"the vocabulary of the tokenizer has {other.N_V} tokens, and that of the model {D.N_V}"
    refused(directory, ValueError, f"{directory}: {message}")
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(model, tokenizer=other)


def test_a_tokenizer_that_is_none(directory):
    (directory / "tokenizer.json").write_text("{}")
    sign(directory)
    with pytest.raises(ValueError, match="tokenizer") as caught:
        load_model(directory)
    assert str(caught.value).startswith(f"{directory}/tokenizer.json: ")


def test_models_that_do_not_belong_together(model):
    with pytest.raises(ValueError, match=r"^there is no architecture 'gpt'; they are 'decoder', 'encoder', 'enc"):
        replace(model, architecture="gpt")
    message = "the hyperparameters of architecture 'encoder' are ETransformerHyperparameters, not DTransformerHyper"
    with pytest.raises(ValueError, match=f"^{message}parameters$"):
        replace(model, architecture="encoder")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"configuration": {"files": []}}, ValueError, "an entry 'files', a name that config.json needs for its own"),
        ({"configuration": {"data": {1, 2}}}, TypeError, "Object of type set is not JSON serializable"),
        ({"configuration": {"loss": float("nan")}}, ValueError, "Out of range float values are not JSON compliant"),
        ({"params": None}, TypeError, "save_model: params"),
        ({"hyperparameters": replace(D, d_mlp=8)}, ValueError, "save_model: params.layers.W_mlp1 has shape (1, 7, 6)"),
    ],
    ids=["reserved", "no JSON", "nan", "no parameters", "other parameters"],
)
def test_what_cannot_be_saved(tmp_path, model, changes, error, message):
    with pytest.raises(error) as caught:
        save_model(tmp_path / "new", replace(model, **changes))
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_parameters_of_nothing(tmp_path, model):
    with pytest.raises(
        TypeError, match=r"^params is of type LayerParameters, expected the parameters of an architecture$"
    ):
        save_parameters(tmp_path / "file", model.params.layers)


def test_a_disk_that_refuses(tmp_path, model):
    """The old file stays, and no part of the new one."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=rf"^{tmp_path}/file was not written: Is a directory$"):
        save_parameters(tmp_path / "file", model.params)
    (tmp_path / "file").rmdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match=rf"^{tmp_path}/file/new was not written: Not a directory$"):
        save_parameters(tmp_path / "file" / "new", model.params)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
