"""The check of somebody else's function, and the diagnosis where it disagrees."""

from dataclasses import replace

from ..crosscheck.calling import Candidate
from ..crosscheck.candidate import check_candidate
from ..crosscheck.catalog import Algorithm
from ..crosscheck.compare import Comparison
from .diagnose import Diagnosis, examine


def judge(
    algorithm: Algorithm,
    candidate: Candidate,
    *,
    seed: int = 0,
    cases: int = 3,
    dtype: str = "float64",
    layout: str = "rows",
    diagnosed: bool = True,
    seconds: float = 60,
) -> tuple[Comparison, Diagnosis | None]:
    """Check a function, and where it disagrees find out which mistake it makes.

    A function that is called in float64, rounds to float32 inside and is right otherwise agrees: to single precision,
    which `Comparison.single_precision` says.

    Args:
      candidate: `calling.FromFile` or `calling.FromFunction`.
      seed, cases, dtype, layout: as in `check_candidate`. diagnosed: whether to look for the mistake.
      seconds: how long to look for two of them.
    Raises:
      CannotRun: if it cannot be run.
    """
    comparison = check_candidate(algorithm, candidate, seed=seed, cases=cases, dtype=dtype, layout=layout)
    if comparison.agrees or not diagnosed:
        return comparison, None
    diagnosis = examine(algorithm, candidate, dtype=dtype, layout=layout, seconds=seconds)
    if diagnosis.single_precision and comparison.agrees_to("float32"):
        return replace(comparison, first_bad=None, failing=None, single_precision=True), diagnosis
    return comparison, diagnosis
