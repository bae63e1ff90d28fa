"""Runs a page of the documentation: its blocks in order, in one namespace and one folder, as a reader would.

A block of ```python runs, unless it has a title: then it is the file of that name. A block of ```text behind it is what
it prints. A block of ```console has commands behind `$`, each with what it prints, and `echo $?` for its exit status.
`…` on a line of its own stands for what was left out, and the errors of floating point may be others. What a page shows
as an example, in a block of text with a title, is not compared.
"""

import contextlib
import io
import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from formal_tx.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r'^(?P<fence>```+)(?P<kind>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^(?P=fence)$', re.M | re.S
)
ROUNDING = re.compile(r"\d(?:\.\d+)?e[+-]\d\d")
NUMBER = re.compile(r"-?\d+\.\d+")
WIDTH = re.compile(r"─+|(?<=\.py):\d+")  # of a box; and the line where a function stands today
SPEED = re.compile(r"\b[\d.,]+ ?(?:seconds?|s|ms|MB)\b")
TOLERANCE = 0.1  # of a number that was learnt: the order of sums differs from machine to machine


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: of which kind, under which title, with what in it, and the line where it begins."""

    kind: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(found["kind"], found["title"], found["text"], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def run(page: Path) -> int:
    """Runs the blocks of a page in the current folder; how many ran.

    Raises:
      AssertionError: something printed is not what the page says. Whatever the code of the page raises.
    """
    namespace: dict[str, object] = {"__name__": "page"}
    printed, count = None, 0
    for block in blocks(page):
        place = f"{page.name}, line {block.line}"
        if block.title is not None and block.kind != "text":
            Path(block.title).write_text(block.text, "utf-8")
        elif block.kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block.text, place, "exec"), namespace)
            printed = output.getvalue()
            count += 1
        elif block.kind == "text" and block.title is None and printed is not None:
            require_said(block.text, printed, place)
            printed = None
        elif block.kind == "console":
            count += _commands(block.text, place)
    return count


def _commands(text: str, place: str) -> int:
    """Runs the commands of a console block, and compares what they print; how many."""
    status, count = 0, 0
    for found in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
        if found[1] == "echo $?":
            assert status == int(found[2]), f"{place}: exit status {status}, expected {found[2]}"
            continue
        status, printed = _command(found[1])
        assert status < 2, f"{place}: {found[1]} ended with {status}: {printed}"
        require_said(found[2], printed, f"{place}: {found[1]}")
        count += 1
    return count


def _command(command: str) -> tuple[int, str]:
    """The exit status of a command, and what it printed to standard output and standard error."""
    name, *arguments = shlex.split(command)
    if name == "formal-tx":  # in this process: what JAX has compiled serves the next one
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        return done.exit_code, done.output
    assert name in ("python", "pytest"), f"{command}: expected a command of formal-tx, python or pytest"
    module = [] if name == "python" else ["-m", "pytest", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "100"}
    environment.pop("PYTEST_ADDOPTS", None)
    finished = subprocess.run(
        [sys.executable, *module, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return finished.returncode, finished.stdout + finished.stderr


def require_said(said: str, printed: str, place: str) -> None:
    """What a page says is printed was printed, line by line and in order; `…` skips lines.

    Raises:
      AssertionError: names the first line that was not printed, and what was.
    """
    found = iter([line for line in printed.splitlines() if line.strip()])
    skipping = False
    for line in [line for line in said.splitlines() if line.strip()]:
        if line.strip() == "…":
            skipping = True
            continue
        candidates = found if skipping else [next(found, "")]
        assert any(same(line, other) for other in candidates), f"{place}: {line!r} was not printed, but\n{printed}"
        skipping = False


def same(said: str, printed: str) -> bool:
    """Whether two lines are the same, but for spaces, rounding errors, times, and the last digits of learnt numbers."""
    said, printed = map(_plain, (said, printed))
    if NUMBER.sub("#", said) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(said), NUMBER.findall(printed), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=TOLERANCE, abs_tol=0.02) for a, b in pairs)


def _plain(line: str) -> str:
    for pattern in (WIDTH, ROUNDING, SPEED):
        line = pattern.sub("#", line)
    return " ".join(line.split())
