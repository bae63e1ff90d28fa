"""The tensors of a PyTorch checkpoint (`pytorch_model.bin`, `*.pt`), without PyTorch, and without executing anything.

The file is a zip archive: `data.pkl`, a pickle of what is in it, and one entry with the numbers of each storage, of
which a tensor is a view (an offset, a shape, strides).
"""

import math
import zipfile
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import jax.numpy as jnp
import numpy as np

from .pickle_stream import read_stream

STORAGES: dict[str, np.dtype] = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
"""PyTorch's names for the types of storages."""

_DEPTH = 8  # how deep dicts of tensors may stand in each other


def read_pickle(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by name, in the types of the file (bfloat16 as JAX has it), read-only.

    Args:
      path: a file that `torch.save` wrote: a dict of tensors, which may stand in dicts themselves; their names are then
        joined by a dot.
    Raises:
      OSError: if there is no such file.
      ValueError: names the file, and the tensor where it is one, for what is no such archive, is truncated or altered,
        holds something that is no tensor, or whose pickle asks for a name that tensors do not need. Nothing in the file
        is executed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _tensors(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        legacy = "; files of PyTorch before 1.6 are not read" if "not a zip" in str(error) else ""
        raise ValueError(f"{path}: {error}, expected the zip archive of a PyTorch checkpoint{legacy}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _tensors(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    inside = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(inside) != 1:
        raise ValueError(f"it has {len(inside)} entries called data.pkl, expected one")
    folder = inside[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and _read(archive, f"{folder}byteorder") != b"little":
        raise ValueError("its numbers are not in little-endian order")
    value = read_stream(_read(archive, inside[0]), _NAMES, _storages(archive, folder))
    if not isinstance(value, dict):
        raise ValueError(f"it holds a value of type {type(value).__name__}, expected a dict of tensors")
    return dict(_flat(value, (), set()))


def _flat(tensors: dict, outer: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors in a dict, and in the dicts in it."""
    # Dicts that stand in themselves, or twice in each other, have more entries than a file has bytes.
    if id(tensors) in seen or len(outer) > _DEPTH:
        raise ValueError(f"its entry {'.'.join(outer)} is a dict that stands in it twice, or too deep")
    seen.add(id(tensors))
    for key, value in tensors.items():
        path = (*outer, str(key))
        if isinstance(value, dict):
            yield from _flat(value, path, seen)
        elif isinstance(value, np.ndarray):
            yield ".".join(path), value
        else:
            raise ValueError(f"its entry {'.'.join(path)} is of type {type(value).__name__}, expected a tensor")


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry, whose checksum `zipfile` looks at. PyTorch compresses none, and one that is could be of any size."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its entry {name} is compressed, which PyTorch does not do")
    return archive.read(entry)


def _storages(archive: zipfile.ZipFile, folder: str) -> Callable[[Any], np.ndarray]:
    """A function that gives the numbers of a storage; each is read once."""
    read: dict[str, np.ndarray] = {}

    def resolve(identifier: Any) -> np.ndarray:
        match identifier:
            case ("storage", np.dtype() as dtype, str() as key, str(), int() as count):
                pass
            case _:
                raise ValueError(f"it refers to {identifier!r:.80}, expected a storage")
        if key not in read:
            name = f"{folder}data/{key}"
            if name not in archive.namelist():
                raise ValueError(f"its entry {name} is missing")
            numbers = _read(archive, name)
            if len(numbers) != count * dtype.itemsize:
                raise ValueError(f"its entry {name} has {len(numbers)} bytes, expected {count} of type {dtype}")
            read[key] = np.frombuffer(numbers, dtype)
        if read[key].dtype != dtype or len(read[key]) != count:
            raise ValueError(f"its storage {key} is {len(read[key])} of {read[key].dtype}, and of {count} of {dtype}")
        return read[key]

    return resolve


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> np.ndarray:
    """A view of a storage; what follows the strides says nothing about the numbers."""
    if not isinstance(storage, np.ndarray) or storage.ndim != 1:
        raise ValueError(f"it makes a tensor of a value of type {type(storage).__name__}, expected a storage")
    if not _are_counts((offset,)) or not _are_counts(shape) or not _are_counts(strides) or len(shape) != len(strides):
        raise ValueError(f"it has a tensor of offset {offset!r:.40}, shape {shape!r:.40} and strides {strides!r:.40}")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    # A stride of 0 repeats numbers: a shape of any size, and in the end a copy of it.
    if math.prod(shape) > len(storage) or (math.prod(shape) and last >= len(storage)):
        raise ValueError(
            f"it has a tensor of offset {offset}, shape {shape} and strides {strides} in a storage of {len(storage)}"
        )
    bytes_between = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, bytes_between, writeable=False)


def _are_counts(values: Any) -> bool:
    """Whether these are a few integers that are not negative."""
    return isinstance(values, tuple) and len(values) <= 32 and all(type(n) is int and n >= 0 for n in values)


def _ordered_dict(*pairs: Any) -> dict:
    if pairs:
        raise ValueError("it has an ordered dict that is made of pairs, which PyTorch does not write")
    return {}


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_NAMES: dict[str, Any] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
} | {f"torch.{name}": dtype for name, dtype in STORAGES.items()}
"""What the pickle of a checkpoint may name."""
