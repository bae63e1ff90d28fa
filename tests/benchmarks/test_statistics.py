"""Ratios, quartiles, and exponents of growths that are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.statistics import exponent, quartiles, ratios

positive = st.floats(1e-3, 1e3)


def test_quartiles():
    assert quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)
    assert quartiles([1.0, 2.0]) == (1.25, 1.5, 1.75)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


def test_quartiles_of_nothing():
    with pytest.raises(ValueError, match="there are no values, expected at least one"):
        quartiles([])


def test_a_ratio_says_how_many_times_as_fast_we_are_in_each_round():
    assert ratios([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]) == [2.0, 1.0, 0.5]


def test_a_busy_moment_falls_on_both():
    slow = [1.0, 5.0, 1.0]
    assert ratios([0.2 * s for s in slow], [0.3 * s for s in slow]) == pytest.approx([1.5] * 3)


def test_rounds_that_do_not_fit():
    with pytest.raises(ValueError, match="2 rounds of ours and 1 of the rival's, expected as many"):
        ratios([1.0, 1.0], [1.0])
    with pytest.raises(ValueError, match=r"a time is 0\.0, expected seconds greater than 0"):
        ratios([1.0], [0.0])


@given(c=positive, p=st.floats(-3, 3), sizes=st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True))
def test_the_exponent_of_a_power_law(c, p, sizes):
    assert exponent(sizes, [c * size**p for size in sizes]) == pytest.approx(p, abs=1e-6)


def test_the_exponent_of_a_sum_lies_between():
    sizes = [2.0**k for k in range(10, 17)]
    assert 1 < exponent(sizes, [n + n**2 / 1e4 for n in sizes]) < 2


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1.0], [1.0], "1 sizes and 1 values, expected as many, and at least two"),
        ([2.0, 2.0], [1.0, 1.0], "at least two"),
        ([1.0, 2.0], [1.0], "2 sizes and 1 values"),
        ([1.0, 2.0], [1.0, 0.0], "is not greater than 0, and has no logarithm"),
    ],
)
def test_growth_that_has_no_exponent(sizes, values, message):
    with pytest.raises(ValueError, match=message):
        exponent(sizes, values)
