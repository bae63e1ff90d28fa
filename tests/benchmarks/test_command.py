"""The command line of a benchmark: which lines are kept, which are replaced."""

import sys

import pytest

from benchmarks.harness import settings
from benchmarks.harness.command import command, said
from benchmarks.harness.results import read, write
from benchmarks.harness.settings import Settings
from tests.benchmarks.lines import line


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", tmp_path)
    return tmp_path


def run(monkeypatch, arguments, cases=("batch 4", "batch 12")):
    asked = []

    def measure(settings):
        asked.append(settings)
        yield from (line(case=case, ratio=9.0) for case in settings.few(cases) if settings.wants(case))

    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    command("train", measure, "Training.")
    return asked[0]


def cases(path):
    return [(record["case"], record["ratio"]) for record in read(path)]


def test_a_full_run_replaces_the_file(results, monkeypatch, capsys):
    write(results / "train.json", [line(case="an older one")])
    assert run(monkeypatch, []) == Settings(quick=False, rounds=7, only="")
    assert cases(results / "train.json") == [("batch 4", 9.0), ("batch 12", 9.0)]
    assert capsys.readouterr().out.splitlines()[0].startswith("train, batch 4, against PyTorch, eager: 9.00 × as fast")


def test_a_part_leaves_the_other_lines(results, monkeypatch):
    write(results / "train.json", [line(case="batch 4", ratio=1.0), line(case="batch 12", ratio=1.0)])
    run(monkeypatch, ["--only", "batch 12"])
    assert cases(results / "train.json") == [("batch 4", 1.0), ("batch 12", 9.0)]


def test_a_quick_run_leaves_the_full_results(results, monkeypatch):
    write(results / "train.json", [line(ratio=1.0)])
    assert run(monkeypatch, ["--quick"]).rounds == 3
    assert cases(results / "train.json") == [("batch 4", 1.0)]
    assert cases(results / "quick" / "train.json") == [("batch 4", 9.0)]


def test_a_run_that_ends_early_leaves_the_lines_so_far_and_the_old_ones(results, monkeypatch):
    write(results / "train.json", [line(case="batch 4", ratio=1.0), line(case="batch 12", ratio=1.0)])

    def measure(settings):
        yield line(case="batch 4", ratio=9.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(KeyboardInterrupt):
        command("train", measure, "Training.")
    assert cases(results / "train.json") == [("batch 4", 9.0), ("batch 12", 1.0)]


def test_no_such_case(results, monkeypatch):
    with pytest.raises(SystemExit, match=r"benchmarks.train: no case has 'batch 5' in its name"):
        run(monkeypatch, ["--only", "batch 5"])


def test_two_lines_about_the_same(results, monkeypatch):
    with pytest.raises(SystemExit, match="two lines of results are about the same"):
        run(monkeypatch, [], cases=("batch 4", "batch 4"))


def test_what_is_said_of_a_line():
    assert said(line()) == (
        "train, batch 4, against PyTorch, eager: 1.20 × as fast (1.15 to 1.25); 1 s, rival 1.2 s; "
        "70% of the GEMM limit, 150 GFLOP/s"
    )
    assert said(line(absent="no torch")) == "train, batch 4, against PyTorch, eager: not measured: no torch"
