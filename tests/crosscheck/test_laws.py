"""The laws: each is kept by a right model and broken by one with a mistake; files, and the command."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from formal_tx.cli.laws import laws
from formal_tx.crosscheck import find
from formal_tx.crosscheck.adapters.algorithms import of_algorithm
from formal_tx.crosscheck.candidate import CannotRun
from formal_tx.crosscheck.laws import LAWS, run
from formal_tx.crosscheck.laws.process import run_file

from .broken_models import BROKEN, PLAIN, RIGHT

ROOT = Path(__file__).parents[2]


def outcomes(findings):
    """The laws by what was found."""
    found = {}
    for finding in findings:
        found.setdefault(finding.outcome, set()).add(finding.law)
    return found


# The laws themselves


@pytest.mark.parametrize("model", RIGHT, ids=lambda model: model.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_model_breaks_no_law(model, seed):
    found = outcomes(run(model, seed=seed))
    assert set(found) <= {"holds", "does not apply"}
    assert found["holds"]


def test_there_is_a_right_and_a_broken_model_for_every_law():
    kept = set().union(*(outcomes(run(model))["holds"] for model in RIGHT))
    assert kept == set(LAWS) == set(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_breaks_the_law(name):
    (finding,) = run(BROKEN[name], [name])
    assert finding.outcome == "violated", finding
    assert finding.error > finding.allowed


def test_every_law_is_in_the_documentation():
    rows = [line.split(" | ") for line in (ROOT / "docs" / "laws.md").read_text("utf-8").splitlines()]
    said = {row[0].strip("| `"): row[1] for row in rows if len(row) == 4}
    assert {name: said.get(name) for name in LAWS} == {name: law.statement for name, law in LAWS.items()}


def test_where_a_law_is_broken_is_said():
    finding = next(f for f in run(BROKEN["causality"]) if f.law == "causality")
    where = dict(finding.where)
    assert where["query"] < where["token"]


def test_what_a_model_does_not_offer_does_not_apply():
    reasons = {f.law: f.reason for f in run(replace(PLAIN, batched=None, masked=False))}
    assert reasons["batch-is-loop"] == "the adapter has no `batched`"
    assert reasons["masked-keys"] == "the model is not `masked`"
    assert reasons["masked-keys-by-gradient"] == "the model is not `masked`"
    (finding,) = run(PLAIN, ["masked-keys-by-gradient"])
    assert finding.reason == "numpy has no gradients"


def test_a_model_that_raises_could_not_run():
    def refuses(X, Z, mask):
        raise RuntimeError("no\nmore")

    (finding,) = run(replace(PLAIN, batched=refuses), ["batch-is-loop"])
    assert (finding.outcome, finding.reason) == ("could not run", "raises RuntimeError: no")


def test_a_model_that_answers_nan_or_another_shape_breaks_the_law():
    nan = replace(PLAIN, batched=lambda X, Z, mask: np.full((len(X), 5, 5), np.nan))
    short = replace(PLAIN, batched=lambda X, Z, mask: np.zeros((len(X), 4, 5)))
    for model, note in ((nan, ""), (short, "shape (4, 5) instead of (5, 5)")):
        (finding,) = run(model, ["batch-is-loop"])
        assert (finding.outcome, finding.error, finding.reason) == ("violated", np.inf, note)


def test_bad_adapters_and_names():
    with pytest.raises(ValueError, match="mine: framework is 'tensorflow', expected one of numpy, jax, torch"):
        replace(PLAIN, name="mine", framework="tensorflow")
    with pytest.raises(ValueError, match="mine: dtype is 'float8', expected one of float64, float32"):
        replace(PLAIN, name="mine", dtype="float8")
    with pytest.raises(ValueError, match="framework is 'tensorflow', expected one of numpy, jax, torch"):
        of_algorithm(find(4), print, "tensorflow")
    with pytest.raises(KeyError, match="gravity"):
        run(PLAIN, ["gravity"])


# Somebody's file


@pytest.fixture
def write(tmp_path):
    def write(source):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source))
        return str(path)

    return write


EXAMPLE = str(ROOT / "examples" / "laws_of_my_attention.py")


def test_a_file_that_keeps_the_laws(write):
    source = """
        import numpy as np

        def attention(X, Z, params, mask):
            print("noise")
            Q, K, V = X @ params.W_q.T + params.b_q, Z @ params.W_k.T + params.b_k, Z @ params.W_v.T + params.b_v
            S = np.where(mask, Q @ K.T / Q.shape[1] ** 0.5, -np.inf)
            A = np.exp(S - S.max(axis=1, keepdims=True))
            return A / A.sum(axis=1, keepdims=True) @ V
    """
    found = outcomes(run_file(f"{write(source)}:attention"))  # it has the name of Algorithm 4
    assert set(found) == {"holds", "does not apply"}
    assert {"masked-keys", "input-kept", "score-shift", "determinism"} < found["holds"]


def test_a_file_that_returns_an_adapter():
    found = outcomes(run_file(f"{EXAMPLE}:model"))
    assert set(found) == {"holds", "does not apply"}
    assert {"equal-context", "batch-is-loop", "vmap"} < found["holds"]


@pytest.mark.parametrize(
    ("source", "function", "options", "message"),
    [
        ("import nothing_of_that_name\n", "f", {}, "mine.py:f cannot be imported: raises ModuleNotFoundError"),
        ("def f(X, Z):\n    pass\n", "f", {}, "takes the arguments X, Z: say with --kind of which algorithm"),
        ("def f():\n    return 3\n", "f", {}, "returned int, expected a model of formal_tx.crosscheck.adapters"),
        ("def f(*a):\n    raise RuntimeError('no')\n", "f", {"kind": 4}, "raises RuntimeError: no at mine.py, line 2"),
        (
            "import os\ndef f(*a):\n    os._exit(7)\n",
            "f",
            {"kind": 4},
            "mine.py:f ended its process with exit status 7",
        ),
        ("def f(*a):\n    while True:\n        pass\n", "f", {"kind": 4, "time_limit": 5}, "did not return within 5 s"),
    ],
)
def test_a_file_that_cannot_run_is_reported_in_a_sentence(write, source, function, options, message):
    with pytest.raises(CannotRun, match=message):
        run_file(f"{write(source)}:{function}", **options)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [("mine.py", "expected path/to/file.py:function"), ("nowhere.py:f", "there is no file nowhere.py")],
)
def test_a_file_that_is_not_there(candidate, message):
    with pytest.raises(CannotRun, match=message):
        run_file(candidate)


# The command


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(laws)
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_command_on_the_library(command):
    done = command("--kind", "layer_norm")
    assert done.exit_code == 0
    assert "norm-has-moments" in done.output
    done = command("--kind", "6", "--json", "--dtype", "float32")
    found = json.loads(done.stdout)
    assert found["holds"]
    assert [m["model"] for m in found["models"]] == ["layer_norm"]
    assert {entry["outcome"] for entry in found["models"][0]["laws"]} == {"holds", "does not apply"}


def test_the_command_on_a_function_that_breaks_a_law(command):
    done = command(f"{EXAMPLE}:wrong_mask", "--kind", "attention", "--framework", "jax")
    assert done.exit_code == 1
    assert "violated: masked-keys. What a query may not attend to has" in " ".join(done.output.split())


def test_the_command_says_what_it_cannot_do(command):
    assert command("nowhere.py:f").exit_code == 2
    assert command("--framework", "torch").exit_code == 2
    done = command("--kind", "atention")
    assert done.exit_code == 2
    assert "did you mean attention?" in " ".join(done.output.split())
