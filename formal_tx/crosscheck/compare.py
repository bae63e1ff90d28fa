"""Holds the two editions of an algorithm against each other, line by line."""

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from . import cases as drawn
from .catalog import Algorithm
from .draws import Case
from .editions import run_library, run_paper
from .layout import is_theta, leaves, to_rows
from .record import Recorded
from .tolerances import error, tolerance


@dataclass(frozen=True)
class Difference:
    """How far a line of the library is from the same line of the paper.

    Attributes:
      number, variable: the paper's line and what it assigns.
      iteration, times: how often the line had run before, and how often it runs in all.
      error: relative to the largest value of the line.
      allowed: the tolerance.
      case: the title of the case.
      found, expected: the two values, in the library's layout.
      raised: what somebody else's function raised instead of giving a value.
    """

    number: int
    variable: str
    iteration: int
    times: int
    error: float
    allowed: float
    case: str
    found: np.ndarray = field(repr=False)
    expected: np.ndarray = field(repr=False)
    raised: str = ""

    @property
    def agrees(self) -> bool:
        return self.error <= self.allowed


@dataclass
class Comparison:
    """What a check of one algorithm found.

    Attributes:
      lines: how many numbered lines of the paper assign a value; lines_compared: how many of them were compared.
      worst: the largest error of all; first_bad: the first line that disagrees, or None.
      failing: the case in which `first_bad` shows, where it is to be shown.
      by_line: whether the lines were seen, or the result alone, as of a function that is not ours.
      worst_of: the largest error of each line of the paper that was compared, where the lines were seen.
      single_precision: whether it agrees to the precision of float32 only, although it was called in float64.
    """

    algorithm: Algorithm
    lines: int
    lines_compared: int
    cases: int
    seconds: float
    worst: Difference | None
    first_bad: Difference | None
    failing: Case | None = None
    by_line: bool = True
    worst_of: Mapping[int, Difference] = field(default_factory=dict)
    single_precision: bool = False

    @property
    def agrees(self) -> bool:
        return self.first_bad is None

    @property
    def shows_lines(self) -> bool:
        """Whether lines were compared: of ours, or of a function that names its values."""
        return self.by_line or self.lines_compared > 1

    def agrees_to(self, dtype: str) -> bool:
        """Whether the worst error of all is one that rounding to `dtype` explains."""
        return self.worst is not None and self.worst.error <= tolerance(dtype, 1, foreign=True)


def check(algorithm: Algorithm, *, seed: int = 0, cases: int = 3, dtype: str = "float64") -> Comparison:
    """Run both editions of `algorithm` on random and hard cases and compare what every line assigns.

    Args:
      seed: of the random cases. cases: how many random ones of each kind.
      dtype: of the library, float64 or float32; the pseudocode always runs in float64.
    """
    start = time.perf_counter()
    differences: list[Difference] = []
    all_cases = drawn.of(algorithm, seed, cases)
    with jax.enable_x64(dtype == "float64"):
        for case in all_cases:
            differences += compare(algorithm, case, dtype)

    by_line: dict[int, Difference] = {}
    for d in differences:
        if d.number not in by_line or d.error > by_line[d.number].error:
            by_line[d.number] = d
    assigned = {s.number for s in algorithm.listing.assigned}
    return Comparison(
        algorithm,
        lines=len(assigned),
        lines_compared=len(assigned & by_line.keys()),
        cases=len(all_cases),
        seconds=time.perf_counter() - start,
        worst=max(by_line.values(), key=lambda d: d.error, default=None),
        first_bad=next((d for d in differences if not d.agrees), None),
        worst_of=by_line,
    )


def compare(algorithm: Algorithm, case: Case, dtype: str) -> list[Difference]:
    """The differences of one case, in the order in which the paper's lines ran."""
    try:
        expected, recorded = run_paper(algorithm, case, dtype)
    except (ValueError, ZeroDivisionError) as refusal:
        if case.defined:
            raise
        return [_both_refuse(algorithm, case, dtype, refusal)]
    result, lines = run_library(algorithm, case, dtype)
    # The library trains with log P where the paper has P, so as never to meet log 0.
    lines |= {name.replace("log_P", "P"): np.exp(value) for name, value in lines.items() if name.endswith(".log_P")}
    differences = line_differences(algorithm, case, dtype, recorded, lines)
    last = recorded[-1]
    n = sum((r.number, r.variable) == (last.number, last.variable) for r in recorded)
    for name, found, value in _results(result, expected, algorithm):
        differences.append(_difference(algorithm, case, dtype, last, name, n - 1, n, found, value))
    return differences


