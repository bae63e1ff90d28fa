"""README's table from given lines, and the bars that they are held against."""

from math import inf
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.rendering import bars
from benchmarks.rendering.bars import Bar, Range
from benchmarks.rendering.table import BEGIN, END, inserted, table
from tests.benchmarks.lines import CODE, growth, line

ROOT = Path(__file__).parents[2]
TITLES = {"train": "Training"}
SPEED = Bar("train", "batch *", "PyTorch, eager", goal=Range(1.1, inf), floor=Range(0.9, inf))
SHARE = Bar("train", "batch *", "PyTorch, eager", goal=Range(0.85, inf), floor=Range(0.6, inf), of="share")


def rows(*records, known=(SPEED,), code=CODE):
    return [row for row in table(records, TITLES, known, code).splitlines() if row.startswith("| ")][3:]


def test_a_row():
    assert rows(line()) == [
        "| batch 4 | PyTorch, eager | 1.20 × as fast (1.15 to 1.25) | 70% of GEMM, 150 GFLOP/s | ≥ 1.1 (≥ 0.9) | yes |"
    ]


@pytest.mark.parametrize(("ratio", "verdict"), [(1.1, "yes"), (1.09, "accepted"), (0.9, "accepted"), (0.89, "**no**")])
def test_the_verdict(ratio, verdict):
    assert rows(line(ratio=ratio))[0].endswith(f"| {verdict} |")


def test_a_line_with_two_bars():
    assert rows(line(), known=(SPEED, SHARE))[0].endswith(
        "| ≥ 1.1 (≥ 0.9); ≥ 85% of the limit, at least 60% | yes; accepted |"
    )


def test_a_line_without_a_bar():
    assert rows(line(rival="PyTorch, compiled"))[0].endswith("| 70% of GEMM, 150 GFLOP/s |  |  |")


def test_a_line_without_a_number():
    row = "| batch 4 | PyTorch, eager | not measured: no torch |  | ≥ 1.1 (≥ 0.9) | not measured |"
    assert rows(line(absent="no torch", share_of_limit=None)) == [row]


def test_a_bar_without_a_line():
    assert rows(line(rival="another"))[-1] == ("| batch … | PyTorch, eager |  |  | ≥ 1.1 (≥ 0.9) | not measured |")


def test_what_was_measured_with_other_code_is_marked():
    rendered = table([line(), line(case="batch 12", code="another", commit="old0001+")], TITLES, [SPEED], CODE)
    assert rendered.count("†") == 2
    assert "1.20 × as fast (1.15 to 1.25) †old0001+ |" in rendered
    assert "† measured with the code of another commit" in rendered
    assert "†" not in table([line()], TITLES, [SPEED], CODE)


def test_what_was_measured_elsewhere_is_counted():
    rendered = table([line(), line(case="batch 12"), line(case="batch 16", machine="Another")], TITLES, [SPEED], CODE)
    assert "Measured on A processor, 2 cores, 2 used; jax 0.10.2: 2 lines." in rendered
    assert "Elsewhere on Another, 2 used; jax 0.10.2: 1 lines." in rendered


def test_all_verdicts_are_counted():
    none = Bar("train", "no such case", "", Range(0, 1), Range(0, 1))
    rendered = table([line(ratio=2.0), line(case="batch 12", ratio=0.1)], TITLES, [SPEED, SHARE, none], CODE)
    assert "Of 3 bars 1 are accepted, 1 are missed, 1 are not (wholly) measured." in rendered


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([line(ratio=2.0), line(ratio=1.0)], "floor"),
        ([line(ratio=2.0), line(absent="none")], "not measured"),
        ([line(ratio=0.1), line(absent="none")], "missed"),
        ([line(rival="another")], "not measured"),
    ],
)
def test_the_worst_of_several_lines_counts(lines, verdict):
    assert SPEED.worst(lines) == verdict


def test_it_is_put_between_the_comments():
    assert inserted(f"a\n{BEGIN}\nold\n{END}\nb\n", "new\n") == f"a\n{BEGIN}\n\nnew\n\n{END}\nb\n"


def test_it_can_be_put_there_again():
    once = inserted(f"{BEGIN}{END}", "new\n")
    assert inserted(once, "new\n") == once


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_document_without_a_place(document):
    with pytest.raises(ValueError, match="exactly one '<!-- benchmarks: begin -->' before one"):
        inserted(document, "new")


def test_the_readme_has_a_place():
    assert "new" in inserted((ROOT / "README.md").read_text("utf-8"), "new")


def test_an_exponent_within_a_range():
    bar = Bar("attention", "window", "", goal=Range(0.95, 1.05), floor=Range(-inf, 1.1))
    assert str(bar) == "0.95 to 1.05 (≤ 1.1)"
    assert bar.verdict(growth("window", [1, 2], [1, 2])) == "goal"
    assert bar.verdict({**growth("window", [1, 2], [1, 2]), "exponent": 1.08}) == "floor"
    assert bar.verdict({**growth("window", [1, 2], [1, 2]), "exponent": 0.9}) == "floor"
    assert bar.verdict({**growth("window", [1, 2], [1, 2]), "exponent": 1.2}) == "missed"


def test_the_bars():
    """All benchmarks have a title, each bar is about one of them, and reaching the goal is accepted."""
    titles, known = bars.read()
    assert set(titles) == set(BENCHMARKS)
    assert len(known) == 16
    for bar in known:
        assert bar.benchmark in titles
        assert bar.goal.low >= bar.floor.low
        assert bar.goal.high <= bar.floor.high


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("goals = [1, 2]", r"bars\.toml: bar 1: .*unexpected keyword argument 'goals'"),
        ("goal = [1]", r"bars\.toml: bar 1: .*missing 1 required positional argument: 'high'"),
        ("goal = ['a', 'b']", r"bars\.toml: bar 1: could not convert string to float: 'a'"),
    ],
)
def test_a_bar_of_no_meaning(tmp_path, entry, message):
    (tmp_path / "bars.toml").write_text(
        f"[titles]\n[[bar]]\nbenchmark = 'a'\ncase = 'b'\nrival = 'c'\n{entry}\n", "utf-8"
    )
    with pytest.raises(ValueError, match=message):
        bars.read(tmp_path / "bars.toml")
