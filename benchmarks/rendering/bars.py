"""What the results are held against: bars.toml."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ..harness.records import number

BARS = Path(__file__).parents[1] / "bars.toml"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; one of them may be infinite."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if isfinite(self.low) and isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        return f"≥ {self.low:g}" if isfinite(self.low) else f"≤ {self.high:g}"


@dataclass(frozen=True)
class Bar:
    """What a line of results, or each of several, has to show.

    Attributes:
      case: that of the line, or, with a * at its end, how the cases begin.
      of: "number", what the line is about, or "share", of the machine's limit.
    """

    benchmark: str
    case: str
    rival: str
    goal: Range
    floor: Range
    of: str = "number"

    def concerns(self, record: Mapping[str, Any]) -> bool:
        """Whether the line is one of those that it is about."""
        same = (record["benchmark"], record["rival"]) == (self.benchmark, self.rival)
        begins = record["case"].startswith(self.case[:-1]) if self.case.endswith("*") else record["case"] == self.case
        return same and begins

    def verdict(self, record: Mapping[str, Any]) -> str:
        """What a line shows: "goal", "floor", "missed"; "not measured" where it has no number."""
        value = None if "absent" in record else self.value(record)
        if value is None:
            return "not measured"
        return "goal" if value in self.goal else "floor" if value in self.floor else "missed"

    def worst(self, records: Sequence[Mapping[str, Any]]) -> str:
        """The verdict of the worst of the lines that it is about; "not measured" if there is none."""
        verdicts = {self.verdict(record) for record in records if self.concerns(record)} or {"not measured"}
        return max(verdicts, key=("goal", "floor", "not measured", "missed").index)

    def value(self, record: Mapping[str, Any]) -> float | None:
        """The number that is held against it."""
        return record["share_of_limit"] if self.of == "share" else number(dict(record))[0]

    def __str__(self) -> str:
        if self.of == "share":
            return f"{_percent(self.goal)} of the limit, at least {self.floor.low:.0%}"
        return f"{self.goal} ({self.floor})"


def _percent(share: Range) -> str:
    return f"≥ {share.low:.0%}"


def read(path: Path = BARS) -> tuple[dict[str, str], list[Bar]]:
    """The titles of the benchmarks, in their order, and the bars.

    Raises:
      ValueError: an entry is missing or of no meaning; names the bar. OSError: there is no such file.
    """
    content = tomllib.loads(path.read_text("utf-8"))
    bars = []
    for n, entries in enumerate(content["bar"], start=1):
        try:
            ranges = {name: Range(*map(float, entries.pop(name, (-inf, inf)))) for name in ("goal", "floor")}
            bars.append(Bar(**entries, **ranges))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: bar {n}: {error}") from None
    return content["titles"], bars