def line_differences(
    algorithm: Algorithm,
    case: Case,
    dtype: str,
    recorded: list[Recorded],
    lines: Mapping[str, np.ndarray],
    *,
    foreign: bool = False,
) -> list[Difference]:
    """The differences of the lines that both sides have, in the order in which the paper's ran.

    Args:
      lines: values by `number.variable`, those of a loop stacked. foreign: whether somebody else's function gave them.
    """
    times: dict[tuple[int, str], list[Any]] = {}
    for r in recorded:
        times.setdefault((r.number, r.variable), []).append(r.value)
    found, seen = [], dict.fromkeys(times, 0)
    for r in recorded:
        key = (r.number, r.variable)
        for name, value in _parts(r):
            if name in lines:
                n, of = seen[key], len(times[key])
                one = _iteration(lines[name], n, of, value, algorithm.stops)
                found.append(_difference(algorithm, case, dtype, r, name, n, of, one, value, foreign))
        seen[key] += 1
    return found


def _parts(r: Recorded) -> Iterable[tuple[str, np.ndarray]]:
    """A recorded value by the name under which the library tags it; a set of parameters leaf by leaf."""
    if is_theta(r.value):
        return [(f"{r.number}.{r.variable}.{path}", leaf) for path, leaf in leaves(r.value).items()]
    return [(f"{r.number}.{r.variable}", to_rows(r.value))] if r.value is not None else []


def _iteration(found: np.ndarray, n: int, times: int, expected: np.ndarray, stops: bool) -> np.ndarray:
    """What the line gave the n-th time, of a value that `scan` and heads have stacked on leading axes."""
    if found.dtype == bool and expected.dtype != bool:  # a set of positions, which the library keeps as a mask
        return np.flatnonzero(found.reshape(-1, found.shape[-1])[n])
    axes = found.ndim - expected.ndim
    if axes < 0 or found.shape[axes:] != expected.shape:
        return found  # of another shape, which is an error
    stacked = found.reshape(math.prod(found.shape[:axes]), *expected.shape)
    return stacked[n] if len(stacked) == times or (stops and len(stacked) > times) else found


def _difference(
    algorithm: Algorithm,
    case: Case,
    dtype: str,
    r: Recorded,
    name: str,
    n: int,
    times: int,
    found: Any,
    expected: Any,
    foreign: bool = False,
) -> Difference:
    if r.number in algorithm.sums:
        terms = max([case.sizes.get(axis, 1) for axis in algorithm.sums[r.number]], default=1)
    else:
        terms = case.longest
    allowed = tolerance(dtype, terms, by_differences=algorithm.trains, foreign=foreign)
    variable = name.split(".", 1)[1] if "." in name else name
    return Difference(r.number, variable, n, times, error(found, expected), allowed, case.title, found, expected)


def _results(result: Any, expected: Any, algorithm: Algorithm) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
    """What the two editions return, as pairs."""
    if dataclasses.is_dataclass(result):
        ours, theirs = leaves(result), leaves(expected)
        return [(f"the result's {path}", ours.get(path, np.zeros(0)), theirs[path]) for path in theirs]
    found, value = np.asarray(result), to_rows(expected)
    if algorithm.stops:
        found = found[: len(value)]
    return [("the result", found, value)]


def _both_refuse(algorithm: Algorithm, case: Case, dtype: str, refusal: Exception) -> Difference:
    """Where the paper divides nothing by nothing, the library has to refuse too."""
    nothing = np.zeros(0)
    number = algorithm.listing.assigned[0].number
    try:
        result, _ = run_library(algorithm, case, dtype)
    except ValueError:
        return Difference(number, "refused", 0, 1, 0.0, 0.0, case.title, nothing, nothing)
    return Difference(number, f"should refuse: {refusal}", 0, 1, np.inf, 0.0, case.title, np.asarray(result), nothing)
