"""The tensors of a GGUF file by name, each made numbers of when it is asked for."""

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .header import Header, read_header

Array = np.ndarray


class GGUFFile(Mapping[str, Array]):
    """A memory-mapped GGUF file: `header`, and its tensors by name.

    F32 and F16 are views of the file, read-only; the other types are made float32 each time that they are looked up.

    Raises:
      OSError: the file cannot be read. ValueError: it is no GGUF file, or broken; says where.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
                raise ValueError(f"{self.path} is empty, expected a GGUF file")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.header: Header = read_header(content)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        self._content = np.frombuffer(content, np.uint8)

    def __getitem__(self, name: str) -> Array:
        tensor = self.header.tensors[name]
        return tensor.type.numbers(self._content[tensor.begin : tensor.end], tensor.shape)

    def __contains__(self, name: object) -> bool:  # the inherited one would make numbers of the tensor
        return name in self.header.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.header.tensors)

    def __len__(self) -> int:
        return len(self.header.tensors)
