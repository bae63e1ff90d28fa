"""SPECIFICATION.md: how to read the vectors and how to compare, for somebody who has no Python."""

from itertools import takewhile
from typing import Any

from .. import __version__
from ..crosscheck import Algorithm, find
from .guide import GUIDE

_TRAINING = (
    "Row n of `x` (and of `z`) is sequence n. P and loss are the values at the θ of before the update. The gradient "
    "was found by central differences with h = 1e-5: an exact one agrees to the tolerance."
)
_SAMPLING = "`sample(q)` is the index i of the largest log(q[i]) + `noise[n, i]`, n = 0, 1, … counting the calls."
_NOTES = {
    3: "`context` is a matrix whose column t is e_t, and so are `2.k` and `3.v`; `4.alpha` has an entry for each t.",
    5: "`2.Y_h` is a head's answer: `2.Y_h` that of the first, `2.Y_h#2` that of the second, …",
    11: _TRAINING,
    12: f"{_TRAINING} Token t of sequence n is masked in epoch i if `random[i, n, t]` < p_mask. `7.T_tilde` is a list "
    "of positions.",
    13: _TRAINING,
    14: _SAMPLING,
    15: f"{_SAMPLING} The y of line 2 is no token, and has no tensor.",
}


def specification(entries: list[dict[str, Any]]) -> str:
    """The page for the algorithms that these entries of the index describe."""
    head = GUIDE.replace("{version}", __version__)
    return "\n".join([head, *(_section(find(entry["number"]), entry) for entry in entries)])


def _section(algorithm: Algorithm, entry: dict[str, Any]) -> str:
    """What an algorithm does, its lines, its tensors, its cases."""
    listing = algorithm.listing
    end = next(i for i, line in enumerate(listing.source) if i and line.rstrip().endswith('"""'))
    title, *prose = "\n".join(listing.source[: end + 1]).strip('"\n').split("\n")
    parts = [f"## {title}", "", "```text", *"\n".join(prose).strip("\n").split("\n"), "```", "", "```text"]
    parts += [*_code(listing.source, algorithm.name), "```", ""]
    if algorithm.number in _NOTES:
        parts += [_NOTES[algorithm.number], ""]
    parts += [f"File: `{entry['file']}`", "", "| case | what | scalars | sizes |", "|---|---|---|---|"]
    for case in entry["cases"]:
        parts += [f"| {case['case']} | {_what(case)} | {_pairs(case['scalars'])} | {_pairs(case['hyperparameters'])} |"]
    return "\n".join([*parts, "", "Tensors of case 1:", "", *_tensors(entry["cases"][0]), ""])


def _code(source: tuple[str, ...], function: str) -> list[str]:
    """The lines of a function, with the numbers of the paper at their ends."""
    start = next(i for i, line in enumerate(source) if line.startswith(f"def {function}("))
    body = takewhile(lambda line: not line or line[0] in " #", source[start + 1 :])
    return [source[start], *body]


def _what(case: dict[str, Any]) -> str:
    return case["title"] if case["defined"] else f"{case['title']} (**not defined** in the paper: 0/0, nan)"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _tensors(case: dict[str, Any]) -> list[str]:
    """A line for each role: its tensors with their shapes; of many, the first few."""
    lines = []
    for role in ("input", "parameter", "line", "output"):
        found = [t for t in case["tensors"] if t["role"] == role]
        shown = [f"`{t['name']}` {t['dtype']} {t['shape']}" for t in found[:12]]
        more = [f"… {len(found) - 12} more in the index"] if len(found) > 12 else []
        lines += [f"* {', '.join(shown + more)}"] if found else []
    return lines
