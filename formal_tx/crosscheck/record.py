"""Watches the pseudocode run: every variable, each time a numbered line assigns it."""

import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .pseudocode import Listing, Statement


@dataclass(frozen=True)
class Recorded:
    """A variable as a line left it."""

    number: int
    variable: str
    value: Any


def record(f: Callable, listing: Listing, *args: Any, **kwargs: Any) -> tuple[Any, list[Recorded]]:
    """Run `f`, the function that `listing` describes, and give its result and what its lines assigned, in order.

    A variable that is filled entry by entry in a loop is recorded when the loop is done. What is a function of θ in the
    paper, P(θ) and loss(θ), is recorded as its value at the θ of that moment.
    """
    code = f.__code__
    statements = {s.first: s for s in listing.assigned}
    recorded: list[Recorded] = []

    def value_of(statement: Statement, frame: FrameType) -> Any:
        value = frame.f_locals[str(statement.variable)]
        if callable(value):
            sys.settrace(None)
            try:
                value = value(frame.f_locals["theta"])
            finally:
                sys.settrace(trace)
        return deepcopy(value)

    def local(pending: list[Statement]) -> Callable:
        def on_event(frame: FrameType, event: str, _: Any) -> Callable:
            if event == "exception":
                pending.clear()  # the line did not get as far as assigning anything
            if event in ("line", "return"):
                for statement in [s for s in pending if event == "return" or not s.holds(frame.f_lineno)]:
                    pending.remove(statement)
                    recorded.append(Recorded(statement.number, str(statement.variable), value_of(statement, frame)))
            if event == "line" and frame.f_lineno in statements and statements[frame.f_lineno] not in pending:
                pending.append(statements[frame.f_lineno])
            return on_event

        return on_event

    def trace(frame: FrameType, event: str, _: Any) -> Callable | None:
        return local([]) if event == "call" and frame.f_code is code else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = f(*args, **kwargs)
    finally:
        sys.settrace(before)
    return result, recorded
