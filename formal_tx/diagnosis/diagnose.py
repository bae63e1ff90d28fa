"""Which mistake was made: the mutants of an algorithm whose outcomes are those of somebody else's function."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..crosscheck.answers import Answer
from ..crosscheck.calling import Candidate, call, defined
from ..crosscheck.candidate import named_lines
from ..crosscheck.catalog import Algorithm
from ..crosscheck.draws import Case
from ..crosscheck.tolerances import DIFFERENCES, FOREIGN, tolerance
from .gradients import sampled_differences
from .mutants import Mutant, mutants
from .outcomes import Outcome, distance, distributions, runner
from .programs import Edit, Incompatible, Program, program
from .telling import ONE_UPDATE, SHARP, neutral, telling

TRAINING = (11, 12, 13)
_SHOWN = 5  # explanations that do not explain, but come near


@dataclass(frozen=True)
class Explanation:
    """A mistake, or two, and how far the function is from having made it.

    Attributes:
      mutants: one, or a pair.
      distance: the largest error between what the mutant gives and what the function gave.
      explains: whether they agree on every telling case.
    """

    mutants: tuple[Mutant, ...]
    distance: float
    explains: bool

    @property
    def title(self) -> str:
        return "; and ".join(mutant.title for mutant in self.mutants)

    @property
    def mistakes(self) -> tuple[str, ...]:
        return tuple(mutant.mistake.id for mutant in self.mutants)


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


def cases(algorithm: Algorithm, dtype: str = "float64") -> tuple[Case, ...]:
    """The cases on which a function has to be run to be diagnosed."""
    number = algorithm.number
    chosen = (c for c in (*telling(number), *neutral(number)) if dtype == "float64" or c.title != SHARP)
    return tuple(defined(chosen, dtype))


@dataclass
class Instrument:
    """Runs the mutants of one algorithm on its telling cases."""

    algorithm: Algorithm
    cases: Sequence[Case]
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.program = program(self.algorithm)
        gradients = iter((sampled_differences(9), sampled_differences(1)))
        self._sampled = [self.algorithm.number in TRAINING and c.title == ONE_UPDATE for c in self.cases]
        self._runs = [
            runner(self.algorithm, c, next(gradients, None) if sampled else None)
            for c, sampled in zip(self.cases, self._sampled, strict=True)
        ]
        self._outcomes: dict[tuple[Mutant | None, int], Outcome] = {}

    def run(self, f: Callable[..., Any], i: int) -> Outcome:
        """What an edition of the pseudocode makes of the i-th case."""
        return self._runs[i](f)

    def outcome(self, edits: Sequence[Edit], i: int) -> Outcome:
        """What the program with `edits` makes of the i-th case."""
        return self.run(self.program.function(edits), i)

    def of(self, mutant: Mutant | None, i: int) -> Outcome:
        """What a mutant makes of the i-th case, or the algorithm itself, kept for the next time."""
        if (mutant, i) not in self._outcomes:
            self._outcomes[mutant, i] = self.outcome(mutant.edits if mutant else (), i)
        return self._outcomes[mutant, i]

    def distance(self, found: Outcome, expected: Outcome, i: int) -> float:
        """How far two outcomes of the i-th case are apart."""
        return distance(found, expected, known=self._sampled[i])

    @cached_property
    def visible(self) -> tuple[Mutant, ...]:
        """The mutants that differ from the algorithm on some case: the others are not mistakes in it."""

        trains = self.algorithm.number in TRAINING
        bound = DIFFERENCES if trains else FOREIGN["float64"]

        def differs(mutant: Mutant) -> bool:
            # One update shows a mistake in the model: several, which take longer, show only one in the training.
            short = trains and mutant.algorithm != self.algorithm.name
            chosen = [i for i in range(len(self.cases)) if self._sampled[i] or not short]
            return any(self.distance(self.of(None, i), self.of(mutant, i), i) > bound for i in chosen)

        return tuple(mutant for mutant in mutants(self.algorithm) if differs(mutant))


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
    instrument = Instrument(algorithm, cases(algorithm, dtype))
    bounds = [allowed(case) for case in instrument.cases]
    singles = [_single(instrument, found, bounds, mutant) for mutant in instrument.visible]
    explained = [e for e in singles if e.explains]
    complete = True
    right = _together(instrument, found, bounds, (), ()).explains
    coarse = [tolerance("float32", case.longest, foreign=True) for case in instrument.cases]
    rounds = dtype == "float64" and not explained and _together(instrument, found, coarse, (), ()).explains
    if not explained and not right and not rounds:
        pairs, complete = _pairs(instrument, found, bounds, start + seconds)
        explained = pairs
    others = [e for e in singles if not e.explains and np.isfinite(e.distance)]
    ranked = [*_best(explained), *_best(others)[:_SHOWN]]
    return Diagnosis(algorithm, tuple(ranked), complete, time.perf_counter() - start, rounds and not right)


def _single(instrument: Instrument, found: Sequence[Outcome], bounds: Sequence[float], mutant: Mutant) -> Explanation:
    distances = (instrument.distance(outcome, instrument.of(mutant, i), i) for i, outcome in enumerate(found))
    return _judged((mutant,), bounds, distances)


def _together(
    instrument: Instrument,
    found: Sequence[Outcome],
    bounds: Sequence[float],
    explaining: tuple[Mutant, ...],
    edits: Sequence[Edit],
) -> Explanation:
    f = instrument.program.function(edits)
    distances = (instrument.distance(outcome, instrument.run(f, i), i) for i, outcome in enumerate(found))
    return _judged(explaining, bounds, distances)


def _judged(explaining: tuple[Mutant, ...], bounds: Sequence[float], distances: Iterable[float]) -> Explanation:
    """An explanation by its distances, case by case: the first that is too large ends it."""
    worst = 0.0
    for d, bound in zip(distances, bounds, strict=False):
        worst = max(worst, d)
        if d > bound:
            return Explanation(explaining, worst, False)
    return Explanation(explaining, worst, True)


def _pairs(instrument, found, bounds, until: float) -> tuple[list[Explanation], bool]:
    """The pairs of mistakes that explain, and whether all that is promising was tried.

    Where a part is neutral, a mistake in it does not show, and the other one is seen alone: such cases propose it.
    """
    explained: list[Explanation] = []
    tried: set[frozenset[Mutant]] = set()
    everything = instrument.visible
    for proposals in (*_proposals(instrument, found, bounds), list(everything)):
        for one in proposals:
            for other in everything:
                pair = frozenset((one, other))
                if len(pair) < 2 or pair in tried:
                    continue
                if time.perf_counter() > until:
                    return explained, False
                tried.add(pair)
                for edits in _compositions(one, other):
                    try:
                        explanation = _together(instrument, found, bounds, (one, other), edits)
                    except Incompatible:
                        continue
                    if explanation.explains:
                        explained.append(explanation)
                    break
        if explained:
            return explained, True
    return explained, True


def _compositions(one: Mutant, other: Mutant) -> Iterator[tuple[Edit, ...]]:
    yield one.edits + other.edits
    if one.functions & other.functions:
        yield other.edits + one.edits


def _proposals(instrument, found, bounds) -> list[list[Mutant]]:
    """For each case on which few single mistakes agree with the function: these, the fewest first."""
    agreeing: list[list[Mutant]] = [[] for _ in found]
    for i, here in enumerate(agreeing):
        here += [m for m in instrument.visible if instrument.distance(found[i], instrument.of(m, i), i) <= bounds[i]]
    return sorted((few for few in agreeing if 0 < len(few) < len(instrument.visible) / 2), key=len)


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
        return tolerance(dtype, case.longest, by_differences=algorithm.number in TRAINING, foreign=True)

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
        values["q"] = distributions(answer.drawn_from)
    return Outcome(values)
