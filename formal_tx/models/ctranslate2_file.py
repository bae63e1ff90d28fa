"""The file model.bin of CTranslate2: variables and aliases, versions 1 to 6. Little-endian, nothing is aligned.

    u32 version; [from 2] string specification; [from 2] u32 revision; u32 number of variables
    for each: string name; u8 rank; u32 for each dimension; u8 type; u32 number of bytes; the bytes
    [from 3] u32 number of aliases; for each: string alias; string target
    string: u16 length + 1; UTF-8; a zero byte

Before version 4 there are the bytes of an item instead of its type, and the number of items instead of bytes.
"""

import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

VERSION = 6
DTYPES: tuple[Any, ...] = (np.float32, np.int8, np.int16, np.int32, np.float16, ml_dtypes.bfloat16)
_OF_ITEM_SIZE: dict[int, Any] = {4: np.float32, 2: np.int16, 1: np.int8}


@dataclass(frozen=True)
class ModelFile:
    """What a model.bin holds.

    Attributes:
      specification: what kind of model it is, such as "WhisperSpec"; empty in files of version 1.
      revision: of the names of its variables.
      variables: by name, those that are stored; `tensors()` has the aliases too.
      aliases: by another name, the name of the variable.
      version: of the file.
    """

    specification: str
    revision: int
    variables: Mapping[str, np.ndarray]
    aliases: Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION

    def tensors(self) -> dict[str, np.ndarray]:
        """All variables by all their names, integers with a scale as the floats that they stand for.

        An integer variable `w` with another `w_scale` () or (rows,) is w / w_scale. An alias shares the scale.
        """
        everything = dict(self.variables)
        for alias, target in self.aliases.items():
            everything[alias] = self.variables[target]
            if f"{target}_scale" in self.variables:
                everything.setdefault(f"{alias}_scale", self.variables[f"{target}_scale"])
        scales = {f"{name}_scale" for name in everything if f"{name}_scale" in everything}
        return {
            name: _dequantised(name, W, everything.get(f"{name}_scale"))
            for name, W in everything.items()
            if name not in scales
        }


