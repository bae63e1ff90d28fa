"""The commands as a person types them: what they print, where, and the exit status."""

import json
import os
import subprocess
import sys

import jax
import pytest
from typer.testing import CliRunner

from formal_tx.activations import gelu_tanh
from formal_tx.cli import app
from formal_tx.cli.console import output

runner = CliRunner()


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Wide enough for no line to be broken."""
    monkeypatch.setattr(output, "width", 160)


def run(*arguments):
    return runner.invoke(app, list(arguments))


def formal_tx(*arguments, cwd=None):
    """The same in a process of its own: `main` turns every failure into a sentence."""
    environment = os.environ | {"COLUMNS": "160", "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    command = [sys.executable, "-m", "formal_tx.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_help_lists_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("list", "show", "check", "demo"):
        assert command in result.output


def test_list_names_all_fifteen_and_both_editions():
    result = run("list")
    assert result.exit_code == 0
    for number in range(1, 16):
        assert f"algorithm_{number:02d}" in result.output
    assert "attention.py:" in result.output


@pytest.mark.parametrize(
    ("number", "paper", "library"),
    [
        ("4", "V_tilde = V @ softmax(S / sqrt(d_attn))", 'S = line(4, "S", scores(Q, K))'),
        ("5", "Y = concatenate(Y, axis=0)", 'return line(4, "V_tilde"'),
        ("13", "theta = theta - eta * gradient(loss, theta)", 'return line(6, "theta"'),
        ("d_transformer", "P = softmax(W_u @ X)", 'line(11, "P"'),
    ],
)
def test_show_puts_both_editions_side_by_side(number, paper, library):
    result = run("show", number)
    assert result.exit_code == 0
    assert paper in result.output
    assert library in result.output


def test_show_has_the_librarys_statement_for_every_line_that_is_compared():
    from formal_tx.crosscheck import ALGORITHMS
    from formal_tx.crosscheck.source import library_lines

    for algorithm in ALGORITHMS[:13]:
        assert {s.number for s in algorithm.listing.assigned} <= library_lines(algorithm).keys(), algorithm.name


def test_check_agrees_and_says_so_in_json():
    result = run("check", "1", "4", "--cases", "1", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["agrees"] is True
    assert [a["algorithm"] for a in found["algorithms"]] == [1, 4]
    attention = found["algorithms"][1]
    assert attention["name"] == "attention"
    assert attention["lines_compared"] == attention["lines"] == 6
    assert 0 < attention["worst_error"] < 1e-12
    assert attention["worst_line"] in range(1, 7)
    assert isinstance(attention["worst_variable"], str)


def test_check_prints_a_table():
    result = run("check", "6", "--dtype", "float32")
    assert result.exit_code == 0
    assert "layer_norm" in result.output
    assert "3 / 3" in result.output
    assert "agree" in result.output


def test_a_disagreement_is_status_1_with_the_line_in_both_editions(monkeypatch):
    import formal_tx.architectures
    from formal_tx.crosscheck import editions

    jax.clear_caches()
    editions._reaped.cache_clear()
    honest = formal_tx.architectures.mlp
    monkeypatch.setattr(formal_tx.architectures, "mlp", lambda X, W, activation, inner: honest(X, W, gelu_tanh, inner))
    result = run("check", "10", "--cases", "1")
    as_json = run("check", "10", "--cases", "1", "--json")
    monkeypatch.undo()
    jax.clear_caches()
    editions._reaped.cache_clear()
    assert result.exit_code == as_json.exit_code == 1
    assert "DISAGREE" in result.output
    assert "line 8. X, layer 1" in result.output
    assert "GELU(W.W_mlp1 @ X_tilde" in result.output
    assert "mlp(X_tilde, W.mlp" in result.output
    bad = json.loads(as_json.stdout)["algorithms"][0]["first_bad"]
    assert (bad["line"], bad["variable"]) == (8, "X")


def test_against_a_wrong_function_shows_the_smallest_case(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "def layer_norm(e, gamma, beta, epsilon):\n"
        "    return (e - e.mean()) / (e.var(ddof=1) + epsilon) ** 0.5 * gamma + beta\n"
    )
    result = run("check", "6", "--against", f"{mine}:layer_norm")
    assert result.exit_code == 1
    assert "DISAGREE" in result.output
    assert "called with" in result.output
    assert "expected" in result.output
    right = mine.read_text().replace("ddof=1", "ddof=0")
    mine.write_text(right)
    assert run("check", "6", "--against", f"{mine}:layer_norm").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "16"], "there is no algorithm 16: they are 1 to 15"),
        (["show", "layernorm"], "did you mean layer_norm?"),
        (["check", "4", "--against", "nowhere.py:f"], "there is no file nowhere.py"),
        (["check", "4", "--against", "nowhere"], "expected path/to/file.py:function"),
        (["check", "4", "5", "--against", "a.py:f"], "--against takes one algorithm"),
        (["check", "4", "--layout", "columns"], "--framework and --layout say how to call the function of --against"),
        (["check", "4", "--dtype", "float8"], "float8"),
        (["check", "4", "--cases", "0"], "--cases"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_what_cannot_run_is_status_2_and_one_sentence_without_a_traceback(tmp_path, arguments, message):
    result = formal_tx(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unforeseen_error_is_a_sentence_too(tmp_path):
    broken = tmp_path / "formal_tx_broken.py"
    broken.write_text(
        "import formal_tx.cli, formal_tx.cli.list\n"
        "import formal_tx.crosscheck.source as source\n"
        "def fail(algorithm):\n"
        "    raise RuntimeError('the moon is full')\n"
        "formal_tx.cli.list.library_place = fail\n"
        "import sys; sys.argv = ['formal-tx', 'list']\n"
        "formal_tx.cli.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    result = subprocess.run([sys.executable, str(broken)], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2
    assert result.stderr == "formal-tx: RuntimeError: the moon is full\n"


@pytest.mark.slow
def test_the_demo_runs_and_explains_itself():
    with jax.numpy_dtype_promotion("standard"):  # what optax's AdamW needs
        result = run("demo", "--quick")
    assert result.exit_code == 0
    for part in (
        "Is the library the paper?",
        "Held-out bits per character",
        "Algorithm 14",
        "____",
        "What to try next",
    ):
        assert part in result.output
