"""index.json: which file holds which algorithm, and what each of its tensors is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..crosscheck import Algorithm
from ..crosscheck.tolerances import tolerance
from .tensors import DTYPES
from .vector import Value, Vector

NAME = "index.json"
SPECIFICATION = "SPECIFICATION.md"
FORMAT = "formal-tx vectors"
VERSION = 1


def tensors_of(number: int, vector: Vector, values: list[Value]) -> dict[str, np.ndarray]:
    """The arrays of case `number` of an algorithm, by their names in its file."""
    given = {f"{number}/input/{name}": array for name, array in vector.inputs.items()}
    given |= {f"{number}/parameter/{name}": array for name, array in vector.parameters.items()}
    return given | {value.tensor(number): value.array for value in values}


def describe_case(algorithm: Algorithm, number: int, vector: Vector, values: list[Value]) -> dict[str, Any]:
    """The entry of a case."""
    named = tensors_of(number, vector, values)
    entries = [{"name": name, "role": name.split("/")[1], **outline(array)} for name, array in named.items()]
    for entry, value in zip(entries[-len(values) :], values, strict=True):
        entry["variable"] = value.variable
        if value.line is not None:
            entry |= {"line": value.line, "iteration": value.iteration}
    differences = algorithm.trains
    return {
        "case": number,
        "title": vector.title,
        "defined": vector.defined,
        "scalars": dict(vector.scalars),
        "hyperparameters": dict(vector.hyperparameters),
        "terms": vector.terms,
        "tolerance": {
            dtype: float(f"{tolerance(dtype, vector.terms, by_differences=differences, foreign=True):.2g}")
            for dtype in ("float64", "float32")
        },
        "tensors": entries,
    }


def outline(array: np.ndarray) -> dict[str, Any]:
    """The type and the shape of a tensor."""
    return {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape)}


def describe_file(name: str, content: bytes) -> dict[str, Any]:
    """The entry of a file: its size and its SHA-256."""
    return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def describe(algorithms: list[dict[str, Any]], specification: bytes) -> dict[str, Any]:
    """The whole index."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "formal_tx": __version__,
        "paper": "Phuong & Hutter, Formal Algorithms for Transformers, arXiv:2207.09238",
        "specification": describe_file(SPECIFICATION, specification),
        "algorithms": algorithms,
    }


def to_json(index: dict[str, Any]) -> bytes:
    """The index as a file, with a line for each algorithm, case and tensor."""
    text = json.dumps(index, ensure_ascii=False)
    for beginning in ('{"number": ', '{"case": ', '{"name": '):
        text = text.replace(beginning, f"\n{beginning}")
    return f"{text}\n".encode()


def read_index(directory: Path) -> dict[str, Any]:
    """The index of a directory of vectors.

    Raises:
      OSError: there is none, or it cannot be read.
      ValueError: it is no index, or of another format.
    """
    path = directory / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{directory} has no {NAME}, expected a directory that `formal-tx vectors --out` wrote")
    try:
        index = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        found = index.get("format") if isinstance(index, dict) else type(index).__name__
        raise ValueError(f"{path} has format {found!r}, expected {FORMAT!r}")
    if index.get("version") != VERSION:
        raise ValueError(f"{path} is of version {index.get('version')!r} of the format, expected {VERSION}")
    return index
