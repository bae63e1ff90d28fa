"""`formal-tx check` of variations, by name and all together."""

import json

import pytest
from typer.testing import CliRunner

from formal_tx.cli import app
from formal_tx.crosscheck.variations import MODELS, PARTS, VARIATIONS


def check(*arguments):
    return CliRunner().invoke(app, ["check", *arguments])


def test_variations_and_algorithms_by_name():
    result = check("rms_norm", "6", "alibi", "--cases", "1", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["agrees"] is True
    assert [(a["algorithm"], a["name"]) for a in found["algorithms"]] == [
        (0, "rms_norm"),
        (6, "layer_norm"),
        (0, "alibi"),
    ]
    assert [a["lines_compared"] for a in found["algorithms"]] == [2, 3, 1]


def test_the_table_has_a_row_for_a_variation():
    result = check("silu", "--cases", "1")
    assert result.exit_code == 0
    (row,) = [line.split() for line in result.stdout.splitlines() if "silu" in line]
    assert row[0] == "silu"
    assert row[1:4] == ["1", "/", "1"]
    assert row[-1] == "agree"


@pytest.mark.slow
def test_all_variations_are_checked_by_one_name():
    assert {*PARTS, *MODELS} == {*VARIATIONS}
    result = check("variations", "--cases", "1", "--json")
    assert result.exit_code == 0
    assert [a["name"] for a in json.loads(result.stdout)["algorithms"]] == [v.name for v in VARIATIONS]


@pytest.mark.slow
def test_all_variations_agree_in_single_precision():
    result = check("variations", "--cases", "1", "--json", "--dtype", "float32")
    disagree = [a["name"] for a in json.loads(result.stdout)["algorithms"] if not a["agrees"]]
    assert (result.exit_code, disagree) == (0, [])


def test_a_name_that_is_nearly_that_of_a_variation():
    result = check("rotry")
    assert result.exit_code == 2
    assert "there is no algorithm rotry" in result.stderr
    assert result.stderr.strip().endswith("did you mean rotary?")


WINDOWS = """
import numpy as np

def right(l_x, l_z, w):
    return abs(np.arange(l_x)[:, None] - np.arange(l_z)[None, :]) < w

def wide(l_x, l_z, w):
    return abs(np.arange(l_x)[:, None] - np.arange(l_z)[None, :]) <= w
"""


@pytest.mark.parametrize(("function", "status"), [("right", 0), ("wide", 1)])
def test_somebody_elses_function_is_checked_against_a_variation(tmp_path, function, status):
    (tmp_path / "mine.py").write_text(WINDOWS)
    result = check("sliding_window", "--against", f"{tmp_path / 'mine.py'}:{function}", "--no-diagnose")
    assert result.exit_code == status
    assert ("l_x = 11" in result.stdout) == (status == 1)  # the case in which it shows


def test_a_variation_has_no_columns():
    result = check("rotary", "--against", "mine.py:rotary", "--layout", "columns")
    assert result.exit_code == 2
    assert "--layout columns is for the algorithms of the paper, 1 to 15" in result.stderr


def test_show_says_with_what_a_function_is_called():
    shown = CliRunner().invoke(app, ["show", "alibi"]).stdout
    assert "check alibi --against FILE:FUNCTION calls it with S (3, 13, 15)" in " ".join(shown.split())
