"""Every two values of every two variations, in one model at least: numbers, gradients, cached decoding, pseudocode."""

import pytest

from . import factors
from .covering import all_pairs, covering_array, pairs
from .rows import case_of, require_cache, require_gradient, require_pseudocode

pytestmark = pytest.mark.usefixtures("room_between_tests")  # each compiles a model of its own, forward and backward

D_MODELS, E_MODELS, ED_MODELS = factors.d_models(), factors.e_models(), factors.ed_models()


def marked(models, fast=None):
    marks = [() if n == fast else (pytest.mark.slow,) for n in range(len(models))]
    return [pytest.param(hp, id=f"{n:02}", marks=m) for n, (hp, m) in enumerate(zip(models, marks, strict=True))]


@pytest.mark.parametrize("hp", marked(D_MODELS, fast=1))
def test_decoder(hp):
    case = case_of(hp)
    logits = require_gradient(case)
    require_cache(case, logits)
    require_pseudocode(case)


@pytest.mark.parametrize("hp", marked(E_MODELS))
def test_encoder(hp):
    case = case_of(hp)
    require_gradient(case)
    require_pseudocode(case)


@pytest.mark.parametrize("hp", marked(ED_MODELS, fast=1))
def test_encoder_decoder(hp):
    case = case_of(hp)
    logits = require_gradient(case)
    require_cache(case, logits)
    require_pseudocode(case)


@pytest.mark.parametrize("given", [factors.D, factors.E, factors.ED], ids=["decoder", "encoder", "encoder-decoder"])
def test_the_array_covers_every_pair(given):
    rows = covering_array(given)
    numbers = [{name: given[name].index(value) for name, value in row.items()} for row in rows]
    assert all(row.keys() == given.keys() for row in rows)
    assert set(all_pairs(given)) == {pair for row in numbers for pair in pairs(row)}
    largest, second = sorted((len(values) for values in given.values()), reverse=True)[:2]
    assert largest * second <= len(rows) <= 2 * largest * second


def test_a_small_array_by_hand():
    rows = covering_array({"a": (0, 1), "b": (0, 1), "c": (0, 1)})
    assert {(r["a"], r["b"]) for r in rows} == {(r["b"], r["c"]) for r in rows} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert rows == covering_array({"a": (0, 1), "b": (0, 1), "c": (0, 1)})
