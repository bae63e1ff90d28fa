"""Which mistake was made: the mutants of an algorithm whose outcomes are those of somebody else's function."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..crosscheck.answers import Answer
from ..crosscheck.calling import Candidate, call
from ..crosscheck.candidate import named_lines, scaled
from ..crosscheck.catalog import Algorithm
from ..crosscheck.draws import Case
from ..crosscheck.tolerances import tolerance
from .evidence import Evidence, Explanation
from .instrument import cases, instrument
from .outcomes import Outcome
from .pairs import pairs

_SHOWN = 5  # explanations that do not explain, but come near


@dataclass(frozen=True)
class Diagnosis:
    """What was found: explanations, the best first; those that explain equally well all explain.

    Attributes:
      complete: whether everything was tried, or the time was over before.
      single_precision: whether the function, called in float64, is right to the precision of float32 on every telling
        case, and no mistake explains the rest: it rounds inside, as `jax.nn.dot_product_attention` does.
    """

    algorithm: Algorithm
    explanations: tuple[Explanation, ...] = ()
    complete: bool = True
    seconds: float = 0.0
    single_precision: bool = False

    @property
    def explained(self) -> tuple[Explanation, ...]:
        """The explanations that agree with the function on every telling case."""
        return tuple(e for e in self.explanations if e.explains)


def diagnose(
    algorithm: Algorithm,
    found: Sequence[Outcome],
    allowed: Callable[[Case], float],
    *,
    dtype: str = "float64",
    seconds: float = 60,
) -> Diagnosis:
    """The mistakes that explain what a function made of `cases(algorithm, dtype)`.

    Args:
      found: its outcomes, case by case. allowed: what may be rounding, by case.
      seconds: how long pairs of mistakes may be tried, where no single mistake explains.
    """
    start = time.perf_counter()
    ours = instrument(algorithm, dtype)
    evidence = Evidence(ours, found, [allowed(case) for case in ours.cases])
    singles = [evidence.of(mutant) for mutant in ours.visible]
    explained = [e for e in singles if e.explains]
    complete, rounds = True, False
    if not explained and not evidence.together((), ()).explains:
        coarse = replace(evidence, bounds=[tolerance("float32", c.longest, foreign=True) for c in ours.cases])
        rounds = dtype == "float64" and coarse.together((), ()).explains
        if not rounds:
            explained, complete = pairs(evidence, start + seconds)
    others = [e for e in singles if not e.explains and np.isfinite(e.distance)]
    ranked = [*_best(explained), *_best(others)[:_SHOWN]]
    return Diagnosis(algorithm, tuple(ranked), complete, time.perf_counter() - start, rounds)


def _best(explanations: Sequence[Explanation]) -> list[Explanation]:
    """The nearest explanation of each mistake or pair, those with the fewest places first among equals."""

    def order(e: Explanation):
        return (not e.explains, 0.0 if e.explains else e.distance, sum(m.sites for m in e.mutants))

    best: dict[tuple[str, ...], Explanation] = {}
    for e in sorted(explanations, key=order):
        best.setdefault(tuple(sorted(e.mistakes)), e)
    return list(best.values())


def examine(
    algorithm: Algorithm,
    candidate: Candidate,
    *,
    dtype: str = "float64",
    layout: str = "rows",
    seconds: float = 60,
) -> Diagnosis:
    """Run somebody else's function on the telling cases of an algorithm and find out which mistake it makes.

    Args:
      candidate: `calling.FromFile` or `calling.FromFunction`.
      dtype, layout: as in `check_candidate`. seconds: as in `diagnose`.
    Raises:
      CannotRun: if it cannot be run.
    """
    inputs = cases(algorithm, dtype)
    answers = candidate.answers([call(algorithm, case, layout) for case in inputs])
    found = [_found(algorithm, answer, layout) for answer in answers]

    def allowed(case: Case) -> float:
        return tolerance(dtype, case.longest, by_differences=algorithm.trains, foreign=True)

    return diagnose(algorithm, found, allowed, dtype=dtype, seconds=seconds)


def _found(algorithm: Algorithm, answer: Answer | str, layout: str) -> Outcome:
    if isinstance(answer, str):
        return Outcome({}, answer)
    result = answer.result
    if result is None:
        last = algorithm.listing.assigned[-1]
        result = named_lines(algorithm, answer, layout).get(f"{last.number}.{last.variable}", np.zeros(0))
    elif not isinstance(result, dict) and layout == "columns" and result.ndim == 2:
        result = result.T
    values = dict(result) if isinstance(result, dict) else {"result": result}
    if answer.drawn_from is not None:
        values["q"] = scaled(answer.drawn_from)
    return Outcome(values)
