"""Both editions of every algorithm agree, line by line, in both precisions: the claim that the project makes."""

import numpy as np
import pytest

from formal_tx.crosscheck import ALGORITHMS, check, find
from formal_tx.crosscheck import cases as drawn
from formal_tx.crosscheck.compare import _iteration
from formal_tx.crosscheck.tolerances import error, tolerance

NUMBERS = [a.number for a in ALGORITHMS]


def test_there_are_fifteen_algorithms_numbered_as_in_the_paper():
    assert list(range(1, 16)) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_the_editions_agree_in_float64(number):
    comparison = check(find(number), cases=2)
    assert comparison.agrees, comparison.first_bad
    bound = 1e-6 if number in (11, 12, 13) else 1e-12
    assert comparison.worst.error <= bound


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=pytest.mark.slow if n in (8, 9) else ()) for n in NUMBERS if n not in (11, 12, 13)],
)
def test_the_editions_agree_in_float32(number):
    comparison = check(find(number), cases=1, dtype="float32")
    assert comparison.agrees, comparison.first_bad


@pytest.mark.slow
@pytest.mark.parametrize("number", [11, 12, 13])
def test_training_agrees_in_float32(number):
    comparison = check(find(number), cases=1, dtype="float32")
    assert comparison.agrees, comparison.first_bad


@pytest.mark.slow
@pytest.mark.parametrize("number", [14, 15])
def test_the_same_tokens_from_200_random_models(number):
    comparison = check(find(number), seed=1, cases=50)
    assert comparison.cases == 200
    assert comparison.agrees, comparison.first_bad


@pytest.mark.parametrize("number", NUMBERS[:10])
def test_every_line_that_assigns_a_value_is_compared(number):
    comparison = check(find(number), cases=1)
    assert comparison.lines_compared == comparison.lines == len({s.number for s in find(number).listing.assigned})


# What the print numbers and assigns, counted on the page: a line that the listing's reader missed would not be missed
# by anything else.
@pytest.mark.parametrize(
    ("number", "lines"),
    [
        (1, [1]),
        (2, [1]),
        (3, [1, 2, 3, 4, 5]),
        (4, [1, 2, 3, 4, 5, 6]),
        (5, [2, 3, 4]),
        (6, [1, 2, 3]),
        (7, [1]),
        (8, [1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 14, 15, 16, 17, 18, 19, 21]),
        (9, [1, 2, 3, 5, 6, 7, 8, 10, 11, 12]),
        (10, [1, 2, 3, 5, 6, 7, 8, 10, 11]),
        (11, [3, 4, 5, 6, 9]),
        (12, [3, 5, 7, 8, 9, 10, 13]),
        (13, [3, 4, 5, 6, 9]),
        (14, [1, 3, 4, 5, 6, 8]),
        (15, [1, 2, 4, 5, 6, 7]),
    ],
)
def test_the_lines_that_assign_are_those_of_the_print(number, lines):
    assert [s.number for s in find(number).listing.assigned] == lines


def test_the_cases_depend_on_the_seed_alone():
    first, again, other = (drawn.draw(4, seed, 2) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.arguments["X"], b.arguments["X"])
        assert a.title == b.title
        assert a.arguments["X"].size == 0 or not np.array_equal(a.arguments["X"], c.arguments["X"])


def test_the_hard_cases_are_among_them():
    titles = " ".join(case.title for number in (4, 5, 10) for case in drawn.draw(number, 0, 1))
    for special in ("length 1", "one head", "attend to nothing", "ties", "empty context", "l_max", "large scores"):
        assert special in titles


@pytest.mark.parametrize(
    ("found", "expected", "value"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0, np.nan], [1.0, np.nan], 0.0),
        ([1.0, -np.inf], [1.0, -np.inf], 0.0),
        ([1.0, np.inf], [1.0, -np.inf], np.inf),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0], [1.0, 2.0], np.inf),
        ([0.5], [0.0], 0.5),
    ],
)
def test_the_error_is_relative_to_the_largest_value_and_infinite_where_nan_meets_a_number(found, expected, value):
    assert error(np.array(found), np.array(expected)) == value


@pytest.mark.parametrize("shape", [(3, 5), (5, 3, 1), (15,), (2, 3, 5)])
def test_a_line_of_another_shape_is_an_error_even_of_the_same_size(shape):
    expected = np.zeros((5, 3))
    assert error(_iteration(np.zeros(shape), 0, 1, expected, stops=False), expected) == np.inf


def test_a_stacked_line_gives_its_iterations_and_no_more_than_there_are():
    stacked = np.arange(30.0).reshape(2, 5, 3)
    np.testing.assert_array_equal(_iteration(stacked, 1, 2, np.zeros((5, 3)), stops=False), stacked[1])
    assert _iteration(stacked, 0, 1, np.zeros((5, 3)), stops=False).shape == (2, 5, 3)  # one too many: an error
    assert _iteration(stacked, 0, 1, np.zeros((5, 3)), stops=True).shape == (5, 3)  # but for a loop that ended early


def test_the_tolerances_are_the_ones_the_project_promises():
    assert tolerance("float64", 100) == 1e-12
    assert tolerance("float32", 100) == pytest.approx(2e-5)
    assert tolerance("float64", 100, by_differences=True) == 1e-6


def test_an_unknown_algorithm_is_an_error_that_says_which_exist():
    with pytest.raises(KeyError, match="there is no algorithm 16: they are 1 to 15"):
        find(16)
    with pytest.raises(KeyError, match="did you mean layer_norm"):
        find("layernorm")
