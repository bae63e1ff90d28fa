"""The header of a GGUF file: what is said about the model, and where its tensors are.

Numbers are little-endian. After the magic, the version and two counts come the entries (a name, a type, a value), and
after them the tensors (a name, a shape with the innermost axis first, a type, an offset into the data). The data begin
at the next multiple of the alignment.

Every count and length is held against what is left of the file before it is believed, so that a broken header can ask
for no more memory or time than its file is large.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from .quantization import BlockType, block_type

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = "general.alignment"

_NUMBERS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
_BOOL, _STRING, _ARRAY = 7, 8, 9
_TYPES = ", ".join(map(str, sorted((*_NUMBERS, _BOOL, _STRING, _ARRAY))))
_LEAST_ENTRY = 8 + 4 + 1  # bytes: an empty name, a type, a small number
_LEAST_TENSOR = 8 + 4 + 8 + 4 + 8  # an empty name, one axis, a type, an offset
_MOST_AXES = 4

Value = Any
"""An int, a float, a bool or a str; for an array a list of str, or a NumPy array of numbers or booleans."""


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor is: its shape, outermost axis first, its type, and the bytes from `begin` to `end` of the file."""

    name: str
    shape: tuple[int, ...]
    type: BlockType
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The entries and the tensors by name, in the order of the file, and where the data begin."""

    version: int
    entries: dict[str, Value]
    tensors: dict[str, TensorInfo]
    data: int


def read_header(content: Any) -> Header:
    """The header of a GGUF file.

    Args:
      content: the bytes of the whole file; a memory map will do, of which the header alone is read.
    Raises:
      ValueError: it is no GGUF file, it is broken (says at which byte, and what was expected), or it has a tensor of a
        type that is not known.
    """
    bytes_ = _Bytes(memoryview(content).cast("B"))
    if bytes_.take(4, "the magic").tobytes() != MAGIC:
        raise ValueError(f"byte 0: begins with {bytes(bytes_.content[:4])!r}, expected {MAGIC!r}: it is no GGUF file")
    version = bytes_.number("<u4", "the version")
    if version not in VERSIONS:
        other = " (its bytes are in the other order)" if version & 0xFFFF == 0 else ""
        raise ValueError(f"byte 4: the version is {version}{other}, expected one of {VERSIONS}")
    n_tensors = bytes_.count("the number of tensors", _LEAST_TENSOR)
    n_entries = bytes_.count("the number of entries", _LEAST_ENTRY)
    entries: dict[str, Value] = {}
    for _ in range(n_entries):
        at = bytes_.position
        name = bytes_.string("the name of an entry")
        if name in entries:
            raise ValueError(f"byte {at}: there is a second entry {name!r}")
        entries[name] = bytes_.value(f"entry {name!r}")
    described = [_described(bytes_) for _ in range(n_tensors)]
    data = _aligned(bytes_.position, _alignment(entries))
    return Header(version, entries, _placed(described, data, _alignment(entries), len(bytes_.content)), data)


class _Bytes:
    """A file, and how far it has been read."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.position = 0

    def take(self, n: int, what: str) -> memoryview:
        """The next `n` bytes."""
        left = len(self.content) - self.position
        if n > left:
            raise ValueError(f"byte {self.position}: {what} needs {n} bytes, and {left} are left of the file")
        self.position += n
        return self.content[self.position - n : self.position]

    def number(self, dtype: str, what: str) -> Any:
        kind = np.dtype(dtype)
        return struct.unpack(_FORMATS[dtype], self.take(kind.itemsize, what))[0]

    def count(self, what: str, least: int) -> int:
        """A number of things of at least `least` bytes, for which there has to be room."""
        at = self.position
        n = self.number("<u8", what)
        if n * least > len(self.content) - self.position:
            left = len(self.content) - self.position
            raise ValueError(f"byte {at}: {what} is {n}, for which the {left} bytes that are left have no room")
        return n

    def string(self, what: str) -> str:
        at = self.position
        raw = self.take(self.count(f"the length of {what}", 1), what)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"byte {at + 8 + error.start}: {what} is no UTF-8: {error.reason}") from None

    def value(self, what: str) -> Value:
        at = self.position
        kind = self.number("<u4", f"the type of {what}")
        if kind == _ARRAY:
            return self.array(what)
        if kind == _STRING:
            return self.string(what)
        if kind == _BOOL:
            return self.truth(self.take(1, what)[0], what)
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind], what)
        raise ValueError(f"byte {at}: {what} has the type {kind}, expected one of {_TYPES}")

    def array(self, what: str) -> Value:
        at = self.position
        kind = self.number("<u4", f"the type of the elements of {what}")
        if kind == _STRING:
            return [self.string(what) for _ in range(self.count(f"the number of elements of {what}", 8))]
        if kind != _BOOL and kind not in _NUMBERS:
            raise ValueError(f"byte {at}: {what} has elements of type {kind}, expected numbers, booleans or strings")
        dtype = np.dtype(_NUMBERS.get(kind, "<u1"))
        n = self.count(f"the number of elements of {what}", dtype.itemsize)
        found = np.frombuffer(self.take(n * dtype.itemsize, what), dtype).copy()
        if kind == _BOOL:
            self.truth(int(found.max(initial=0)), what)
            return found.astype(bool)
        return found

    def truth(self, byte: int, what: str) -> bool:
        if byte > 1:
            raise ValueError(f"byte {self.position - 1}: {what} is the boolean {byte}, expected 0 or 1")
        return bool(byte)


