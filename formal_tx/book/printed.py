"""The boxes as they are printed: `printed.toml`, whose TeX becomes MathML, for browsers and screen readers."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from latex2mathml.converter import convert

_PARTS = re.compile(r"\$([^$]+)\$|\*\*([^*]+)\*\*")
_MACROS = (
    (re.compile(r"\\b(?:\{([^}]+)\}|\s*(\\[a-z]+|\w))"), r"\\boldsymbol{\1\2}"),
    (re.compile(r"\\f(?:\{([^}]+)\}| (\w))"), r"\\text{\1\2}"),
    (re.compile(r"\\math(cal|bb) (\w)"), r"\\math\1{\2}"),
    (re.compile(r"\\_"), "_"),
)
_BOLD = re.compile(r'<(m[in]) mathvariant="bold(?:-italic)?">')
_LETTER = re.compile(r"<mi>([A-Za-z]|&#x003[B-C][0-9A-F];|&#x02113;)</mi>")
_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML" display="inline"'


@dataclass(frozen=True)
class Line:
    """One numbered line of a box.

    Attributes:
      number: the paper's. html: what it says.
      depth: how far it is indented, in steps.
      comment: the heading that stands before it, or nothing.
    """

    number: int
    html: str
    depth: int
    comment: str


@dataclass(frozen=True)
class Printed:
    """One algorithm as it is printed.

    Attributes:
      title: its name in words. head: what it gives and takes, as HTML.
      does: what it does, in two sentences, as HTML.
      facts: its inputs, outputs, parameters and hyperparameters: pairs of a word and HTML.
      lines: the box.
    """

    number: int
    title: str
    head: str
    does: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]


@cache
def printed() -> dict[int, Printed]:
    """The fifteen algorithms by number."""
    text = files(__package__).joinpath("printed.toml").read_text(encoding="utf-8")
    return {entry["number"]: _printed(entry) for entry in tomllib.loads(text)["algorithm"]}


def _printed(entry: dict) -> Printed:
    comments = entry.get("comments", {})
    lines = tuple(
        Line(n, html(line.strip()), (len(line) - len(line.lstrip())) // 2, comments.get(str(n), ""))
        for n, line in enumerate(entry["lines"], 1)
    )
    facts = tuple((word, html(fact)) for word, fact in entry["facts"])
    return Printed(entry["number"], entry["title"], html(entry["head"]), html(entry["does"]), facts, lines)


def html(text: str) -> str:
    """Text with `$TeX$` and `**keywords**` as HTML."""
    parts, end = [], 0
    for match in _PARTS.finditer(text):
        parts.append(escape(text[end : match.start()]))
        tex, keyword = match.groups()
        parts.append(mathml(tex) if tex else f"<b>{escape(keyword)}</b>")
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def mathml(tex: str) -> str:
    """TeX as MathML. Letters get a class, to be of the text's own typeface: few readers have one for mathematics."""
    for pattern, replacement in _MACROS:
        tex = pattern.sub(replacement, tex)
    found = _BOLD.sub(r'<\1 class="bold" mathvariant="normal">', convert(tex).replace(_NAMESPACE, ""))
    return _LETTER.sub(r'<mi class="letter" mathvariant="normal">\1</mi>', found)
