"""The check against somebody else's function: its results are compared, and the lines that it shows by name."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from . import cases as drawn
from .answers import Answer
from .calling import Candidate, CannotRun, FromFile, call, defined
from .catalog import Algorithm, Variation
from .compare import Comparison, Difference, line_differences
from .draws import Case, GumbelSampler
from .editions import paper_call
from .layout import is_theta, leaves, to_rows
from .record import record
from .telling import telling_of
from .tolerances import error, tolerance

__all__ = ["CannotRun", "check_candidate", "named_lines", "scaled"]

DRAWN_FROM = "the distribution that y is drawn from"


def check_candidate(
    algorithm: Algorithm,
    candidate: str | Candidate,
    *,
    seed: int = 0,
    cases: int = 3,
    dtype: str = "float64",
    framework: str = "numpy",
    layout: str = "rows",
    time_limit: float = 60,
) -> Comparison:
    """Compare what `candidate`, "path/to/file.py:function", answers with what the pseudocode gives.

    It is called with the positional arguments that `algorithm.signature` names, on every case whose result the paper
    defines. What it prints goes to standard error. If it returns a dictionary of named values (`S`, or `4.S`), or tags
    its lines with `line`, these are compared too.

    Args:
      candidate: or a function of this process, `calling.FromFunction`, which has its framework and dtype itself.
      dtype: of the arrays, float64, float32, float16 or bfloat16. framework: what they are, numpy, jax or torch.
      layout: rows, or columns for the paper's own layout, with heads and layers in lists.
      time_limit: seconds for all cases together.
    Raises:
      CannotRun: if it does not import, raises in every case, returns no array, or takes too long.
    """
    start = time.perf_counter()
    if isinstance(candidate, str):
        candidate = FromFile(candidate, framework, dtype, time_limit)
    special = {case.title: case for case in telling_of(algorithm)}
    ordinary = defined([*drawn.of(algorithm, seed, cases), *special.values()], dtype)
    small = [] if isinstance(algorithm, Variation) else defined(drawn.small(algorithm.number, seed), dtype)
    answers = candidate.answers([call(algorithm, case, layout) for case in ordinary + small])
    if all(isinstance(answer, str) for answer in answers):
        raise CannotRun(f"{candidate.name}: in the case “{ordinary[0].title}” it {answers[0]}")
    judged, shown = (
        [d for case, answer in pairs for d in _differences(algorithm, case, answer, layout, dtype)]
        for pairs in (
            list(zip(ordinary, answers, strict=False)),
            list(zip(small, answers[len(ordinary) :], strict=True)),
        )
    )
    bad = [d for d in judged if not d.agrees]
    worst = max(judged, key=lambda d: d.error)
    smallest = [d for d in shown if not d.agrees and not d.raised and d.error >= worst.error / 10] if bad else []
    first_bad = next(iter(smallest or bad), None)
    lines = {d.number for d in judged}
    return Comparison(
        algorithm,
        lines=len({s.number for s in algorithm.listing.assigned}),
        lines_compared=len(lines),
        cases=len(ordinary),
        seconds=time.perf_counter() - start,
        worst=worst,
        first_bad=first_bad,
        failing=next((c for c in small + ordinary if first_bad and c.title == first_bad.case), None),
        by_line=False,
    )


def _differences(
    algorithm: Algorithm, case: Case, answer: Answer | str, layout: str, dtype: str
) -> Iterator[Difference]:
    """The differences of one case: of the lines that the answer names, as they ran, then of its result."""
    with jax.enable_x64(True):
        arguments, options = paper_call(algorithm, case, "float64")
    with np.errstate(all="ignore"):  # where the paper divides by 0 the result is nan, and compared as such
        expected, recorded = record(algorithm.paper, algorithm.listing, *arguments, **options)
    last = algorithm.listing.assigned[-1]
    terms = case.longest

    def difference(name: str, found: Any, wanted: np.ndarray) -> Difference:
        kind = "float32" if found.dtype == np.float32 and dtype == "float64" else dtype
        allowed = tolerance(kind, terms, by_differences=algorithm.trains, foreign=True)
        return Difference(last.number, name, 0, 1, error(found, wanted), allowed, case.title, found, wanted)

    if isinstance(answer, str):
        nothing = np.zeros(0)
        yield Difference(last.number, str(last.variable), 0, 1, np.inf, 0.0, case.title, nothing, nothing, answer)
        return
    lines = named_lines(algorithm, answer, layout)
    yield from line_differences(algorithm, case, dtype, recorded, lines, foreign=True)
    result = answer.result
    if result is None:
        if f"{last.number}.{last.variable}" in lines:
            return  # compared already
        raise CannotRun(f"it returned a dictionary without {last.variable}, which is the result")
    wanted = leaves(expected) if is_theta(expected) else to_rows(expected)
    if isinstance(wanted, dict):
        for path, leaf in wanted.items():
            found = result.get(path, np.zeros(0)) if isinstance(result, dict) else result
            yield difference(f"{last.variable}.{path}", found, leaf)
        return
    sampler, drawn_from = arguments[-1], answer.drawn_from
    if isinstance(sampler, GumbelSampler) and drawn_from is not None and len(drawn_from) == len(sampler.drawn_from):
        yield difference(DRAWN_FROM, scaled(drawn_from), scaled(sampler.drawn_from))
    yield difference(str(last.variable), result.T if layout == "columns" and result.ndim == 2 else result, wanted)


def scaled(distributions: Any) -> np.ndarray:
    """Distributions (…, N_V) with sum one: drawing from a multiple of one is drawing from it."""
    q = np.array(distributions, dtype=float)
    with np.errstate(all="ignore"):
        return q / q.sum(axis=-1, keepdims=True) if q.size else q


def named_lines(algorithm: Algorithm, answer: Answer, layout: str) -> dict[str, np.ndarray]:
    """What an answer names, by `number.variable`; a name without a number is the last line that assigns it."""
    numbers = {str(s.variable): s.number for s in algorithm.listing.assigned}
    found = {}
    for name, value in answer.named.items():
        number, _, variable = name.rpartition(".") if name.split(".")[0].isdigit() else ("", "", name)
        key = name if number else f"{numbers[variable]}.{variable}" if variable in numbers else ""
        if key:
            found[key] = value.T if layout == "columns" and getattr(value, "ndim", 0) == 2 else value
    return found
