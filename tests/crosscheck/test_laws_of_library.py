"""The library keeps every law."""

import pytest

from formal_tx.crosscheck import ALGORITHMS, find
from formal_tx.crosscheck.adapters.library import of_library
from formal_tx.crosscheck.laws import run

SLOW = range(8, 14)
NUMBERS = [pytest.param(a.number, marks=[pytest.mark.slow] * (a.number in SLOW)) for a in ALGORITHMS]


def kept(model):
    """The laws that hold; none may be violated, and none may fail to run."""
    findings = run(model)
    assert {f.outcome for f in findings} <= {"holds", "does not apply"}, findings
    return {f.law for f in findings if f.outcome == "holds"}


@pytest.mark.parametrize("number", NUMBERS)
def test_the_library_keeps_every_law(number):
    for model in of_library(find(number)):
        assert {"determinism"} < kept(model) or number == 15


@pytest.mark.parametrize("number", [3, 5, 6, 7])
def test_the_library_keeps_every_law_in_single_precision(number):
    for model in of_library(find(number), "float32"):
        assert {"determinism", "dtype-kept"} < kept(model)


@pytest.mark.slow
def test_batches_padding_and_caches_are_among_them():
    of_x, of_z = of_library(find(8))
    assert {"right-padding", "decoding-cache", "sequence-causality-by-gradient", "rows-sum-to-one"} < kept(of_x)
    assert {"context-padding", "order-of-context"} < kept(of_z)
