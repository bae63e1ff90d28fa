"""The limit of the machine that a program runs against, measured in the same rounds as the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..rivals.limits import FLOP
from .rival import Rival


@dataclass(frozen=True)
class Limit:
    """How long a program would take if the machine did nothing but what cannot be avoided.

    Attributes:
      name: what is limited. unit: of the rate.
      amount: how much of it a program needs: floating-point operations, or bytes to be read.
      measured: how much of it each of the `programs` does; the fastest is the machine's limit.
    """

    name: str
    unit: str
    amount: float
    measured: float
    programs: tuple[tuple[str, dict[str, Any]], ...]

    def rivals(self) -> list[Rival]:
        """The programs that measure the limit."""
        return [Rival(f"limit {target}", target, **arguments) for target, arguments in self.programs]

    def rates(self, rounds: Mapping[str, Sequence[float]]) -> list[float]:
        """The limit in each round, the best of the programs."""
        own = [rounds[f"limit {target}"] for target, _ in self.programs]
        return [self.measured / min(seconds) for seconds in zip(*own, strict=True)]

    def seconds(self, rounds: Mapping[str, Sequence[float]]) -> list[float]:
        """What the program would take at that rate, in each round."""
        return [self.amount / rate for rate in self.rates(rounds)]


_MODULE = "benchmarks.rivals.limits"


def products(operations: float) -> Limit:
    """Floating-point operations of matrix products in float32, against a product of large matrices."""
    return Limit("GEMM", "FLOP/s", operations, FLOP, ((f"{_MODULE}:gemm_jax", {}), (f"{_MODULE}:gemm_torch", {})))


def reading(size: float, at_once: int) -> Limit:
    """Bytes to be read, against a matrix of `at_once` bytes that is read once (as much as is read again and again)."""
    at_once -= at_once % (4 * 4096)
    arguments = {"size": at_once}
    programs = ((f"{_MODULE}:read_jax", arguments), (f"{_MODULE}:read_torch", arguments))
    return Limit("bandwidth", "B/s", size, at_once, programs)
