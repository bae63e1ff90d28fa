"""One case of one algorithm as data, in the paper's layout and by the paper's names."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..crosscheck import Algorithm
from ..crosscheck.draws import GumbelSampler
from ..crosscheck.layout import is_theta
from ..crosscheck.record import record
from .portable import portable
from .tree import flatten, unflatten


@dataclass(frozen=True)
class Vector:
    """What the pseudocode is run on.

    Attributes:
      title: what is special about the case.
      scalars: numbers by the names of the pseudocode's signature: `v`, `eta`, `tau`, `epsilon`, …
      inputs: arrays by name; a column is a token. `random` (N_epochs, N_data, ℓ) are the numbers with which Algorithm
        12 masks, `noise` (steps, N_V) what Algorithms 14 and 15 draw with.
      parameters: arrays by path, in the paper's order.
      hyperparameters: of an architecture; sizes of axes otherwise.
      terms: the longest sum in it. defined: whether the paper defines every entry of the result.
    """

    title: str
    scalars: Mapping[str, int | float] = field(default_factory=dict)
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    hyperparameters: Mapping[str, int] = field(default_factory=dict)
    terms: int = 1
    defined: bool = True


@dataclass(frozen=True)
class Value:
    """An array that a run gave.

    Attributes:
      variable: its name, with the path where it is part of a set of parameters.
      array: float64, int64 or bool.
      line: the paper's, or None for the output. iteration: how often the line had run, this time included.
    """

    variable: str
    array: np.ndarray
    line: int | None = None
    iteration: int = 1

    @property
    def name(self) -> str:
        """`4.S`, `8.X#3` for the third time, `P` for the output."""
        if self.line is None:
            return self.variable
        return f"{self.line}.{self.variable}" + (f"#{self.iteration}" if self.iteration > 1 else "")

    def tensor(self, case: int) -> str:
        """Its name in the file, as one of case number `case`."""
        return f"{case}/{'output' if self.line is None else 'line'}/{self.name}"


def run(algorithm: Algorithm, vector: Vector) -> list[Value]:
    """What every numbered line of the pseudocode assigns, in order, and what it returns."""
    with np.errstate(all="ignore"):  # where the paper divides by 0 the result is nan, and is a value like another
        result, recorded = record(algorithm.paper, algorithm.listing, **_arguments(algorithm, vector))
    values: list[Value] = []
    times: dict[tuple[int, str], int] = {}
    for r in recorded:
        key = r.number, r.variable
        times[key] = times.get(key, 0) + 1
        values += [Value(name, array, r.number, times[key]) for name, array in _named(r.variable, r.value)]
    output = str(algorithm.listing.assigned[-1].variable)
    return values + [Value(name, array) for name, array in _named(output, result)]


def _arguments(algorithm: Algorithm, vector: Vector) -> dict[str, Any]:
    """The arguments of the pseudocode by name."""
    given: dict[str, Any] = dict(vector.scalars)
    for name, array in vector.inputs.items():
        given[name] = array.tolist() if array.dtype.kind == "i" else portable(array)
    if "context" in given:
        given["context"] = [given["context"][:, t] for t in range(vector.inputs["context"].shape[1])]
    parameters = {path: portable(array.copy()) for path, array in vector.parameters.items()}
    signature = inspect.signature(algorithm.paper).parameters
    theta = [name for name in signature if name.startswith(("W_qkv", "theta")) or name == "W"]
    given |= {theta[0]: unflatten(parameters)} if theta else parameters
    if "random" in given:
        numbers = iter(vector.inputs["random"].ravel().tolist())
        given["random"] = lambda: next(numbers)
    if "noise" in given:
        given["sample"] = GumbelSampler(vector.inputs["noise"])
        del given["noise"]
    return given


def _named(variable: str, value: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays of a value, which may be a set of parameters; None (`y` before the first token) has none."""
    if value is None:
        return []
    if is_theta(value):
        return [(f"{variable}.{path}", array) for path, array in flatten(value).items()]
    return [(variable, _array(value))]


def _array(value: Any) -> np.ndarray:
    """A list of vectors becomes a matrix with a column for each, a list of numbers a vector."""
    array = np.stack([np.asarray(part) for part in value], axis=-1) if isinstance(value, list) and value else value
    array = np.asarray(array, dtype=np.int64 if isinstance(value, list) and not value else None)
    return np.asarray(array, order="C")
