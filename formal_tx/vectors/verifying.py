"""Verifies vectors: the checksums of their files, and a new run of the pseudocode on the inputs that they hold."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..crosscheck import Algorithm, find
from ..crosscheck.tolerances import EXACT, error
from .index import outline, read_index
from .tensors import from_bytes
from .vector import Vector, run


@dataclass(frozen=True)
class Verdict:
    """What became of the file of one algorithm.

    Attributes:
      tensors: how many were computed anew and compared. identical: whether every bit was the same.
      worst: the largest error, relative to the tensor's largest value; where: the tensor that it is in.
    """

    algorithm: Algorithm
    cases: int
    tensors: int
    identical: bool
    worst: float
    where: str

    @property
    def agrees(self) -> bool:
        return self.worst <= EXACT["float64"]


def verify_vectors(
    directory: str | os.PathLike[str], progress: Callable[[Algorithm], object] = lambda algorithm: None
) -> list[Verdict]:
    """Check the files of a directory against its index, and their values against the pseudocode, run on their inputs.

    Args:
      progress: called with each algorithm before it runs.
    Raises:
      OSError: a file is missing or cannot be read.
      ValueError: names the first file whose checksum or content is not what the index says.
    """
    place = Path(directory)
    index = read_index(place)
    try:
        _content(place, index["specification"])
        files = [(find(entry["number"]), entry, _content(place, entry)) for entry in index["algorithms"]]
        verdicts = []
        for algorithm, entry, content in files:
            progress(algorithm)
            verdicts.append(_verdict(algorithm, entry, from_bytes(content, str(place / entry["file"]))))
    except (KeyError, TypeError) as reason:
        raise ValueError(f"{place / 'index.json'} is not as the format has it: {reason}") from reason
    return verdicts


def _content(place: Path, entry: dict[str, Any]) -> bytes:
    """The file of an entry, if it is the one that the index means."""
    if Path(entry["file"]).name != entry["file"]:
        raise ValueError(f"{place / 'index.json'} names the file {entry['file']!r}, expected one beside it")
    path = place / entry["file"]
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise ValueError(f"{path} has SHA-256 {found}, expected {entry['sha256']}: it is not the file that was written")
    return content


def _verdict(algorithm: Algorithm, entry: dict[str, Any], tensors: dict[str, np.ndarray]) -> Verdict:
    listed = {tensor["name"]: tensor for case in entry["cases"] for tensor in case["tensors"]}
    _require_the_same(entry["file"], listed, tensors)
    again: dict[str, np.ndarray] = {}
    for case in entry["cases"]:
        again |= {v.tensor(case["case"]): v.array for v in run(algorithm, _vector(case, tensors))}
    expected = {name: tensors[name] for name, tensor in listed.items() if tensor["role"] in ("line", "output")}
    if again.keys() != expected.keys():
        name = min(again.keys() ^ expected.keys())
        has = "is missing" if name in again else "is none that the pseudocode gives"
        raise ValueError(f"{entry['file']}: the tensor {name} {has}")
    errors = {name: error(again[name], array) for name, array in expected.items()}
    where = max(errors, key=errors.__getitem__)
    identical = all(np.array_equal(again[n], A, equal_nan=A.dtype.kind == "f") for n, A in expected.items())
    return Verdict(algorithm, len(entry["cases"]), len(expected), identical, errors[where], where)


def _require_the_same(file: str, listed: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """The tensors of a file are those of the index, in type and shape."""
    if listed.keys() != tensors.keys():
        name = min(listed.keys() ^ tensors.keys())
        raise ValueError(f"{file}: the tensor {name} is {'not ' if name in listed else 'only '}in the file")
    for name, array in tensors.items():
        said = {key: listed[name][key] for key in ("dtype", "shape")}
        if said != outline(array):
            raise ValueError(f"{file}: the tensor {name} is {outline(array)}, the index has {said}")


def _vector(case: dict[str, Any], tensors: dict[str, np.ndarray]) -> Vector:
    """The inputs of a case as they are in the file."""

    def given(role: str) -> dict[str, np.ndarray]:
        prefix = f"{case['case']}/{role}/"
        names = [tensor["name"] for tensor in case["tensors"] if tensor["role"] == role]
        return {name.removeprefix(prefix): tensors[name] for name in names}

    return Vector(case["title"], case["scalars"], given("input"), given("parameter"))
