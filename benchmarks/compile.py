"""Compilation: how long it takes with 96 layers against 2, how much there is to compile, and what a longer run adds.

python -m benchmarks.compile
"""

from collections.abc import Iterator
from contextlib import ExitStack

from .harness.command import command
from .harness.comparison import interleaved, started
from .harness.records import measured, not_measured
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings
from .harness.statistics import ratios

SHALLOW, DEEP = 2, 96
SHORT, LONG = 20, 60
MODULE = "benchmarks.rivals.our_compilation"


def measure(settings: Settings) -> Iterator[Record]:
    """Two lines for the forward pass and for the training step, and one for the runs."""
    for kind, case in settings.few((("step", "training step"), ("forward", "forward pass"))):
        if settings.wants(case):
            yield from _depths(settings, kind, case)
    if settings.wants(RUNS):
        yield _runs()


def _depths(settings: Settings, kind: str, case: str) -> Iterator[Record]:
    rivals = [Rival(f"L = {L}", f"{MODULE}:{kind}", L=L) for L in (SHALLOW, DEEP)]
    shallow, deep = rivals
    with ExitStack() as stack:
        absent = started(stack, rivals)
        if absent:
            yield not_measured("compile", f"{case}, time", shallow.name, next(iter(absent.values())))
            return
        rounds = interleaved(rivals, settings.rounds)
        growth = ratios(rounds[shallow.name], rounds[deep.name])
        found = {"sizes": {one.name: one.value["bytes"] for one in rivals}, "seconds": {**rounds}}
        yield measured("compile", f"{case}, L = {DEEP}", shallow.name, "time", growth, **found)
        size = deep.value["bytes"] / shallow.value["bytes"]
        yield measured("compile", f"{case}, L = {DEEP}, StableHLO", shallow.name, "size", [size], **found)


RUNS = f"programs that {LONG} steps of training compile beyond those of {SHORT}"


def _runs() -> Record:
    rivals = [Rival(f"{steps} steps", f"{MODULE}:training_run", calls_before=0, steps=steps) for steps in (SHORT, LONG)]
    with ExitStack() as stack:
        absent = started(stack, rivals)
        if absent:
            return not_measured("compile", RUNS, f"{SHORT} steps", next(iter(absent.values())))
        interleaved(rivals, 1)
    short, long = (one.value["compilations"] for one in rivals)
    return measured("compile", RUNS, f"{SHORT} steps", "count", [long - short], compilations={SHORT: short, LONG: long})


if __name__ == "__main__":
    command("compile", measure, __doc__)
