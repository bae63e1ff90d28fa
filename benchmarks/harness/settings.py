"""How a benchmark is run: thoroughly, or in a short time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .results import RESULTS

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
      quick: fewer rounds, fewer cases. Its results stand beside those of full runs, and replace none.
      rounds: how often each rival has its turn; 7, or 3 if quick, unless given.
      only: cases and rivals whose names contain this; all unless given.
    """

    quick: bool = False
    rounds: int = 7
    only: str = ""

    @property
    def results(self) -> Path:
        """Where the lines of results go."""
        return RESULTS / "quick" if self.quick else RESULTS

    def few(self, cases: Sequence[T], quick: Sequence[T] | None = None) -> Sequence[T]:
        """The cases; if it has to be quick, those of `quick`, or the first of them."""
        return cases if not self.quick else cases[:1] if quick is None else quick

    def wants(self, case: str) -> bool:
        """Whether a case is among those that were asked for."""
        return self.only in case
