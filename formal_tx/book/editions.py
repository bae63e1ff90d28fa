"""The two programs of an algorithm, cut at the paper's lines, and coloured."""

import ast
import re
from dataclasses import dataclass
from html import escape

from ..crosscheck.catalog import Algorithm
from ..crosscheck.source import library_lines, library_place
from ..diagnosis.programs import program
from .printed import Line, printed

_NUMBERS = re.compile(r"\s*#\s*(\d+(?:,\s*\d+)*)\s*$")
_WORDS = re.compile(
    r"""(?P<comment>\#.*)|(?P<string>"[^"]*")|\b(?P<keyword>for|in|while|if|else|not|and|or|lambda|return|None)\b"""
)


@dataclass(frozen=True)
class Row:
    """One line of the paper in three editions.

    Attributes:
      line: the printed one. paper, library: the source of the two programs, which may be empty.
    """

    line: Line
    paper: str
    library: str


def rows(algorithm: Algorithm) -> list[Row]:
    """The lines of an algorithm, in order."""
    paper, library = paper_lines(algorithm), library_lines(algorithm)
    return [
        Row(line, paper.get(line.number, ""), library.get(line.number, ""))
        for line in printed()[algorithm.number].lines
    ]


def places(algorithm: Algorithm) -> tuple[str, str]:
    """The files of the two programs."""
    return f"algorithms/{algorithm.file}.py", library_place(algorithm)


def calls(algorithm: Algorithm, algorithms: tuple[Algorithm, ...]) -> list[Algorithm]:
    """The algorithms that this one calls, directly or not, by number."""
    names = program(algorithm).functions
    return [other for other in algorithms if other.name in names and other is not algorithm]


def paper_lines(algorithm: Algorithm) -> dict[int, str]:
    """The pseudocode's source by the paper's lines.

    A statement without a number stands before the line that needs it; the last line has the return.
    """
    found: dict[int, str] = {}
    waiting: list[str] = []
    number = 0
    for text in source(algorithm)[1:]:
        match = _NUMBERS.search(text)
        text = _NUMBERS.sub("", text).rstrip()
        if text.strip().startswith("# ") or not text:
            continue  # the ends of loops, and headings: the print has them
        waiting.append(text)
        if match:
            number = int(match.group(1).split(",")[0])
            found[number] = "\n".join(waiting)
            waiting = []
    if waiting:
        found[number] = "\n".join([found[number], *waiting])
    return {n: _dedented(text) for n, text in found.items()}


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.split("\n"))


def source(algorithm: Algorithm) -> tuple[str, ...]:
    """The lines of the pseudocode's function, without its docstring and what stands before and after it in its file."""
    lines = algorithm.listing.source
    functions = (node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.FunctionDef))
    function = next(node for node in functions if node.name == algorithm.paper_name)
    begin = function.lineno if ast.get_docstring(function) is None else function.body[0].end_lineno
    return (lines[function.lineno - 1], *lines[begin : function.end_lineno])


def coloured(code: str) -> str:
    """Python as HTML: the kinds of its words as classes, each line an element that knows how far it is indented."""
    lines = code.split("\n") if code else []
    return "".join(f'<span style="--in:{len(line) - len(line.lstrip())}ch">{_words(line)}</span>' for line in lines)


def _words(line: str) -> str:
    parts, end = [], 0
    for match in _WORDS.finditer(line):
        parts += [escape(line[end : match.start()], quote=False), f'<i class="{match.lastgroup}">']
        parts += [escape(match.group(), quote=False), "</i>"]
        end = match.end()
    return "".join([*parts, escape(line[end:], quote=False)])
