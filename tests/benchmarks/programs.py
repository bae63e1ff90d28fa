"""What the tests let a worker run."""

import os
from collections.abc import Callable

from benchmarks.harness.absent import Absent


def counting(start: int) -> Callable[[], dict[str, int]]:
    """Counts its calls, and prints, which must not be taken for an answer."""
    calls = [start]

    def run() -> dict[str, int]:
        print("a rival that talks", flush=True)
        calls[0] += 1
        return {"calls": calls[0]}

    return run


def taking(size: int) -> Callable[[], None]:
    """Takes `size` bytes for a moment."""

    def run() -> None:
        bytearray(os.urandom(1) * size)

    return run


def absent() -> Callable[[], None]:
    """Is not here."""
    raise Absent("some library is not installed")


def failing() -> Callable[[], None]:
    """Makes a mistake when it is called."""

    def run() -> None:
        raise ValueError("something is wrong")

    return run


def dying(calls: int) -> Callable[[], None]:
    """Ends its process without a word, after so many calls."""
    left = [calls]

    def run() -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(7)

    return run
