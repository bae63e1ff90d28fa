"""The log of a run: what a stopped run wrote too much is taken back."""

import json

import pytest

from formal_tx.runs.log import NAME, Log, read_log


def written(directory):
    return [json.loads(line) for line in (directory / NAME).read_text("utf-8").splitlines()]


def test_entries_are_lines_of_json(tmp_path):
    log = Log(tmp_path, 0)
    entries = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.1 + 0.2, "held_out_loss": None}]
    for entry in entries:
        log.write(**entry)
    assert written(tmp_path) == read_log(tmp_path) == entries


def test_what_came_after_the_checkpoint_is_taken_back(tmp_path):
    log = Log(tmp_path, 0)
    for step in range(1, 8):
        log.write(step=step, loss=1 / step)
    Log(tmp_path, 5).write(step=6, loss=0.0)
    assert [(entry["step"], entry["loss"]) for entry in written(tmp_path)][-2:] == [(5, 0.2), (6, 0.0)]
    assert len(written(tmp_path)) == 6


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_last_line_cut_short_by_a_crash_is_left_out_and_written_over(tmp_path, cut):
    log = Log(tmp_path, 0)
    for step in (1, 2, 3):
        log.write(step=step, loss=0.5)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    # A line without its end is whole, and whatever is appended would be on it.
    whole = 3 if cut == 1 else 2
    assert [entry["step"] for entry in read_log(tmp_path)] == [1, 2, 3][:whole]
    Log(tmp_path, 3).write(step=4, loss=0.5)
    assert [entry["step"] for entry in written(tmp_path)] == [*[1, 2, 3][:whole], 4]


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no training run") as caught:
        read_log(tmp_path)
    assert str(caught.value) == f"{tmp_path / NAME} does not exist: {tmp_path} holds no training run"


@pytest.mark.parametrize("line", ["nonsense", "[1]", "3", "{}", '{"loss": 1}', '{"step": "1"}'])
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    (tmp_path / NAME).write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2: "):
        read_log(tmp_path)
