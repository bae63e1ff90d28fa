"""What the pages of the site say runs as written, each page in a folder of its own."""

import re

import pytest

from formal_tx.cli import app
from formal_tx.crosscheck import ALGORITHMS

from . import pages

SLOW = ("tutorial.md", "decoding.md", "how-to/train.md", "how-to/move.md", "how-to/generate.md")
SLOW += ("how-to/error-budget.md", "how-to/tests.md", "how-to/patch.md")
QUICK_SYSTEMS = ("systems/streaming_llm.md", "systems/reformer.md")
OWN = (
    "index.md",
    "tutorial.md",
    "conventions.md",
    "models.md",
    "performance.md",
    "decoding.md",
    *sorted(f"how-to/{p.name}" for p in pages.DOCS.glob("how-to/*.md")),
    *sorted(f"systems/{p.name}" for p in pages.DOCS.glob("systems/*.md") if p.name != "index.md"),
)


def _page(name):
    slow = name in SLOW or (name.startswith("systems/") and name not in QUICK_SYSTEMS)
    marks = [pytest.mark.slow] if slow else []
    marks += [pytest.mark.oracle] if "pytorch" in name else []
    return pytest.param(name, marks=marks, id=name)


@pytest.mark.parametrize("name", [_page(name) for name in OWN])
def test_a_page_runs_and_prints_what_it_says(name, reader):
    if "pytorch" in name:
        pytest.importorskip("torch", reason="make test-all installs PyTorch")
    assert pages.run(pages.DOCS / name) > 0


@pytest.mark.parametrize("name", OWN)
def test_a_block_is_of_a_kind_that_runs(name):
    """Nothing that looks like code is left out, such as a block of sh."""
    for block in pages.blocks(pages.DOCS / name):
        assert block.kind in ("python", "console", "text"), f"{name}, line {block.line}"
    text = (pages.DOCS / name).read_text("utf-8")
    assert text.count("\n```") == 2 * len(pages.blocks(pages.DOCS / name))


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("agree\n", "DISAGREE\n"),
        ("one\ntwo\n", "one\n"),
        ("two\n", "one\ntwo\n"),
        ("…\ntwo\none\n", "one\ntwo\n"),
        ("2.96 bits\n", "3.96 bits\n"),
        ("2.96 bits\n", "2.96 nats\n"),
        ("(2, 3)\n", "(3, 2)\n"),
    ],
)
def test_what_is_not_printed_is_noticed(said, printed):
    with pytest.raises(AssertionError, match=r"page, line 3: '.*' was not printed"):
        pages.require_said(said, printed, "page, line 3")


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("4.4e-16 agree\n", "  2.2e-16   agree\n"),
        ("…\ntwo\n…\n", "one\n\ntwo\nthree\n"),
        ("2.96 bits\n", "3.01 bits\n"),
        ("1 passed in 1.00s\n", "1 passed in 3.62s\n"),
        ("│ a box │\n╰───╯\n", "│ a box      │\n╰────────────╯\n"),
        ("formal_tx/attention.py:137\n", "formal_tx/attention.py:142\n"),
    ],
)
def test_what_differs_between_machines_may_differ(said, printed):
    pages.require_said(said, printed, "page, line 3")


def test_the_wrong_exit_status_is_noticed(reader):
    page = reader / "page.md"
    page.write_text("```console\n$ python -c pass\n$ echo $?\n1\n```\n", "utf-8")
    with pytest.raises(AssertionError, match="exit status 0, expected 1"):
        pages.run(page)


def test_the_arguments_of_a_candidate_are_those_of_the_catalog():
    text = (pages.DOCS / "how-to/check.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| `(.*)` \|$", text, re.M)
    said = {int(number): tuple(code.split(", ")) for numbers, code in rows for number in numbers.split(",")}
    assert said == {algorithm.number: algorithm.signature for algorithm in ALGORITHMS}


def test_the_commands_are_those_that_there_are():
    text = (pages.DOCS / "reference/commands.md").read_text("utf-8")
    there_are = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == there_are
