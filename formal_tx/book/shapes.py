"""The shape of every variable in the paper's words: read off a run in which no two axes have the same size."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..crosscheck.catalog import Algorithm
from ..crosscheck.layout import is_theta
from .runs import Run, all_different, run
from .values import matrix, parameters

_LOOPS = {"layers": "L", "encoder": "L_enc", "decoder": "L_dec", "heads": "H"}
_INDEX = re.compile(r"(\w+)\[(\d+)\]")

_GROWING: Mapping[int, Mapping[int, str]] = {14: {0: "l + i", 1: "l + i + 1"}, 15: {0: "i + 1", 1: "i + 2"}}
"""In inference a sequence grows: what has the length of the start, and one more, in iteration i, from 0."""

_SPECIAL = {(12, 7): "≤ l", (15, 1): "1"}  # by line: as many as are masked; bos_token alone

LIMITS: Mapping[int, tuple[tuple[str, str], ...]] = {
    8: (("l_z", "l_max"), ("l_x", "l_max")),
    9: (("l", "l_max"),),
    10: (("l", "l_max"),),
    11: (("l_z", "l_max"), ("l", "l_max")),
    12: (("l", "l_max"),),
    13: (("l", "l_max"),),
    14: (("l + i", "l_max"),),
    15: (("l_z", "l_max"), ("i + 1", "l_max")),
}
"""Which sums of axes may not be longer than which axis."""


@cache
def shapes(algorithm: Algorithm) -> list[dict[str, Any]]:
    """Every variable of an algorithm: `name`, `lines` that assign it (none for an argument), `dims`, `times`.

    `dims` are sums and products of axes, "l + i", "H d_mid"; a parameter is there as often as the product of the axes
    in `times` says.
    """
    made = run(algorithm, all_different(algorithm), still=True)
    names = _names(made)
    growing = _growing(made)
    found: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for name, value in made.arguments.items():
        for row in _rows(name, value, names):
            found[row["name"], ("argument",)] = row | {"lines": []}
    seen: set[tuple[int, str]] = set()
    for step in made.steps:
        if (step.number, step.variable) in seen or step.value is None:
            continue
        seen.add((step.number, step.variable))
        if is_theta(step.value):
            row = {"name": step.variable, "dims": ["θ"], "times": []}
        else:
            (row,) = _rows(step.variable, step.value, names | growing, _SPECIAL.get((algorithm.number, step.number)))
        known = found.setdefault((row["name"], tuple(row["dims"])), row | {"lines": []})
        known["lines"].append(step.number)
    return list(found.values())


def axes(algorithm: Algorithm) -> list[str]:
    """The axes of which an algorithm's shapes are made, in the order in which they occur."""
    terms = [dim for row in shapes(algorithm) for dim in (*row["times"], *row["dims"])]
    terms += [side for limit in LIMITS.get(algorithm.number, ()) for side in limit]
    words = [word for term in terms for word in term.replace("≤ ", "").replace("+ ", "").split()]
    return [word for word in dict.fromkeys(words) if not word.isdigit() and word != "θ"]


def sizes(made: Run) -> dict[str, int]:
    """The size of each axis in a run."""
    return dict(made.case.sizes) | ({"i": 0} if made.algorithm.number in _GROWING else {})


def _names(made: Run) -> dict[int, str]:
    """The axis of each size in a run in which they all differ."""
    known = made.case.sizes
    names = {size: axis for axis, size in known.items() if axis not in _LOOPS.values() or axis == "H"}
    if len(names) < len({axis for axis in known if axis not in ("L", "L_enc", "L_dec")}):
        raise ValueError(f"algorithm {made.algorithm.number}: two axes have the same size in {known}")
    if "d_mid" in known:
        names[known["H"] * known["d_mid"]] = "H d_mid"
    return names


def _growing(made: Run) -> dict[int, str]:
    start = made.case.sizes.get("l", 1)
    return {start + more: name for more, name in _GROWING.get(made.algorithm.number, {}).items()}


def _rows(name: str, value: Any, names: Mapping[int, str], special: str | None = None) -> list[dict[str, Any]]:
    """A variable, or every array of a set of parameters, of the first head and layer alone."""
    if is_theta(value):
        firsts = [(path, array) for path, array in parameters(value, name) if not re.search(r"\[[1-9]", path)]
        return [part for path, array in firsts for part in _rows(path, array, names)]
    times = [_LOOPS[part] for part, _ in _INDEX.findall(name)]
    dims = [special] if special else [names[size] for size in matrix(value).shape]
    return [{"name": _INDEX.sub(r"\1[·]", name), "times": times, "dims": dims}]
