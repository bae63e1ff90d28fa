"""The process of one rival: makes it ready, then waits for its turn.

python -m benchmarks.harness.worker MODULE:FUNCTION ARGUMENTS CALLS

FUNCTION(**ARGUMENTS) returns what is to be timed, a function of nothing; a dictionary that this returns is passed on.
It is called CALLS times, so that it is compiled and warm. After that each line of standard input, two numbers of calls
to make, first those that are not timed, is answered by a line of JSON. A process that waits is blocked on reading, so
that its threads leave the cores alone.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .absent import Absent
from .memory import alive, forget_peak, peak, resident


def main(target: str, arguments: dict[str, Any], calls: int) -> None:
    """Answers on what was standard output; whatever the rivals print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        run, ready = _ready(target, arguments, calls)
        print(json.dumps(ready), file=answers)
        for line in sys.stdin:
            print(json.dumps(_turn(run, *map(int, line.split()))), file=answers)
    except Absent as reason:
        print(json.dumps({"absent": str(reason)}), file=answers)
    except Exception as error:
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"[:300]}), file=answers)
        raise


def _ready(target: str, arguments: dict[str, Any], calls: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    module, function = target.split(":")
    make = getattr(import_module(module), function)
    _start_libraries()
    make_seconds, run = _timed(lambda: make(**arguments))
    seconds = [_timed(run)[0] for _ in range(calls)]
    # Two calls may compile: the state that a first one returns may be of another type than the one it was given.
    usual = seconds[-1] if calls > 2 else None
    compile_seconds = max(sum(seconds[:2]) - 2 * usual, 0.0) if usual else None
    return run, {"make": make_seconds, "compile": compile_seconds, "call": usual}


def _timed(f: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = f()
    return time.perf_counter() - start, value


def _turn(run: Callable[[], Any], untimed: int, calls: int) -> dict[str, Any]:
    for _ in range(untimed):
        run()
    forget_peak()
    held, arrays = resident(), alive()
    start = time.perf_counter()
    for _ in range(calls - 1):
        run()
    value = run()
    seconds = (time.perf_counter() - start) / calls
    # What the calls took for a while, and the arrays that were there all the time; not libraries and compiled code.
    taken = None if held is None else peak() - held + arrays
    return {"seconds": seconds, "peak": taken, "value": value if isinstance(value, dict) else {}}


def _start_libraries() -> None:
    """What a library takes when it is first used is not the rival's."""
    if "jax" in sys.modules:
        import jax

        jax.jit(lambda a: a + a)(jax.numpy.zeros(8)).block_until_ready()
    if "torch" in sys.modules:
        import torch

        torch.ones(8, 8) @ torch.ones(8, 8)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
