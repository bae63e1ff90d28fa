"""Lines of results: written, read again, merged; what is broken is named with file and line."""

import json
import re

import pytest

from benchmarks.harness import machine
from benchmarks.harness.records import measured, not_measured, number, written
from benchmarks.harness.results import key, merged, read, read_all, write
from tests.benchmarks.lines import line


def test_what_is_written_is_read_again(tmp_path):
    lines = [line(), line(case="ℓ = 4", absent="none")]
    write(tmp_path / "new" / "train.json", lines)
    assert read(tmp_path / "new" / "train.json") == lines
    assert len((tmp_path / "new" / "train.json").read_text("utf-8").splitlines()) == 2


def test_no_file_has_no_lines(tmp_path):
    assert read(tmp_path / "none.json") == read_all(tmp_path / "none") == []


def test_all_files_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}.json", [line(benchmark=name)])
    assert [record["benchmark"] for record in read_all(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("{", r"train\.json:2: not JSON: Expecting"),
        ("", r"train\.json:2: not JSON: Expecting value"),
        ("[1]", r"train\.json:2: list '\[1\]', expected a JSON object"),
        (
            json.dumps({"benchmark": "train"}),
            r"train\.json:2: the line has no case, rival, commit, code, machine, date",
        ),
        (json.dumps({k: v for k, v in line().items() if k != "measure"}), r":2: the line has no measure"),
    ],
)
def test_a_broken_line_is_named(tmp_path, broken, message):
    (tmp_path / "train.json").write_text(f"{json.dumps(line())}\n{broken}\n", "utf-8")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "train.json")


def test_a_new_line_stands_in_place_of_the_old_one_about_the_same():
    old = [line(case="a", ratio=1.0), line(case="b", ratio=2.0)]
    new = [line(case="b", ratio=3.0), line(case="c", ratio=4.0)]
    assert [(r["case"], r["ratio"]) for r in merged(old, new)] == [("a", 1.0), ("b", 3.0), ("c", 4.0)]


def test_a_line_has_the_median_the_quartiles_and_where_it_was_measured():
    record = measured("train", "batch 4", "PyTorch", "speed", [1.0, 3.0, 2.0], tokens=4)
    assert (record["ratio"], record["ratio_spread"], record["rounds"], record["tokens"]) == (2.0, [1.5, 2.5], 3, 4)
    assert (record["limit"], record["share_of_limit"]) == (None, None)
    assert re.fullmatch(r"unknown|[0-9a-f]{7,}\+?", record["commit"])
    assert record["code"] == machine.code()
    assert {"machine", "threads", "versions", "date"} <= record.keys()
    assert key(record) == ("train", "batch 4", "PyTorch")


def test_what_is_no_ratio_is_in_an_entry_of_its_name():
    record = measured("memory", "attention", "", "exponent", [1.1])
    assert (record["ratio"], record["exponent"], record["exponent_spread"]) == (None, 1.1, [1.1, 1.1])
    assert number(record) == (1.1, [1.1, 1.1])


def test_an_unknown_measure():
    with pytest.raises(ValueError, match="measure is 'weight', expected one of speed, time, memory"):
        measured("train", "batch 4", "PyTorch", "weight", [1.0])


def test_numbers_for_people():
    assert written(line()) == "1.20 × as fast (1.15 to 1.25)"
    assert written(measured("c", "s", "r", "time", [1.0])) == "1.00 × the time (1.00 to 1.00)"
    assert written(measured("c", "s", "", "exponent", [1.0])) == "exponent 1.00 (1.00 to 1.00)"
    assert written(measured("c", "s", "", "seconds", [26.25])) == "26.2 s (26.2 to 26.2)"
    assert written(measured("c", "s", "", "count", [0])) == "0"


def test_a_line_without_a_number_says_why():
    record = not_measured("train", "batch 4", "PyTorch", ImportError("there is no torch"))
    assert record["absent"] == "there is no torch"
    assert "ratio" not in record


def test_the_fingerprint_is_that_of_the_library_alone(tmp_path):
    source = tmp_path / "formal_tx" / "part" / "module.py"
    source.parent.mkdir(parents=True)
    source.write_text("a = 1\n", "utf-8")
    before = machine.code(tmp_path)
    (tmp_path / "README.md").write_text("new", "utf-8")
    assert machine.code(tmp_path) == before
    source.write_text("a = 2\n", "utf-8")
    assert machine.code(tmp_path) != before
