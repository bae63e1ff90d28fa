"""Named arrays as the bytes of a safetensors file: equal arrays are equal bytes."""

import json
from collections.abc import Mapping

import numpy as np

DTYPES = {"float64": "F64", "int64": "I64", "bool": "BOOL"}
"""What a vector may be made of, by NumPy's names, and what safetensors calls it."""


def to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The file that holds `tensors`, little-endian, by rows: wide types first, so that all are aligned, then by name.

    Raises:
      TypeError: an array is not of float64, int64 or bool.
    """
    for name, array in tensors.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"{name} has dtype {array.dtype}, expected one of {', '.join(DTYPES)}")
    header, content = {}, b""
    for name in sorted(tensors, key=lambda name: (-tensors[name].itemsize, name)):
        array = _with_one_nan(tensors[name])
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        span = [len(content), len(content) + len(data)]
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        content += data
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + content


def _with_one_nan(array: np.ndarray) -> np.ndarray:
    """0/0 is a nan with its sign set on one processor and not on another; here every nan is the same."""
    return np.where(np.isnan(array), np.nan, array) if array.dtype.kind == "f" else array


def from_bytes(content: bytes, name: str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file; `name` is what the error calls it.

    Raises:
      ValueError: it is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{name} is no safetensors file, or has been cut short: {error}") from error
