"""`formal_tx.pytest` in somebody else's test-suite: another directory, another process, another configuration."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import formal_tx.pytest
from formal_tx.crosscheck import pseudocode

EXAMPLES = Path(__file__).parents[2] / "examples"

SUITE = """
import numpy as np
import formal_tx.pytest
from my_attention import my_mh_attention, wrong_attention

test_mine = formal_tx.pytest.algorithm(5, my_mh_attention, cases=1)
test_wrong = formal_tx.pytest.algorithm("mh_attention", wrong_attention, cases=1, diagnose=False)


class TestLayerNorm:
    def standardize(e, gamma, beta, epsilon):
        return (e - e.mean()) / np.sqrt(e.var() + epsilon) * gamma + beta

    test_right = formal_tx.pytest.algorithm(6, standardize)


def raises(e, W_u):
    return e @ W_u


test_raises = formal_tx.pytest.algorithm(7, raises)
"""


@pytest.fixture
def suite(tmp_path):
    """Write a suite, run it, and give what pytest says."""
    (tmp_path / "my_attention.py").write_bytes((EXAMPLES / "my_attention.py").read_bytes())

    def run(text, *options, configuration="[pytest]\nfilterwarnings = error\n"):
        (tmp_path / "test_suite.py").write_text(text)
        (tmp_path / "pytest.ini").write_text(configuration)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *options]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "120"}
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_one_line_is_a_test(suite):
    status, said = suite(SUITE)
    assert status == 1
    for name, outcome in {
        "test_mine": "PASSED",
        "test_wrong": "FAILED",
        "TestLayerNorm::test_right": "PASSED",
        "test_raises": "FAILED",
    }.items():
        assert f"test_suite.py::{name} {outcome}" in said
    assert "Algorithm 5, mh_attention: the result" in said
    assert "called with" in said
    assert "first wrong entry: [1, 0] is " in said
    assert "formal-tx check 5 --against my_attention.py:wrong_attention" in said
    assert "raises ValueError" in said
    assert "test_suite.py, line 18: return e @ W_u" in " ".join(said.split())


def passes(test):
    """Whether a test passes, and what it says if it does not."""
    try:
        test()
    except pytest.fail.Exception as failure:
        return str(failure)
    return True


def test_the_message_names_the_mistake(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from my_attention import wrong_attention

    message = passes(formal_tx.pytest.algorithm(5, wrong_attention))
    assert "What was probably done" in message
    assert "(scale-missing)" in message
    assert "Algorithm 4, attention, line 6" in message
    message = passes(formal_tx.pytest.algorithm(5, wrong_attention, dtype="float32", diagnose=False))
    assert "formal-tx check 5 --against my_attention.py:wrong_attention --dtype float32" in message


def test_the_papers_own_layout():
    paper = pseudocode.module("algorithm_05_mh_attention").mh_attention
    assert passes(formal_tx.pytest.algorithm(5, paper, layout="columns", cases=1)) is True
    assert "raises TypeError: cannot unpack" in passes(formal_tx.pytest.algorithm(5, paper, cases=1))


def test_functions_of_jax_leave_its_settings_alone():
    seen = []

    def layer_norm(e, gamma, beta, epsilon):
        seen.append(e.dtype)
        return formal_tx.layer_norm(e, gamma, beta, epsilon=epsilon)

    before = jax.config.jax_enable_x64
    assert passes(formal_tx.pytest.algorithm(6, layer_norm, framework="jax")) is True
    assert {str(dtype) for dtype in seen} == {"float64"}
    assert jax.config.jax_enable_x64 == before is False


def test_single_precision():
    """What is right in float32 and would be wrong in float64."""
    import numpy as np

    def softmax(e, W_u):
        logits = np.asarray(W_u @ e, np.float32)
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    assert passes(formal_tx.pytest.algorithm(7, softmax, dtype="float32")) is True


def test_named_values_are_compared_and_the_first_wrong_line_is_named():
    import numpy as np

    def attention(X, Z, params, mask):
        Q, K, V = X @ params.W_q.T + params.b_q, Z @ params.W_k.T, Z @ params.W_v.T + params.b_v
        S = np.where(mask, Q @ K.T, -np.inf)
        weights = np.exp((S - S.max(axis=1, keepdims=True)) / np.sqrt(len(params.b_q)))
        return {"Q": Q, "K": K, "V": V, "S": S, "V_tilde": weights / weights.sum(axis=1, keepdims=True) @ V}

    message = passes(formal_tx.pytest.algorithm(4, attention, diagnose=False))
    assert "Algorithm 4, attention: line 2. K" in message
    assert "first wrong entry: [0, 0] is " in message


def test_a_shape_that_is_wrong_is_said():
    message = passes(formal_tx.pytest.algorithm(6, lambda e, *_: e[:-1], diagnose=False))
    assert "its shape" in message
    assert "first wrong entry" not in message
    assert "formal-tx check" not in message  # a lambda has no name to be called by


def test_what_returns_no_array_is_refused():
    message = passes(formal_tx.pytest.algorithm(6, lambda *_: "nothing"))
    assert "TypeError" in message
    assert "expected an array of numbers" in message


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((99, len), {}, ValueError, r"there is no algorithm 99: they are 1 to 15"),
        (("layernorm", len), {}, ValueError, r"did you mean layer_norm\?"),
        ((5, "mine.py:attention"), {}, TypeError, r"function is of type str, expected a function"),
        ((5, len), {"framework": "keras"}, ValueError, r"framework is 'keras', expected one of numpy, jax, torch"),
        ((5, len), {"layout": "diagonal"}, ValueError, r"layout is 'diagonal', expected one of rows, columns"),
        ((5, len), {"dtype": "int8"}, ValueError, r"dtype is 'int8', expected one of float64, float32"),
    ],
)
def test_what_it_refuses(arguments, options, kind, message):
    with pytest.raises(kind, match=message):
        formal_tx.pytest.algorithm(*arguments, **options)


def test_pytest_loads_nothing_of_it_for_other_people(suite):
    status, said = suite("def test_light():\n    import sys\n    assert not {'formal_tx', 'jax'} & set(sys.modules)\n")
    assert status == 0, said
