"""How time or memory grows with a size: rivals of several sizes in turns, and the exponent that fits."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from .comparison import interleaved, started
from .records import measured, not_measured
from .results import Record
from .rival import Rival
from .settings import Settings
from .statistics import exponent

UNITS = {"time": "s", "memory": "B"}


def growth(
    settings: Settings,
    benchmark: str,
    case: str,
    axis: str,
    of_size: Callable[[int], Rival],
    sizes: Sequence[int],
    *,
    of: Sequence[str] = ("time",),
    rival: str = "",
) -> Iterator[Record]:
    """The exponents of time and of peak memory against a size.

    Args:
      case: what grows; "…, time" and "…, memory" are the lines. axis: the name of the size.
      of_size: the rival of each size, with a name of its own. of: "time", "memory" or both.
      rival: whose growth it is; nobody's is ours.
    Yields:
      A line for each of `of`, with the curve itself; one that says why there is none if a size cannot be timed.
    """
    names = {what: f"{case}, {what}" for what in of}
    if not any(settings.wants(name) for name in names.values()):
        return
    rivals = [of_size(size) for size in sizes]
    with ExitStack() as stack:
        absent = started(stack, rivals)
        if absent:
            yield from (not_measured(benchmark, name, rival, next(iter(absent.values()))) for name in names.values())
            return
        rounds = interleaved(rivals, settings.rounds)
        for what, name in names.items():
            values = [rounds[one.name] if what == "time" else [one.peak] for one in rivals]
            yield line(benchmark, name, rival, axis, sizes, values, UNITS[what])


def line(
    benchmark: str,
    case: str,
    rival: str,
    axis: str,
    sizes: Sequence[int],
    values: Sequence[Sequence[Any]],
    unit: str,
) -> Record:
    """A line for the growth of `values`, of which there is one of each size for every round."""
    curve = {"axis": axis, "sizes": list(sizes), "values": [statistics.median(v) for v in values], "unit": unit}
    by_round = [exponent(sizes, found) for found in zip(*values, strict=True)]
    return measured(benchmark, case, rival, "exponent", by_round, curve=curve)
