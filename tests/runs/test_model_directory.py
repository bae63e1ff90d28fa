"""A model comes back from its directory as it was: its bits, its hyperparameters, its tokenizer, its configuration."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open

import formal_tx
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.hyperparameters import VARIATIONS
from formal_tx.runs.model_directory import Model, load_model, save_model
from formal_tx.runs.parameter_file import ARCHITECTURES, load_parameters, save_parameters

SIZES = {"l_max": 7, "H": 2, "d_e": 6, "d_mlp": 11}
LAYERS = {"decoder": {"L": 2}, "encoder": {"L": 2, "d_f": 5}, "encoder-decoder": {"L_enc": 1, "L_dec": 3}}
CONFIGURATION = {"seed": 3, "data": ["Éxodo.txt"], "training": {"steps": 100, "peak": 1e-3, "clip": None}}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train("characters", [corpus.spanish("validation")])


def model_of(architecture, tokenizer, **changes):
    kind, _, initialise = ARCHITECTURES[architecture]
    hyperparameters = kind(**SIZES, **LAYERS[architecture], N_V=tokenizer.N_V, **changes)
    return Model(
        architecture, initialise(jax.random.key(1), hyperparameters), hyperparameters, tokenizer, CONFIGURATION
    )


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, jax.Array)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("changes", [{}, {"d_attn": 4, "d_mid": 5, "epsilon": 0.1}, {"no layers": True}], ids=str)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_round_trip(tmp_path, tokenizer, architecture, changes):
    if "no layers" in changes:
        changes = dict.fromkeys(LAYERS[architecture].keys() - {"d_f"}, 0) | {"d_mlp": 3}
    model = model_of(architecture, tokenizer)
    hyperparameters = replace(model.hyperparameters, **changes)
    params = ARCHITECTURES[architecture].initialise(jax.random.key(2), hyperparameters)
    model = replace(model, hyperparameters=hyperparameters, params=params)
    save_model(tmp_path / "here", model)
    shutil.move(tmp_path / "here", tmp_path / "there")
    loaded = load_model(tmp_path / "there")
    assert_same_bits(loaded.params, params)
    assert (loaded.architecture, loaded.hyperparameters) == (architecture, hyperparameters)
    assert loaded.configuration == CONFIGURATION
    assert loaded.tokenizer == tokenizer
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_equal_models_are_equal_files(tmp_path, tokenizer):
    """safetensors by itself writes its metadata in an order that changes from one call to the next."""
    model = model_of("decoder", tokenizer)
    files = set()
    for n in range(10):
        save_parameters(tmp_path / f"{n}.safetensors", model.params)
        files.add((tmp_path / f"{n}.safetensors").read_bytes())
    assert len(files) == 1


def test_tied_embeddings_have_no_W_u(tmp_path, tokenizer):
    model = model_of("decoder", tokenizer, tied_embeddings=True)
    save_model(tmp_path, model)
    assert_same_bits(load_model(tmp_path).params, model.params)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert "W_u" not in file.keys()  # noqa: SIM118  # it is no dictionary


def test_it_computes_the_same(tmp_path, tokenizer):
    model = model_of("decoder", tokenizer)
    save_model(tmp_path, model)
    loaded = load_model(tmp_path)
    x = loaded.tokenizer.encode("Jesús")
    expected = formal_tx.d_transformer(x, model.params, model.hyperparameters)
    assert np.array_equal(formal_tx.d_transformer(x, loaded.params, loaded.hyperparameters), expected)


def test_what_others_read(tmp_path, tokenizer):
    """The names of the paper, the layout of this library, float32; and JSON that says what everything is."""
    model = model_of("decoder", tokenizer)
    save_model(tmp_path, model)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "1", "architecture": "decoder", "formal-tx": formal_tx.__version__}
        names = set(file.keys())
        W_q = file.get_tensor("layers.attention.heads.W_q")
    assert {"W_e", "W_p", "W_u", "gamma", "layers.W_mlp1", "layers.attention.W_o"} <= names
    assert np.array_equal(W_q, model.params.layers.attention.heads.W_q)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    printed = [f.name for f in fields(model.hyperparameters) if f.name not in VARIATIONS]
    assert config == {
        "format": 1,
        "architecture": "decoder",
        "hyperparameters": {n: getattr(model.hyperparameters, n) for n in printed},
        "files": {
            name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
            for name in ("model.safetensors", "tokenizer.json")
        },
        **CONFIGURATION,
    }
    assert "Éxodo" in (tmp_path / "config.json").read_text("utf-8")


def test_written_over(tmp_path, tokenizer):
    save_model(tmp_path, model_of("encoder", tokenizer))
    model = model_of("decoder", tokenizer)
    save_model(tmp_path, model)
    assert_same_bits(load_model(tmp_path).params, model.params)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_is_written_as_float32(tmp_path, tokenizer, dtype):
    model = model_of("decoder", tokenizer)
    params = jax.tree.map(lambda W: W.astype(dtype), model.params)
    save_parameters(tmp_path / "file", params)
    loaded = load_parameters(tmp_path / "file", model.hyperparameters, "decoder")
    assert_same_bits(loaded, jax.tree.map(lambda W: W.astype("float32"), params))


def test_any_order_in_memory(tmp_path, tokenizer):
    """NumPy's arrays, transposed ones too, are written as what they mean."""
    model = model_of("decoder", tokenizer)
    params = jax.tree.map(lambda W: np.asfortranarray(W), model.params)
    save_parameters(tmp_path / "file", params)
    assert_same_bits(load_parameters(tmp_path / "file", model.hyperparameters, "decoder"), model.params)


def test_without_what_takes_long_to_import():
    code = (
        "import json, sys, formal_tx.runs.model_directory\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert {"optax", "orbax", "tensorstore", "torch", "typer"} & set(json.loads(done.stdout)) == set()
    assert done.stderr == ""


def test_float64_is_not_rounded_in_silence(tmp_path, tokenizer, x64):
    model = model_of("decoder", tokenizer)
    params = jax.tree.map(lambda W: jnp.asarray(W, float), model.params)
    with pytest.raises(TypeError, match=r"^params\.W_e has dtype float64, expected one that float32 includes$"):
        save_parameters(tmp_path / "file", params)
    assert list(tmp_path.iterdir()) == []
