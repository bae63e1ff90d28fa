"""What the diagnosis says of many placements, counted."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from formal_tx.diagnosis import Diagnosis

from .placement import Placement


@dataclass(frozen=True)
class Result:
    """A placement, what was said of it, and how many seconds that took, calls of the candidate included."""

    placement: Placement
    diagnosis: Diagnosis
    seconds: float

    @property
    def named(self) -> bool:
        return self.placement.named_by(self.diagnosis)

    @property
    def alone(self) -> bool:
        """Whether no other mistake explains as well."""
        return self.named and len(self.diagnosis.explained) == 1

    def __str__(self) -> str:
        said = (
            ", ".join(f"{' and '.join(e.mistakes)} {e.distance:.1e}" for e in self.diagnosis.explanations) or "nothing"
        )
        changes = "\n".join(f"  - {old}\n  + {new}" for old, new in self.placement.changes)
        return f"{self.placement}: {len(self.diagnosis.explained)} explain; {said}\n{changes}"


def examined(placements: Iterable[Placement]) -> list[Result]:
    """The results of placements."""
    results = []
    for placement in placements:
        start = time.perf_counter()
        diagnosis = placement.diagnose()
        results.append(Result(placement, diagnosis, time.perf_counter() - start))
    return results


def table(results: Sequence[Result]) -> str:
    """How many were named, by algorithm, and those that were not."""
    lines = ["algorithm  placements  named  alone  median s  longest s"]
    for number in sorted({r.placement.algorithm for r in results}):
        lines.append(f"{number:9}  {_row([r for r in results if r.placement.algorithm == number])}")
    lines.append(f"{'all':>9}  {_row(results)}")
    return "\n".join([*lines, *(str(r) for r in results if not r.named)])


def _row(results: Sequence[Result]) -> str:
    seconds = sorted(r.seconds for r in results)
    named, alone = sum(r.named for r in results), sum(r.alone for r in results)
    return f"{len(results):10}  {named:5}  {alone:5}  {seconds[len(seconds) // 2]:8.1f}  {seconds[-1]:9.1f}"
