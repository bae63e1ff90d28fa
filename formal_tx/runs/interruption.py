"""Ctrl-C during training: the step that runs is finished, and the loop is told; the second one stops at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether somebody asked the process to stop, by SIGINT (Ctrl-C) or SIGTERM."""

    asked: bool = False


@contextmanager
def watched() -> Iterator[Interruption]:
    """While it lasts the first signal sets `asked`; the second is what it always was."""
    interruption = Interruption()
    before: dict[signal.Signals, object] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def ask(number: int, frame: FrameType | None) -> None:
        interruption.asked = True
        restore()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, ask)
    except ValueError:  # not the main thread, which has no signals to wait for
        restore()
    try:
        yield interruption
    finally:
        restore()
