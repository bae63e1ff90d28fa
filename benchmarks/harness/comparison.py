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


def interleaved(
    rivals: Sequence[Rival], rounds: int, failed: dict[Rival, Exception] | None = None, may_fail: Sequence[Rival] = ()
) -> Rounds:
    """The seconds of each rival in each round: A B C, A B C, …

    Args:
      may_fail: those that have no more turns once one fails; `failed` then says why.
    Raises:
      RivalFailed: for the others.
    """
    seconds: Rounds = {rival.name: [] for rival in rivals}
    failed = {} if failed is None else failed
    for _ in range(rounds):
        for rival in rivals:
            if rival in failed:
                continue
            try:
                seconds[rival.name].append(rival.turn())
            except RivalFailed as failure:  # PyTorch may compile anew in any call, for example
                if rival not in may_fail:
                    raise
                failed[rival] = failure
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
        failed: dict[Rival, Exception] = {}
        rounds = interleaved([ours, *present, *limits], settings.rounds, failed, may_fail=present)
        yield from (not_measured(benchmark, case, rival.name, str(why)[:120]) for rival, why in failed.items())
        against = _against(limit, rounds[ours.name], rounds) if limit else {}
        for rival in present:
            if rival in failed:
                continue
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
