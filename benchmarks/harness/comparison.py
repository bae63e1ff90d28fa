"""Ours against rivals: interleaved rounds, and a line of results for each rival."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from .absent import Absent
from .limit import Limit
from .records import measured, not_measured
from .results import Record
from .rival import Rival, RivalFailed
from .settings import Settings
from .statistics import quartiles, ratios

TURN = 0.2  # seconds that a turn lasts at least

Rounds = dict[str, list[float]]


def interleaved(rivals: Sequence[Rival], rounds: int) -> Rounds:
    """The seconds of each rival in each round: A B C, A B C, …"""
    seconds: Rounds = {rival.name: [] for rival in rivals}
    for _ in range(rounds):
        for rival in rivals:
            seconds[rival.name].append(rival.turn())
    return seconds


def started(stack: ExitStack, rivals: Sequence[Rival], turn: float = TURN, untimed: int = 0) -> dict[Rival, Exception]:
    """Starts the rivals, to be ended with the stack; gives those that cannot be timed here, and why."""
    absent: dict[Rival, Exception] = {}
    for rival in rivals:
        try:
            stack.enter_context(rival)
            rival.last_at_least(turn, untimed)
        except (Absent, RivalFailed) as reason:
            absent[rival] = reason
    return absent


def compare(
    settings: Settings,
    benchmark: str,
    case: str,
    ours: Rival,
    rivals: Sequence[Rival],
    limit: Limit | None = None,
    turn: float = TURN,
    untimed: int = 0,
    **more: Any,
) -> Iterator[Record]:
    """Times ours and the rivals in turns.

    Args:
      case: what is compared. more: entries for each line of results.
      limit: what the machine could do; each line then has ours as a share of it.
      turn: the seconds that a turn lasts at least. untimed: the calls that each makes before.
    Yields:
      A line for each rival; one that cannot be timed here gives a line that says why.
    Raises:
      RivalFailed: one that was ready failed in a turn.
    """
    if not settings.wants(case):
        return
    with ExitStack() as stack:
        absent = started(stack, [ours], turn, untimed)
        if absent:  # then there is nothing to compare with
            yield from (not_measured(benchmark, case, rival.name, absent[ours]) for rival in rivals)
            return
        limits = limit.rivals() if limit else []
        absent = started(stack, [*rivals, *limits], turn, untimed)
        yield from (not_measured(benchmark, case, rival.name, reason) for rival, reason in absent.items())
        present = [rival for rival in rivals if rival not in absent]
        rounds = interleaved([ours, *present, *limits], settings.rounds)
        against = _against(limit, rounds[ours.name], rounds) if limit else {}
        for rival in present:
            values = ratios(rounds[ours.name], rounds[rival.name])
            entries = {**_both(ours, rival, rounds), **against, **more}
            yield measured(benchmark, case, rival.name, "speed", values, **entries)


def _both(ours: Rival, rival: Rival, rounds: Rounds) -> Record:
    """What is known of both, besides the ratio."""
    both = {"ours": ours, "rival": rival}
    times = {who: rounds[one.name] for who, one in both.items()}
    return {
        "ratio_of_minima": min(times["rival"]) / min(times["ours"]),
        "seconds": {who: {"min": min(s), "median": statistics.median(s)} for who, s in times.items()},
        "compile_seconds": {who: one.compile_seconds for who, one in both.items()},
        "peak_bytes": {who: one.peak for who, one in both.items()},
    }


def _against(limit: Limit, ours: Sequence[float], rounds: Rounds) -> Record:
    """Ours as a share of the limit."""
    _, share, _ = quartiles(ratios(ours, limit.seconds(rounds)))
    rate = statistics.median(limit.rates(rounds))
    return {"limit": limit.name, "limit_rate": rate, "limit_unit": limit.unit, "share_of_limit": share}
