"""The reader of PyTorch's checkpoints: the tensors that PyTorch reads, and no pickle that does anything."""

import io
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.models.pickle_stream import read_stream
from formal_tx.models.pickles import read_pickle
from tests.models import weights


class Storage:
    """Pickled as an identifier, as PyTorch does with storages."""

    def __init__(self, key, count, kind="FloatStorage"):
        self.identifier = ("storage", _global("torch", kind), key, "cpu", count)


class _Name:
    """Pickled as the name of a function, which is then called."""

    def __init__(self, module, name, arguments):
        self.named, self.arguments = _global(module, name), arguments

    def __reduce__(self):
        return self.named, self.arguments


def _global(module, name):
    function = type(name, (), {"__module__": module})
    function.__qualname__ = name
    return function


class _Pickler(pickle._Pickler):
    """The pickler in Python, which lets us name what need not exist."""

    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, value):
        return value.identifier if isinstance(value, Storage) else None

    def save_global(self, value, name=None):
        self.write(b"c" + f"{value.__module__}\n{value.__qualname__}\n".encode())

    dispatch[type] = save_global


def pickled(value) -> bytes:
    stream = io.BytesIO()
    pickler = _Pickler(stream, protocol=2)
    pickler.dispatch_table = {}
    pickler.dump(value)
    return stream.getvalue()


def tensor(key="0", count=6, offset=0, shape=(2, 3), strides=(3, 1), kind="FloatStorage"):
    return _Name("torch._utils", "_rebuild_tensor_v2", (Storage(key, count, kind), offset, shape, strides, False, None))


