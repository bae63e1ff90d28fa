"""A rival as the benchmark sees it: a process of its own that runs when it is told to, and waits otherwise."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .absent import Absent

ROOT = Path(__file__).parents[2]
SETTLE = 0.02  # seconds in which the threads of whoever had the turn fall asleep


class RivalFailed(RuntimeError):
    """A rival's process reported an error, or is no more."""


class Rival:
    """A rival's process, as a context. It is ready, compiled and warm, when the context is entered.

    What it says on standard error is heard if the variable BENCHMARKS_VERBOSE is set.

    Args:
      name: what it is called in the results.
      target: "module:function", which makes it ready; `arguments`: those of the function, of types that JSON has.
      calls_before: how often it is called before the first turn. Three show what is compiled, and how long a call is.
      environment: what its process has for an environment; as this one's, unless given.
    Raises:
      Absent: it cannot be timed here. RivalFailed: it ended, or said that something went wrong.
    """

    def __init__(
        self,
        name: str,
        target: str,
        *,
        calls_before: int = 3,
        environment: Mapping[str, str] = os.environ,
        **arguments: Any,
    ) -> None:
        self.name = name
        self._environment = {**environment, "PYTHONPATH": str(ROOT)}
        worker = ("-m", "benchmarks.harness.worker", target, json.dumps(arguments), str(calls_before))
        self._command = [sys.executable, *worker]
        self._calls = 1
        self._untimed = 0
        self.peak: int | None = None  # bytes of its arrays, and what the last turn took beyond them
        self.value: dict[str, Any] = {}  # what the last call returned, if that was a dictionary

    def __enter__(self) -> "Rival":
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if "BENCHMARKS_VERBOSE" not in os.environ else None,
            text=True,
            bufsize=1,
        )
        try:
            self._ready = self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    @property
    def compile_seconds(self) -> float | None:
        """What the first calls took beyond a usual one, if there were enough of them to say."""
        return self._ready["compile"]

    def last_at_least(self, seconds: float, untimed: int = 0) -> None:
        """Makes so many calls a turn that it takes about `seconds`; one, if it is not known how long a call is.

        Before these it makes some that are not timed.
        """
        self._untimed = untimed
        self._calls = math.ceil(seconds / max(self._ready["call"] or seconds, 1e-6))

    def turn(self) -> float:
        """The seconds of one call, the mean of those of a turn."""
        time.sleep(SETTLE)
        assert self._process.stdin is not None
        try:
            print(self._untimed, self._calls, file=self._process.stdin)
        except BrokenPipeError:
            raise RivalFailed(f"{self.name}: its process ended") from None
        answer = self._answer()
        self.value = answer["value"]
        self.peak = answer["peak"]
        return answer["seconds"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RivalFailed(f"{self.name}: its process ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        if "failed" in answer:
            raise RivalFailed(f"{self.name}: {answer['failed']}")
        return answer
