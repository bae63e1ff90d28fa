"""How the time of a function grows with the length of its input, in this process."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from ..harness.statistics import exponent
from .claim import Claim


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


def grows_in_proportion(
    claim: Claim, what: str, of_length: Callable[[int], Callable[[], Any]], lengths: Sequence[int], rounds: int
) -> None:
    """A part of a claim, with its panel: time is proportional to ℓ, `what` else is fixed."""
    times = seconds(of_length, lengths, rounds)
    p = claim.measured(f"exponent of time in ℓ, {what}", exponent(lengths, times))
    claim.holds("time grows as ℓ^p with p within 0.1 of 1", abs(p - 1) <= 0.1)
    claim.panel("time", "ℓ", "seconds", {f"ℓ^{p:.2f}": (lengths, times)}, logarithmic=True)


__all__ = ["exponent", "grows_in_proportion", "seconds"]
