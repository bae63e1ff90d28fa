"""Writes the vectors: a safetensors file for each algorithm, the index, the specification."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..crosscheck import ALGORITHMS, Algorithm
from .cases import vectors
from .index import NAME, SPECIFICATION, describe, describe_case, describe_file, read_index, tensors_of, to_json
from .specification import specification
from .tensors import to_bytes
from .vector import run


def write_vectors(
    directory: str | os.PathLike[str],
    algorithms: Iterable[Algorithm] = ALGORITHMS,
    progress: Callable[[Algorithm], object] = lambda algorithm: None,
) -> dict[str, Any]:
    """Run the pseudocode on the cases of `algorithms` and write what went in, what its lines assigned, what came out.

    Vectors that are in the directory already are replaced.

    Args:
      directory: made if there is none. progress: called with each algorithm before it runs.
    Returns:
      the index that was written.
    Raises:
      ValueError: the directory holds something that is no vectors. OSError: it cannot be written.
    """
    place = Path(directory)
    old = _old_files(place)
    place.mkdir(parents=True, exist_ok=True)
    for name in old:
        (place / name).unlink(missing_ok=True)  # the index first: what is half written is not vectors
    entries = []
    for algorithm in algorithms:
        progress(algorithm)
        entry, content = _built(algorithm)
        (place / entry["file"]).write_bytes(content)
        entries.append(entry)
    page = specification(entries).encode()
    (place / SPECIFICATION).write_bytes(page)
    index = describe(entries, page)
    (place / NAME).write_bytes(to_json(index))
    return index


def _old_files(place: Path) -> list[str]:
    """The files of the vectors that are in the directory, their index first."""
    if not place.exists():
        return []
    if not place.is_dir():
        raise ValueError(f"{place} is a file, expected a directory")
    there = {path.name for path in place.iterdir()}
    if not there:
        return []
    if NAME not in there:
        raise ValueError(f"{place} is not empty and has no {NAME}: expected a new directory, an empty one, or vectors")
    index = read_index(place)
    known = [NAME, *(entry["file"] for entry in [index["specification"], *index["algorithms"]])]
    if strangers := sorted(there - set(known)):
        raise ValueError(f"{place} holds {strangers[0]}, which is no part of the vectors there; nothing was written")
    return known


def _built(algorithm: Algorithm) -> tuple[dict[str, Any], bytes]:
    """The entry of an algorithm in the index, and its file."""
    tensors: dict[str, np.ndarray] = {}
    cases = []
    for number, vector in enumerate(vectors(algorithm), start=1):
        values = run(algorithm, vector)
        tensors |= tensors_of(number, vector, values)
        cases.append(describe_case(algorithm, number, vector, values))
    content = to_bytes(tensors)
    file = describe_file(f"{algorithm.file}.safetensors", content)
    return {"number": algorithm.number, "name": algorithm.name, **file, "cases": cases}, content
