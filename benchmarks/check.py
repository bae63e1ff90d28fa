"""The time of the check itself: of all fifteen algorithms, and of a function with a mistake that is then diagnosed.

python -m benchmarks.check

From the start of the command to its end, with nothing compiled before.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from .harness.command import command
from .harness.records import measured
from .harness.results import Record
from .harness.rival import ROOT
from .harness.settings import Settings

MISTAKEN = "benchmarks/rivals/mistaken.py:layer_norm"
COMMANDS = {
    "formal-tx check 4": (("check", "4"), 0),
    f"formal-tx check 6 --against {MISTAKEN}": (("check", "6", "--against", MISTAKEN), 1),
    "formal-tx check": (("check",), 0),
}


def measure(settings: Settings) -> Iterator[Record]:
    """A line for each command."""
    names = settings.few(list(COMMANDS), list(COMMANDS)[:2])
    for name in names:
        if settings.wants(name):
            taken = [seconds(*COMMANDS[name]) for _ in range(settings.rounds)]
            yield measured("check", name, "", "seconds", taken)


def seconds(arguments: Sequence[str], status: int) -> float:
    """How long the command takes.

    Raises:
      SystemExit: it ends with another status than expected.
    """
    whole = [sys.executable, "-m", "formal_tx.cli", *arguments]
    with tempfile.TemporaryDirectory() as caches:
        start = time.perf_counter()
        done = subprocess.run(whole, cwd=ROOT, env=os.environ | {"XDG_CACHE_HOME": caches}, capture_output=True)
        taken = time.perf_counter() - start
    if done.returncode != status:
        raise SystemExit(
            f"formal-tx {' '.join(arguments)}: status {done.returncode}, expected {status}: {done.stderr!r}"
        )
    return taken


if __name__ == "__main__":
    command("check", measure, __doc__)
