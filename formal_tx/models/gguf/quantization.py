"""The types of tensors in a GGUF file: plain numbers, and blocks of small integers with scales.

A block holds the next 32 or 256 numbers of a row. In the first kind (Q4_0 to Q8_0) a number is d·q or d·q + m, where q
has 4, 5 or 8 bits and d, m are float16 of the block; in the second (Q4_K, Q6_K) d and m are themselves products of a
float16 of the block and a small integer of 16 or 32 of its numbers. What is computed is float32, in the order in which
llama.cpp computes it, so that it is the same to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class BlockType:
    """How numbers are stored.

    Attributes:
      name: what llama.cpp calls it.
      length: how many numbers a block has. bytes: how long it is.
      decode: blocks (n, bytes) of uint8 -> numbers (n, length), float32.
      dtype: the type of NumPy in which the numbers are there as they are, if there is one.
    """

    name: str
    length: int
    bytes: int
    decode: Callable[[Array], Array]
    dtype: str | None = None

    def numbers(self, content: Array, shape: tuple[int, ...]) -> Array:
        """The tensor of this shape in `content`, bytes: as it is if NumPy has the type, otherwise in float32."""
        if self.dtype is not None:
            return content.view(self.dtype).reshape(shape)
        return self.decode(content.reshape(-1, self.bytes)).reshape(shape)


def block_type(number: int) -> BlockType:
    """The type with this number. Raises `ValueError` for one that is not known."""
    if number not in _TYPES:
        known = ", ".join(f"{n} ({kind.name})" for n, kind in _TYPES.items())
        raise ValueError(f"has the type {number}, which is not known; those that are: {known}")
    return _TYPES[number]


def _bfloat16(blocks: Array) -> Array:
    return (blocks.view("<u2").astype("<u4") << 16).view("<f4")


def _halves(blocks: Array, begin: int, count: int = 1) -> Array:
    """`count` float16 of each block, from this byte on, as float32 (n, count)."""
    return np.ascontiguousarray(blocks[:, begin : begin + 2 * count]).view("<f2").astype(np.float32)


def _nibbles(packed: Array) -> Array:
    """Bytes (n, k): their lower four bits, then their upper four, (n, 2k)."""
    numbers = np.empty((len(packed), 2 * packed.shape[1]), np.uint8)
    np.bitwise_and(packed, 15, out=numbers[:, : packed.shape[1]])
    np.right_shift(packed, 4, out=numbers[:, packed.shape[1] :])
    return numbers


def _fifth_bits(packed: Array) -> Array:
    """Bytes (n, 4): their 32 bits, from the lowest on, each in the place of the fifth, (n, 32)."""
    return np.unpackbits(packed, axis=-1, bitorder="little") << 4


def _q4_0(blocks: Array) -> Array:
    q = _nibbles(blocks[:, 2:]).astype(np.float32)
    q -= 8
    q *= _halves(blocks, 0)
    return q


def _q4_1(blocks: Array) -> Array:
    q = _nibbles(blocks[:, 4:]).astype(np.float32)
    q *= _halves(blocks, 0)
    q += _halves(blocks, 2)
    return q


def _q5_0(blocks: Array) -> Array:
    q = (_nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])).astype(np.float32)
    q -= 16
    q *= _halves(blocks, 0)
    return q


def _q5_1(blocks: Array) -> Array:
    q = (_nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])).astype(np.float32)
    q *= _halves(blocks, 0)
    q += _halves(blocks, 2)
    return q


def _q8_0(blocks: Array) -> Array:
    q = blocks[:, 2:].view(np.int8).astype(np.float32)
    q *= _halves(blocks, 0)
    return q


def _q4_k(blocks: Array) -> Array:
    """d, m, 12 bytes with a scale and an offset of six bits for each 32 numbers, 128 bytes of nibbles."""
    scales, offsets = _six_bits(blocks[:, 4:16])
    d = _halves(blocks, 0) * scales
    m = _halves(blocks, 2) * offsets
    packed = blocks[:, 16:].reshape(-1, 4, 1, 32)
    q = np.concatenate([packed & 15, packed >> 4], axis=2).reshape(-1, 8, 32).astype(np.float32)
    q *= d[..., None]
    q -= m[..., None]
    return q.reshape(-1, 256)


def _six_bits(packed: Array) -> tuple[Array, Array]:
    """Scales and offsets (n, 8) from 12 bytes: those of the first four are whole, the others in two parts."""
    a, b, c = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([a & 63, (c & 15) | ((a >> 6) << 4)], axis=1)
    offsets = np.concatenate([b & 63, (c >> 4) | ((b >> 6) << 4)], axis=1)
    return scales.astype(np.float32), offsets.astype(np.float32)


def _q6_k(blocks: Array) -> Array:
    """128 bytes of lower four bits, 64 of upper two, 16 scales of one byte, d."""
    low = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1) & 3
    q = (low | (high << 4)).reshape(-1, 16, 16).astype(np.float32)
    q -= 32
    d = _halves(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    q *= d[..., None]
    return q.reshape(-1, 256)


def _plain(dtype: str) -> Callable[[Array], Array]:
    return lambda blocks: blocks.view(dtype).astype(np.float32)


_TYPES = {
    0: BlockType("F32", 1, 4, _plain("<f4"), "<f4"),
    1: BlockType("F16", 1, 2, _plain("<f2"), "<f2"),
    2: BlockType("Q4_0", 32, 18, _q4_0),
    3: BlockType("Q4_1", 32, 20, _q4_1),
    6: BlockType("Q5_0", 32, 22, _q5_0),
    7: BlockType("Q5_1", 32, 24, _q5_1),
    8: BlockType("Q8_0", 32, 34, _q8_0),
    12: BlockType("Q4_K", 256, 144, _q4_k),
    14: BlockType("Q6_K", 256, 210, _q6_k),
    30: BlockType("BF16", 1, 2, _bfloat16),
}
