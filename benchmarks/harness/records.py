"""A line of results: what was measured, of what, against whom, and where."""

from collections.abc import Sequence
from typing import Any

from .machine import circumstances
from .results import Record
from .statistics import quartiles

RATIOS = {"speed": "× as fast", "time": "× the time", "memory": "× the memory", "size": "× the size"}
"""What a `ratio` may be, ours to a rival's or one case to another; more is better for the first alone."""

OTHERS = ("exponent", "seconds", "count")
"""What else may be measured, each in an entry of its name."""


def measured(benchmark: str, case: str, rival: str, measure: str, values: Sequence[float], **more: Any) -> Record:
    """A line that has the median and the quartiles of what the rounds gave.

    Args:
      measure: one of `RATIOS` or `OTHERS`. values: one for each round. more: other entries.
    Raises:
      ValueError: there is no such measure, or no value.
    """
    if measure not in (*RATIOS, *OTHERS):
        raise ValueError(f"measured: measure is {measure!r}, expected one of {', '.join((*RATIOS, *OTHERS))}")
    first, median, third = quartiles(values)
    head = {"benchmark": benchmark, "case": case, "rival": rival, "measure": measure, "ratio": None}
    name = "ratio" if measure in RATIOS else measure
    found = {name: median, f"{name}_spread": [first, third], "rounds": len(values)}
    return {**head, **found, "limit": None, "share_of_limit": None, **more, **circumstances()}


def not_measured(benchmark: str, case: str, rival: str, reason: object) -> Record:
    """A line that says why there is no number."""
    return {"benchmark": benchmark, "case": case, "rival": rival, "absent": str(reason), **circumstances()}


def number(record: Record) -> tuple[float, list[float]]:
    """What a line is about, and its quartiles."""
    name = "ratio" if record["measure"] in RATIOS else record["measure"]
    return record[name], record[f"{name}_spread"]


def written(record: Record) -> str:
    """The number of a line and its quartiles, for people: "1.10 × as fast (1.08 to 1.12)"."""
    value, (first, third) = number(record)
    if record["measure"] in RATIOS:
        return f"{value:.2f} {RATIOS[record['measure']]} ({first:.2f} to {third:.2f})"
    if record["measure"] == "exponent":
        return f"exponent {value:.2f} ({first:.2f} to {third:.2f})"
    if record["measure"] == "seconds":
        return f"{value:.3g} s ({first:.3g} to {third:.3g})"
    return f"{value:.0f}"