def checkpoint(path: Path, value, compression=zipfile.ZIP_STORED, byteorder=b"little", **storages: bytes) -> Path:
    """A file as PyTorch writes it; a value that is bytes is the pickle itself."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", value if isinstance(value, bytes) else pickled(value))
        archive.writestr("archive/byteorder", byteorder)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key.removeprefix('_')}", numbers)
    return path


SIX = np.arange(6, dtype=np.float32)


def refused(tmp_path, value, **storages) -> str:
    """The message with which a file is refused."""
    path = checkpoint(tmp_path / "model.pt", value, **({"_0": SIX.tobytes()} | storages))
    with pytest.raises(ValueError, match=r".") as caught:
        read_pickle(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message


def test_views_of_a_storage(tmp_path):
    value = {
        "rows": tensor(),
        "transposed": tensor(shape=(3, 2), strides=(1, 3)),
        "part": tensor(offset=4, shape=(2,), strides=(1,)),
        "scalar": tensor(offset=5, shape=(), strides=()),
        "empty": tensor(offset=6, shape=(0, 3), strides=(3, 1)),
        "inside": {"row": tensor(offset=3, shape=(3,), strides=(1,))},
    }
    found = read_pickle(checkpoint(tmp_path / "model.pt", value, _0=SIX.tobytes()))
    rows = SIX.reshape(2, 3)
    expected = {"rows": rows, "transposed": rows.T, "part": SIX[4:], "scalar": SIX[5], "inside.row": SIX[3:]}
    for name, array in (expected | {"empty": np.zeros((0, 3), np.float32)}).items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape
        assert not found[name].flags.writeable
    assert list(found) == ["rows", "transposed", "part", "scalar", "empty", "inside.row"]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("HalfStorage", np.float16),
        ("BFloat16Storage", jnp.bfloat16),
        ("DoubleStorage", np.float64),
        ("LongStorage", np.int64),
        ("ByteStorage", np.uint8),
        ("BoolStorage", np.bool_),
    ],
)
def test_types(tmp_path, kind, dtype):
    numbers = np.array([0, 1, 1, 0, 1, 1]).astype(dtype)
    path = checkpoint(tmp_path / "model.pt", {"W": tensor(kind=kind)}, _0=numbers.tobytes())
    found = read_pickle(path)["W"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, numbers.reshape(2, 3))


class _Dangerous:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_executed(tmp_path, protocol):
    bait = tmp_path / "bait"
    for dangerous in (_Dangerous(os.system, f"touch {bait}"), _Dangerous(eval, f"open({str(bait)!r}, 'w')")):
        message = refused(tmp_path, pickle.dumps({"W": dangerous}, protocol))
        if protocol >= 1:
            assert "names posix.system" in message or "builtin" in message
            assert "imports nothing" in message
    assert not bait.exists()


def test_what_is_refused_by_name(tmp_path):
    assert "names torch.load, and this reader imports nothing" in refused(
        tmp_path, {"W": _Name("torch", "load", ("file",))}
    )
    assert "instruction NEWOBJ" in refused(tmp_path, b"\x80\x02ccollections\nOrderedDict\n)\x81.")
    assert "instruction INST" in refused(tmp_path, b"(iposix\nsystem\n.")
    assert "a value of type dict, which is no function" in refused(tmp_path, b"\x80\x02})R.")


def test_what_is_no_tensor(tmp_path):
    assert "entry epoch is of type int, expected a tensor" in refused(tmp_path, {"W": tensor(), "epoch": 3})
    assert "entry a.b is of type list" in refused(tmp_path, {"a": {"b": [tensor()]}})
    assert "a value of type list, expected a dict of tensors" in refused(tmp_path, [tensor()])
    inside = {}
    inside["again"] = inside
    assert "entry again is a dict that stands in it twice" in refused(tmp_path, inside)
    deep = {}
    for _ in range(20):
        deep = {"a": deep}
    assert "too deep" in refused(tmp_path, deep)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"offset": 1}, "offset 1, shape (2, 3) and strides (3, 1) in a storage of 6"),
        ({"offset": -1}, "offset -1"),
        ({"strides": (3, -1)}, "strides (3, -1)"),
        ({"shape": (2, 3, 1)}, "shape (2, 3, 1) and strides (3, 1)"),
        ({"shape": (10**12,), "strides": (0,)}, "in a storage of 6"),
        ({"shape": (10**12, 0), "strides": (1, 1), "offset": 7}, None),
        ({"count": 7}, "entry archive/data/0 has 24 bytes, expected 7 of type float32"),
        ({"count": -6}, "has 24 bytes, expected -6"),
        ({"kind": "DoubleStorage"}, "has 24 bytes, expected 6 of type float64"),
        ({"key": "1"}, "entry archive/data/1 is missing"),
        ({"key": "../data.pkl"}, "entry archive/data/../data.pkl is missing"),
    ],
)
def test_tensors_that_do_not_fit_their_storage(tmp_path, changes, says):
    if says is None:
        path = checkpoint(tmp_path / "model.pt", {"W": tensor(**changes)}, _0=SIX.tobytes())
        assert read_pickle(path)["W"].size == 0
    else:
        assert says in refused(tmp_path, {"W": tensor(**changes)})


def test_a_storage_of_two_types(tmp_path):
    value = {"W": tensor(), "V": tensor(kind="IntStorage")}
    assert "storage 0 is 6 of float32, and of 6 of int32" in refused(tmp_path, value)


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "model.pt"
    for content in (b"", b"PK\x03\x04", pickle.dumps({})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.pt: File is not a zip file, expected the zip archive"):
            read_pickle(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ValueError, match=r"0 entries called data\.pkl, expected one"):
        read_pickle(path)
    with pytest.raises(FileNotFoundError):
        read_pickle(tmp_path / "absent.pt")
    assert "compressed" in refused(tmp_path, {"W": tensor()}, compression=zipfile.ZIP_DEFLATED)
    assert "little-endian" in refused(tmp_path, {"W": tensor()}, byteorder=b"big")


def test_truncated_at_every_byte(tmp_path):
    content = checkpoint(tmp_path / "model.pt", {"W": tensor()}, _0=SIX.tobytes()).read_bytes()
    path = tmp_path / "cut.pt"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.pt: "):
            read_pickle(path)


def test_altered_numbers_are_noticed(tmp_path):
    path = checkpoint(tmp_path / "model.pt", {"W": tensor()}, _0=SIX.tobytes())
    content = path.read_bytes()
    at = content.index(SIX.tobytes()) + 5
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(ValueError, match="Bad CRC-32 for file 'archive/data/0'"):
        read_pickle(path)


def test_mutated_pickles_are_read_or_refused(tmp_path):
    stream = pickled({"W": tensor(), "inside": {"V": tensor(offset=2, shape=(2,), strides=(2,))}})
    names = {"collections.OrderedDict": dict, "torch._utils._rebuild_tensor_v2": lambda *a: 0, "torch.FloatStorage": 1}
    draw = random.Random(0)
    outcomes = set()
    for _ in range(5000):
        mutant = bytearray(stream)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(mutant))
            match draw.randrange(3):
                case 0:
                    mutant[at] = draw.randrange(256)
                case 1:
                    del mutant[at : at + draw.randint(1, 9)]
                case 2:
                    mutant[at:at] = struct.pack("<Q", draw.getrandbits(64))[: draw.randint(1, 8)]
        try:
            read_stream(bytes(mutant), names, lambda identifier: identifier)
            outcomes.add("read")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_keys_that_would_be_hashed_for_ever():
    # ((((x, x), (x, x)), …): forty levels of the same tuple twice have 2⁴⁰ leaves.
    stream = b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 40 + b"K\x01s."
    with pytest.raises(ValueError, match="key of type tuple"):
        read_stream(stream)


def test_plain_data_in_every_protocol():
    value = {"itos": ["<pad>", "C", "é"], "stoi": {"C": 1, 2: (True, None, -1.5, 2**70)}, "empty": ()}
    for protocol in range(2, 6):
        assert read_stream(pickle.dumps(value, protocol)) == value


@pytest.mark.oracle
def test_as_pytorch_reads_it(tmp_path):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(4, 6, generator=generator)
    state = {
        "W": W,
        "transposed": W.T,
        "part": W[1:3, ::2],
        "half": W.half(),
        "bfloat16": W.bfloat16(),
        "long": torch.arange(5),
        "parameter": torch.nn.Parameter(W[0]),
    }
    torch.save(state, tmp_path / "model.pt")
    found = read_pickle(tmp_path / "model.pt")
    assert list(found) == list(state)
    for name, expected in state.items():
        np.testing.assert_array_equal(found[name].astype(np.float64), expected.detach().double().numpy(), name)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    assert list(read_pickle(tmp_path / "model.pt")) == list(model.state_dict())
    torch.save(model, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"names torch\.nn\.modules\.container\.Sequential"):
        read_pickle(tmp_path / "model.pt")


@pytest.mark.oracle
@pytest.mark.heavy
@pytest.mark.parametrize("package", ["antiberty", "annalog"])
def test_published_checkpoints_as_pytorch_reads_them(package):
    torch = pytest.importorskip("torch")
    path = weights.path(package)
    expected = torch.load(path, map_location="cpu", weights_only=True)
    found = read_pickle(path)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), name)
