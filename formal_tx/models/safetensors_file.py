"""Tensors of safetensors files, memory-mapped: each is read from the disk when it is looked at, and not before.

The `safetensors` library checks the header, which it does without trusting it; it has no NumPy arrays of bfloat16, so
the arrays are made here.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F32": np.float32,
    "F64": np.float64,
}


_LONGEST = 2**40


class SafetensorsFile(Mapping[str, np.ndarray]):
    """The tensors of a file by name, as arrays that cannot be written to.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no safetensors file, or cut short, or a tensor has a type that NumPy has not.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        try:
            with safe_open(self.path, framework="numpy") as file:
                names = file.offset_keys()  # in the order in which they stand in the file, without gaps
                slices = {name: file.get_slice(name) for name in names}
                outlines = {name: (s.get_dtype(), tuple(s.get_shape())) for name, s in slices.items()}
        except (SafetensorError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} is no safetensors file, or has been cut short: {error}") from error
        self._places = _places(self.path, outlines)
        self._bytes = np.memmap(self.path, np.uint8, "r")

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, start, end = self._places[name]
        return np.asarray(self._bytes[start:end]).view(dtype).reshape(shape)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def outlines(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """The type and the shape of each tensor, of which none is read."""
        return {name: (dtype, shape) for name, (dtype, shape, _, _) in self._places.items()}


def _places(path: Path, outlines: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, tuple[Any, Any, int, int]]:
    """The type, the shape, the beginning and the end of each tensor; the library has seen that they fill the file."""
    with path.open("rb") as file:
        end = 8 + int.from_bytes(file.read(8), "little")
    places = {}
    for name, (kind, shape) in outlines.items():
        if kind not in DTYPES:
            raise ValueError(f"{path}: tensor {name} has type {kind}, expected one of {', '.join(DTYPES)}")
        if max(shape, default=0) > _LONGEST:  # which the library lets pass beside an axis of 0
            raise ValueError(f"{path}: tensor {name} has shape {shape}, expected axes of at most {_LONGEST}")
        dtype = np.dtype(DTYPES[kind])
        start, end = end, end + dtype.itemsize * int(np.prod(shape, dtype=object))
        places[name] = (dtype, shape, start, end)
    return places


class Shards(Mapping[str, np.ndarray]):
    """The tensors of several files, by the index of Hugging Face, `model.safetensors.index.json`.

    Raises:
      OSError: a file cannot be read.
      ValueError: the index is none, or does not say of every tensor in which of the files beside it stands.
    """

    def __init__(self, index: str | os.PathLike[str]):
        index = Path(index)
        where = _weight_map(index)
        self.files = {name: SafetensorsFile(index.parent / name) for name in sorted(set(where.values()))}
        for tensor, name in where.items():
            if tensor not in self.files[name]:
                raise ValueError(f"{index}: tensor {tensor} should be in {name}, and is not")
        for name, file in self.files.items():
            elsewhere = next((tensor for tensor in file if where.get(tensor) != name), None)
            if elsewhere is not None:
                raise ValueError(f"{index}: tensor {elsewhere} is in {name}, of which the index knows nothing")
        self._where = where

    def __getitem__(self, name: str) -> np.ndarray:
        return self.files[self._where[name]][name]

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def outlines(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """The type and the shape of each tensor, of which none is read."""
        return {name: outline for file in self.files.values() for name, outline in file.outlines().items()}


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = json.loads(index.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{index}: {error}, expected JSON") from None
    where = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(where, dict) or not where:
        raise ValueError(f"{index} has no entry 'weight_map' with the files of the tensors")
    for tensor, name in where.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"{index}: tensor {tensor} should be in {name!r}, expected the name of a file beside it")
    return where


def write_safetensors(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors as PyTorch's programs expect them; the same tensors make the same file, there whole or not at all.

    Raises:
      OSError: the file cannot be written.
    """
    partial = Path(f"{os.fspath(path)}.partial")
    try:
        in_order = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
        save_file(in_order, partial, {"format": "pt"})
        partial.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path} was not written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
