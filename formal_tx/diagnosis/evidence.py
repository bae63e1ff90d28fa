"""What a function made of the telling cases, held against what mutants make of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .instrument import Instrument
from .mutants import Mutant
from .outcomes import Outcome
from .programs import Edit


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
class Evidence:
    """What a function made of the telling cases.

    Attributes:
      instrument: which has the cases.
      found: its outcomes, case by case. bounds: what may be rounding, case by case.
    """

    instrument: Instrument
    found: Sequence[Outcome]
    bounds: Sequence[float]

    def of(self, mutant: Mutant) -> Explanation:
        """How well one mistake explains it."""
        return self._judged((mutant,), (self.instrument.of(mutant, i) for i in range(len(self.found))))

    def together(self, explaining: tuple[Mutant, ...], edits: Sequence[Edit]) -> Explanation:
        """How well mistakes explain it that are made together, by `edits`; without any, how right it is.

        Raises:
          Incompatible: if the edits cannot all be made.
        """
        f = self.instrument.program.function(edits)
        return self._judged(explaining, (self.instrument.run(f, i) for i in range(len(self.found))))

    def agreeing(self, i: int) -> list[Mutant]:
        """The mutants that give what was found in the i-th case."""
        return [m for m in self.instrument.visible if self._distance(self.instrument.of(m, i), i) <= self.bounds[i]]

    def _distance(self, expected: Outcome, i: int) -> float:
        return self.instrument.distance(self.found[i], expected, i)

    def _judged(self, explaining: tuple[Mutant, ...], outcomes: Iterable[Outcome]) -> Explanation:
        """The outcomes are asked for case by case: the first that is too far off ends it."""
        worst = 0.0
        for i, expected in enumerate(outcomes):
            worst = max(worst, self._distance(expected, i))
            if worst > self.bounds[i]:
                return Explanation(explaining, worst, False)
        return Explanation(explaining, worst, True)
