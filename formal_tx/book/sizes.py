"""Shapes for given sizes, and in HTML: what the page shows before a reader types anything, and on paper."""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from markupsafe import Markup


def value(dim: str, sizes: Mapping[str, int]) -> int:
    """A sum of products of axes, "l + i + 1" or "H d_mid", for given sizes."""
    terms = dim.removeprefix("≤ ").split(" + ")
    return sum(math.prod(int(word) if word.isdigit() else sizes[word] for word in term.split()) for term in terms)


def axis(text: str) -> Markup:
    """The same with subscripts."""
    words = (word.partition("_") for word in text.split(" "))
    return Markup(" ".join(escape(name) + (f"<sub>{escape(below)}</sub>" if below else "") for name, _, below in words))


def row(shape: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """A row of the table of shapes: `name`, `lines`, `html`, `size` and `count`."""
    dims, times = shape["dims"], shape["times"]
    made = {"name": shape["name"], "lines": ", ".join(map(str, shape["lines"])) or "given"}
    if dims == ["θ"]:
        return made | {"html": "as theta", "size": "", "count": ""}
    each = Markup("").join([Markup(" for each of ") + axis(loop) for loop in times])
    most = "≤ " if any(dim.startswith("≤") for dim in dims) else ""
    numbers, loops = [value(dim, sizes) for dim in dims], [sizes[loop] for loop in times]
    return made | {
        "html": (Markup(" × ").join(axis(dim) for dim in dims) if dims else "a number") + each,
        "size": most + (" × ".join(map(str, numbers)) or "a number") + "".join(f", {n} times" for n in loops),
        "count": most + f"{math.prod(numbers + loops):,}",
    }
