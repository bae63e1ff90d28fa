"""The telling cases of an algorithm, and what its mutants make of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from ..crosscheck.calling import defined
from ..crosscheck.catalog import Algorithm
from ..crosscheck.draws import Case
from ..crosscheck.telling import ONE_UPDATE, neutral_of, telling_of
from ..crosscheck.tolerances import DIFFERENCES, FOREIGN
from .mutants import Mutant, mutants
from .outcomes import Outcome, distance, runner
from .programs import Edit, Program, program


def cases(algorithm: Algorithm, dtype: str = "float64") -> tuple[Case, ...]:
    """The cases on which a function has to be run to be diagnosed."""
    return tuple(defined((*telling_of(algorithm), *neutral_of(algorithm)), dtype))


@dataclass
class Instrument:
    """Runs the mutants of one algorithm on its telling cases."""

    algorithm: Algorithm
    cases: Sequence[Case]
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.program = program(self.algorithm)
        every = iter((9, 1))  # the first look is quick, the second one sees every array
        self._sampled = [self.algorithm.trains and c.title == ONE_UPDATE for c in self.cases]
        self._runs = [
            runner(self.algorithm, c, next(every, None) if sampled else None)
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

        trains = self.algorithm.trains
        bound = DIFFERENCES if trains else FOREIGN["float64"]

        def differs(mutant: Mutant) -> bool:
            # One update shows a mistake in the model: several, which take longer, show only one in the training.
            short = trains and mutant.algorithm != self.algorithm.paper_name
            chosen = [i for i in range(len(self.cases)) if self._sampled[i] or not short]
            return any(self.distance(self.of(None, i), self.of(mutant, i), i) > bound for i in chosen)

        return tuple(mutant for mutant in mutants(self.algorithm) if differs(mutant))


@cache
def instrument(algorithm: Algorithm, dtype: str) -> Instrument:
    """The instrument of an algorithm, which keeps what it has found out about its mutants."""
    return Instrument(algorithm, cases(algorithm, dtype))
