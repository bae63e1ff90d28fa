"""Patterns match by form, and bind what their underscored names stand for."""

import ast

import pytest

from formal_tx.diagnosis import patterns


def found(pattern, source, where=None):
    return [
        {k: patterns.text(v) for k, v in bound.items()}
        for _, bound in patterns.matches(pattern, ast.parse(source), where or {})
    ]


def test_an_underscored_name_stands_for_any_expression():
    assert found("_S / sqrt(_d)", "y = (a @ b) / sqrt(len(c))") == [{"_S": "a @ b", "_d": "len(c)"}]


def test_the_same_name_stands_for_the_same_text():
    assert found("_a + _a", "x + x; x + y") == [{"_a": "x"}]


def test_statements_are_found_where_they_follow_each_other():
    source = "for W in layers:\n    T = norm(X)\n    X = X + f(T)\nT = g(X)\n"
    assert found("_T = norm(_X)\n_X = _X + f(_T)", source) == [{"_T": "T", "_X": "X"}]
    assert found("_T = g(_X)\n_X = _X + f(_T)", source) == []


def test_a_condition_is_on_the_whole_text():
    source = "Y + b_q\nY + b"
    assert found("_Y + _b", source, {"_b": r"b_\w+"}) == [{"_Y": "Y", "_b": "b_q"}]


@pytest.mark.parametrize(("text", "expected"), [("x + 1", True), ("x = 1", False), ("x\ny", False)])
def test_what_is_an_expression(text, expected):
    assert patterns.is_expression(text) is expected