def _dequantised(name: str, W: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    if scale is None or W.dtype.kind != "i":
        return W
    if scale.size not in (1, *W.shape[:1]):
        raise ValueError(
            f"variable {name}_scale has shape {scale.shape}, expected (), or one for each row of {W.shape}"
        )
    return W.astype(np.float32) / scale.astype(np.float32).reshape(-1, *(1,) * (W.ndim - 1))


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Reads a model.bin. It is memory-mapped: a variable is read from the disk when it is looked at.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is none, or cut short, or of a version after 6; says at which byte, and of which variable.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError(f"{path} is empty, expected a model.bin of CTranslate2")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _read(_Reader(path, content))


def _read(reader: "_Reader") -> ModelFile:
    version = reader.number("I", "version")
    if not 1 <= version <= VERSION:
        raise ValueError(
            f"{reader.path} has version {version}, expected a model.bin of CTranslate2, version 1 to {VERSION}"
        )
    specification = reader.string("specification") if version >= 2 else ""
    revision = reader.number("I", "revision") if version >= 2 else 1
    variables: dict[str, np.ndarray] = {}
    for i in range(reader.number("I", "number of variables")):
        name = reader.string(f"name of variable {i}")
        if name in variables:
            raise ValueError(f"{reader.path}: there are two variables {name}")
        variables[name] = _variable(reader, name, version)
    aliases: dict[str, str] = {}
    for i in range(reader.number("I", "number of aliases") if version >= 3 else 0):
        alias, target = reader.string(f"alias {i}"), reader.string(f"target of alias {i}")
        if alias in aliases or alias in variables:
            raise ValueError(f"{reader.path}: alias {alias} is the name of something else")
        if target not in variables:
            raise ValueError(f"{reader.path}: alias {alias} is of {target}, and there is no such variable")
        aliases[alias] = target
    if reader.left:
        raise ValueError(f"{reader.path}: {reader.left} bytes are left over at its end")
    return ModelFile(specification, revision, variables, aliases, version)


def _variable(reader: "_Reader", name: str, version: int) -> np.ndarray:
    shape = tuple(reader.number("I", f"shape of {name}") for _ in range(reader.number("B", f"rank of {name}")))
    kind, size = reader.number("B", f"type of {name}"), reader.number("I", f"size of {name}")
    if version < 4:
        dtype = _OF_ITEM_SIZE.get(kind)
        size *= kind
    else:
        dtype = DTYPES[kind] if kind < len(DTYPES) else None
    if dtype is None:
        raise ValueError(f"{reader.path}: variable {name} has type {kind}, which is not known")
    if size != prod(shape) * np.dtype(dtype).itemsize:
        raise ValueError(
            f"{reader.path}: variable {name} has {size} bytes, expected "
            f"{prod(shape) * np.dtype(dtype).itemsize} for {np.dtype(dtype).name} {shape}"
        )
    if len(shape) > _MOST_AXES:
        raise ValueError(f"{reader.path}: variable {name} has {len(shape)} axes, expected at most {_MOST_AXES}")
    return np.frombuffer(reader.take(size, name), dtype).reshape(shape)


_MOST_AXES = 32  # NumPy has 64, and no variable more than 3


class _Reader:
    """A file from its beginning on, which never reads past its end."""

    def __init__(self, path: Path, content: mmap.mmap):
        self.path, self._content, self._at = path, memoryview(content), 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._content) - self._at

    def take(self, size: int, what: str) -> memoryview:
        """The next bytes. Raises `ValueError` if there are fewer."""
        if size > self.left:
            raise ValueError(
                f"{self.path} has been cut short, or is no model.bin of CTranslate2: {what} takes {size} bytes from "
                f"byte {self._at} on, and {self.left} are left"
            )
        self._at += size
        return self._content[self._at - size : self._at]

    def number(self, kind: str, what: str) -> int:
        """The next number, of a kind of `struct`."""
        (number,) = struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}"), what))
        return number

    def string(self, what: str) -> str:
        """The next string. Raises `ValueError` if it does not end with a zero byte or is no UTF-8."""
        start = self._at
        content = bytes(self.take(self.number("H", what), what))
        try:
            if not content.endswith(b"\0") or b"\0" in content[:-1]:
                raise ValueError("it does not end with its only zero byte")
            return content[:-1].decode()
        except ValueError as error:
            raise ValueError(f"{self.path}: {what}, at byte {start}, is no string: {error}") from None


def write_model_file(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Writes a model.bin, its variables sorted by name as CTranslate2 does, in the version that `model` has.

    Raises:
      ValueError: a variable has a type that the format has not, or the version is before 4, which has no types.
      OSError: the file cannot be written.
    """
    if not 4 <= model.version <= VERSION:
        raise ValueError(f"version is {model.version}, expected 4 to {VERSION}")
    types = {np.dtype(dtype): i for i, dtype in enumerate(DTYPES)}
    for name, W in model.variables.items():
        if W.dtype not in types:
            known = ", ".join(dtype.name for dtype in types)
            raise ValueError(f"variable {name} has dtype {W.dtype}, expected one of {known}")
    with Path(path).open("wb") as file:
        file.write(struct.pack("<I", model.version))
        _write_string(file, model.specification)
        file.write(struct.pack("<II", model.revision, len(model.variables)))
        for name in sorted(model.variables):
            W = model.variables[name]
            _write_string(file, name)
            file.write(struct.pack(f"<B{W.ndim}I", W.ndim, *W.shape))
            file.write(struct.pack("<BI", types[W.dtype], W.nbytes))
            file.write(np.ascontiguousarray(W).tobytes())
        file.write(struct.pack("<I", len(model.aliases)))
        for alias in sorted(model.aliases):
            _write_string(file, alias)
            _write_string(file, model.aliases[alias])


def _write_string(file: BinaryIO, text: str) -> None:
    content = text.encode() + b"\0"
    file.write(struct.pack("<H", len(content)))
    file.write(content)