_FORMATS = {"<u1": "<B", "<i1": "<b", "<u2": "<H", "<i2": "<h", "<u4": "<I", "<i4": "<i"} | {
    "<f4": "<f",
    "<u8": "<Q",
    "<i8": "<q",
    "<f8": "<d",
}


def _alignment(entries: dict[str, Value]) -> int:
    alignment = entries.get(ALIGNMENT, 32)
    if isinstance(alignment, bool) or not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"{ALIGNMENT} is {alignment!r}, expected a power of two")
    return alignment


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _described(bytes_: _Bytes) -> tuple[int, str, tuple[int, ...], BlockType, int]:
    """Of one tensor: the byte that says so, its name, its shape, its type, its offset."""
    at = bytes_.position
    name = bytes_.string("the name of a tensor")
    what = f"tensor {name!r}"
    axes = bytes_.number("<u4", f"the number of axes of {what}")
    if not 1 <= axes <= _MOST_AXES:
        raise ValueError(f"byte {at}: {what} has {axes} axes, expected 1 to {_MOST_AXES}")
    shape = tuple(bytes_.number("<u8", f"the shape of {what}") for _ in range(axes))[::-1]
    number = bytes_.number("<u4", f"the type of {what}")
    try:
        kind = block_type(number)
    except ValueError as error:
        raise ValueError(f"byte {at}: {what}: {error}") from None
    return at, name, shape, kind, bytes_.number("<u8", f"the offset of {what}")


def _placed(described: list[Any], data: int, alignment: int, size: int) -> dict[str, TensorInfo]:
    """The tensors where they are, after a look at whether they can be there."""
    tensors: dict[str, TensorInfo] = {}
    for at, name, shape, kind, offset in described:
        what = f"byte {at}: tensor {name!r}"
        if name in tensors:
            raise ValueError(f"{what} is there a second time")
        if shape[-1] % kind.length or not prod(shape):
            raise ValueError(f"{what} has shape {shape}, expected rows of a multiple of {kind.length} in {kind.name}")
        if offset % alignment:
            raise ValueError(f"{what} has the offset {offset}, expected a multiple of {alignment}")
        begin = data + offset
        end = begin + prod(shape) // kind.length * kind.bytes
        if end > size:
            raise ValueError(f"{what} has shape {shape} and ends at byte {end}, and the file has {size}")
        tensors[name] = TensorInfo(name, shape, kind, begin, end)
    in_order = sorted(tensors.values(), key=lambda tensor: tensor.begin)
    for before, after in pairwise(in_order):
        if before.end > after.begin:
            raise ValueError(f"tensors {before.name!r} and {after.name!r} overlap at byte {after.begin}")
    return tensors
