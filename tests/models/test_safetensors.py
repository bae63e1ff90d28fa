"""Safetensors files: every type, shards, and headers that lie."""

import json
import os
import random
import resource

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save

from formal_tx.models import families, load
from formal_tx.models.safetensors_file import DTYPES, SafetensorsFile, Shards, write_safetensors
from formal_tx.models.tables import expected, write

CONFIG = {
    "model_type": "gpt2",
    "n_embd": 4,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 5,
    "vocab_size": 7,
}


def content(tensors=None, metadata=None, tail=b""):
    """A file as it is written by hand: a header of any kind, and what follows it."""
    header = json.dumps({"__metadata__": metadata or {}, **(tensors or {})}).encode()
    return len(header).to_bytes(8, "little") + header + tail


def one(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_tensors_of_all_types_are_those_that_were_written(tmp_path):
    random_bytes = np.random.default_rng(0).integers(0, 2, 24, np.uint8)
    tensors = {f"t.{kind}": random_bytes.view(dtype).reshape(3, -1) for kind, dtype in DTYPES.items()}
    write_safetensors(tmp_path / "a.safetensors", tensors)
    found = SafetensorsFile(tmp_path / "a.safetensors")
    assert sorted(found) == sorted(tensors)
    assert len(found) == len(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert found[name].tobytes() == tensor.tobytes()
        assert not found[name].flags.writeable
        assert found.outlines()[name] == (tensor.dtype, tensor.shape)


def test_the_same_tensors_make_the_same_file_which_others_read(tmp_path):
    tensors = {"b": np.arange(6.0).reshape(2, 3), "a": np.float32(3), "c": np.zeros((0, 4), np.float16)}
    write_safetensors(tmp_path / "1", tensors)
    write_safetensors(tmp_path / "2", dict(reversed(tensors.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert {name: tensor.shape for name, tensor in load_file(tmp_path / "1").items()} == {
        "a": (),
        "b": (2, 3),
        "c": (0, 4),
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_matrix_that_is_stored_by_columns_is_written_as_it_reads(tmp_path):
    write_safetensors(tmp_path / "a", {"t": np.arange(6.0).reshape(2, 3).T})
    np.testing.assert_array_equal(SafetensorsFile(tmp_path / "a")["t"], np.arange(6.0).reshape(2, 3).T)


def test_tensors_in_shards_are_found_by_the_index(tmp_path):
    write_safetensors(tmp_path / "1.safetensors", {"a": np.arange(3.0), "b": np.arange(2.0)})
    write_safetensors(tmp_path / "2.safetensors", {"c": np.arange(4.0)})
    index = {"weight_map": {"a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}
    (tmp_path / "index").write_text(json.dumps(index))
    found = Shards(tmp_path / "index")
    assert {name: found[name].tolist() for name in found} == {"a": [0, 1, 2], "b": [0, 1], "c": [0, 1, 2, 3]}
    assert (len(found), "b" in found, "d" in found) == (3, True, False)
    assert set(found.outlines()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "has no entry 'weight_map'"),
        ('{"weight_map": {}}', "has no entry 'weight_map'"),
        (
            '{"weight_map": {"a": "../1.safetensors"}}',
            "should be in '../1.safetensors', expected the name of a file",
        ),
        ('{"weight_map": {"a": 1}}', "should be in 1, expected the name of a file"),
        (
            '{"weight_map": {"a": "1.safetensors", "z": "1.safetensors"}}',
            "z should be in 1.safetensors, and is not",
        ),
        ('{"weight_map": {}, "x": 1}', "has no entry 'weight_map'"),
        ('{"weight_map": {"b": "1.safetensors"}}', "tensor b should be in 1.safetensors, and is not"),
    ],
)
def test_an_index_that_is_wrong_is_refused(tmp_path, index, message):
    write_safetensors(tmp_path / "1.safetensors", {"a": np.arange(3.0)})
    (tmp_path / "index").write_text(index)
    with pytest.raises(ValueError, match=message):
        Shards(tmp_path / "index")


def test_a_shard_that_is_missing_or_has_more_than_the_index_is_refused(tmp_path):
    (tmp_path / "index").write_text('{"weight_map": {"a": "1.safetensors"}}')
    with pytest.raises(FileNotFoundError, match=r"1.safetensors: there is no such file"):
        Shards(tmp_path / "index")
    write_safetensors(tmp_path / "1.safetensors", {"a": np.arange(3.0), "more": np.arange(2.0)})
    with pytest.raises(ValueError, match=r"tensor more is in 1.safetensors, of which the index knows nothing"):
        Shards(tmp_path / "index")


_HUGE = 2**62
NOT_SAFETENSORS = {
    "empty": b"",
    "no header": b"\0" * 7,
    "a header longer than the file": (1 << 20).to_bytes(8, "little") + b"{}",
    "a header of 2^63 bytes": (1 << 63).to_bytes(8, "little") + b"{}",
    "no JSON": (4).to_bytes(8, "little") + b"abcd",
    "deep JSON": (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "not UTF-8": (4).to_bytes(8, "little") + b'{"\xff"',
    "cut short": content({"a": one()}, tail=b"\0" * 7),
    "too long": content({"a": one()}, tail=b"\0" * 9),
    "overlapping": content({"a": one(), "b": one(offsets=(4, 12))}, tail=b"\0" * 12),
    "a gap": content({"a": one(), "b": one(offsets=(12, 20))}, tail=b"\0" * 20),
    "backwards": content({"a": one(offsets=(8, 0))}, tail=b"\0" * 8),
    "negative": content({"a": one(offsets=(-8, 0))}, tail=b"\0" * 8),
    "another size": content({"a": one(shape=(3,))}, tail=b"\0" * 8),
    "a huge shape": content({"a": one(shape=(_HUGE, _HUGE))}, tail=b"\0" * 8),
    "a huge shape of nothing": content({"a": one(shape=(0, _HUGE), offsets=(0, 0)), "b": one()}, tail=b"\0" * 8),
    "an unknown type": content({"a": one("Q4")}, tail=b"\0" * 8),
    "a type that NumPy has not": content({"a": one("F4", (16,))}, tail=b"\0" * 8),
    "metadata of numbers": content({"a": one()}, {"n": 1}, tail=b"\0" * 8),
}


@pytest.mark.parametrize("name", NOT_SAFETENSORS)
def test_what_is_no_safetensors_file_is_refused_with_its_path(tmp_path, name):
    path = tmp_path / "model.safetensors"
    path.write_bytes(NOT_SAFETENSORS[name])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        SafetensorsFile(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors: there is no such file"):
        SafetensorsFile(tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        SafetensorsFile(tmp_path)


# Mutated headers, through all of `load`


@pytest.fixture
def model(tmp_path):
    """The bytes of the weights of a tiny GPT-2, in a directory with its config.json, and where they are."""
    family = families()["gpt2"]
    hp = family.hyperparameters(CONFIG)
    shapes = expected("decoder", hp)
    params = jax.tree.map(lambda W: np.random.default_rng(W.size).normal(size=W.shape).astype(np.float32), shapes)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path, save(write(params, family.rows(hp), hp), {"format": "pt"})


def mutated(rng, data):
    """A file whose header has a few bits, bytes or stretches changed; often cut short as well."""
    header = 8 + int.from_bytes(data[:8], "little")
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place, kind = rng.randrange(header), rng.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place] = rng.randrange(256)
        elif kind == 2:
            changed[rng.randrange(8)] = rng.randrange(256)  # the length of the header
        elif kind == 3:
            changed[place : place + rng.randrange(20)] = bytes(rng.choices(b'0123456789[]{}",:F', k=rng.randrange(20)))
        else:
            digits = [i for i in range(8, header) if 48 <= changed[i] < 58]
            changed[rng.choice(digits)] = rng.randrange(48, 58)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


def check_mutations(directory, data, count, seed):
    """Each is refused, or has the same tensors: what stands in the metadata, or as a space, changes nothing."""
    path = directory / "model.safetensors"
    path.write_bytes(data)
    expected = jax.tree.map(np.asarray, load(directory).params)
    rng, refused, peak = random.Random(seed), [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        path.write_bytes(mutated(rng, data))
        try:
            found = load(directory).params
        except ValueError as error:
            refused.append(str(error))
        else:
            jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert len(refused) > 0.9 * count
    assert all(str(directory) in message for message in refused)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000  # kilobytes


def test_mutated_headers_are_refused(model):
    check_mutations(*model, count=2_000, seed=0)


@pytest.mark.heavy
def test_a_hundred_thousand_mutated_headers_are_refused(model):
    check_mutations(*model, count=100_000, seed=1)


def test_a_file_cut_short_anywhere_in_its_header_is_refused(model):
    directory, data = model
    path = directory / "model.safetensors"
    path.write_bytes(data)
    for end in range(8 + int.from_bytes(data[:8], "little"), -1, -5):
        os.truncate(path, end)
        with pytest.raises(ValueError, match=r"model\.safetensors is no safetensors file, or has been cut short"):
            SafetensorsFile(path)


def test_bfloat16_is_read_without_loss(tmp_path):
    bits = np.arange(2**16, dtype=np.uint16)
    write_safetensors(tmp_path / "a", {"t": bits.view(ml_dtypes.bfloat16)})
    np.testing.assert_array_equal(SafetensorsFile(tmp_path / "a")["t"].view(np.uint16), bits)
