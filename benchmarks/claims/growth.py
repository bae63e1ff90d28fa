"""How the time of a function grows with the length of its input, in this process."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from ..harness.statistics import exponent


def seconds(of_length: Callable[[int], Callable[[], Any]], lengths: Sequence[int], rounds: int = 5) -> list[float]:
    """The least time of `rounds` for each length, the lengths in turns, each compiled before.

    Args:
      of_length: gives a function without arguments, whose result is waited for.
    """
    functions = [of_length(length) for length in lengths]
    for f in functions:
        jax.block_until_ready(f())
    best = [float("inf")] * len(lengths)
    for _ in range(rounds):
        for i, f in enumerate(functions):
            start = time.perf_counter()
            jax.block_until_ready(f())
            best[i] = min(best[i], time.perf_counter() - start)
    return best


__all__ = ["exponent", "seconds"]
