"""The catalogue: every mistake can be made somewhere, and all that can be made is seen, but for what is none."""

import re

import numpy as np
import pytest

from formal_tx.crosscheck.catalog import ALGORITHMS, FORMULAS, find
from formal_tx.crosscheck.tolerances import FOREIGN
from formal_tx.diagnosis import MISTAKES, mutants
from formal_tx.diagnosis.instrument import Instrument, cases
from formal_tx.diagnosis.mutants import _of_way
from formal_tx.diagnosis.programs import program

SELF = {"query-of-context", "key-of-primary", "value-of-primary", "context-ignored"}
MASKS = {"mask-ignored", "mask-transposed", "mask-zero", "mask-added", "mask-after-softmax", "mask-on-values"}
FINITE = {"mask-finite", "mask-finite-after-scale"}


def equivalent(algorithm, mutant) -> str:
    """Why a mutant is no mistake in an algorithm; empty if it is one."""
    id, number = mutant.mistake.id, algorithm.number
    if id in ("bias-forgotten", "bias-subtracted") and mutant.title.startswith("the bias b_k "):
        return "q·b_k is the same number for every key, and a softmax does not see what is added to all"
    if id in SELF and number in (9, 10, 12, 13, 14):
        return "X is Z in self-attention"
    if id in MASKS and mutant.algorithm == "attention" and number in (9, 12):
        return "nothing is masked in an encoder"
    if id == "softmax-overflows":
        return "exp overflows where scores are large: seen in Algorithms 3, 4 and 7, and where it can"
    if id in FINITE:
        return (
            "scores are seldom so large that a finite score is not -∞ in effect: seen in Algorithm 4, and where it can"
        )
    scaled = id in ("softmax-of-all", "softmax-not-normalised", "softmax-with-one")
    if scaled and number in (14, 15) and mutant.algorithm.endswith("_transformer"):
        return "it scales the distribution, and drawing from a multiple of it is the same"
    if id in ("layers-share-parameters", "layers-reversed", "position-in-every-layer") and number in (11, 12, 13):
        return "one layer only, to save time; seen in Algorithms 8 to 10"
    return ""


def test_there_are_many_and_each_has_its_name():
    ids = [mistake.id for mistake in MISTAKES]
    assert len(ids) == len(set(ids)) >= 60
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id) for id in ids)


def test_every_way_of_every_mistake_is_possible_somewhere():
    programs = [program(algorithm) for algorithm in (*ALGORITHMS, *FORMULAS)]
    ways = [(mistake, way) for mistake in MISTAKES for way in mistake.ways]
    dead = [(m.id, way) for m, way in ways if not any(True for made in programs for _ in _of_way(m, way, made))]
    assert dead == []


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_mutant_has_a_title_and_a_line(algorithm):
    numbers = {a.name: {s.number for s in a.listing.statements} for a in ALGORITHMS}
    for mutant in mutants(algorithm):
        assert "{" not in mutant.title
        assert "_b}" not in mutant.title
        assert mutant.line in numbers[mutant.algorithm]


QUICK = ["sinusoidal_positions", 1, 2, 3, 4, 5, 6, 7, 10]


def unseen(algorithm):
    instrument = Instrument(algorithm, cases(algorithm))
    visible = set(instrument.visible)
    slips = [
        m.mistake.id for m in visible if re.match("NameError|SyntaxError|AttributeError", instrument.of(m, 0).raised)
    ]
    assert slips == [], "these are slips of the catalogue, not mistakes in an algorithm"
    return [m for m in mutants(algorithm) if m not in visible and not equivalent(algorithm, m)]


@pytest.mark.parametrize("number", QUICK)
def test_every_mutant_is_seen_but_for_equivalent_ones(number):
    assert [(m.mistake.id, m.title, m.edits) for m in unseen(find(number))] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [8, 9, 11, 12, 13, 14, 15])
def test_every_mutant_is_seen_in_the_long_algorithms(number):
    assert [(m.mistake.id, m.title, m.edits) for m in unseen(find(number))] == []


def test_the_bias_of_the_keys_has_no_influence():
    rng = np.random.default_rng(0)
    attention = find(4).paper
    for _ in range(20):
        d, l = rng.integers(1, 8, 2)
        X, Z = rng.standard_normal((d, l)), rng.standard_normal((d, l + 1))
        W = [rng.standard_normal(s) for s in ((d, d), (d,), (d, d), (d,), (d, d), (d,))]
        mask = np.ones((l + 1, l), bool)
        other = [*W[:3], rng.standard_normal(d), *W[4:]]
        np.testing.assert_allclose(attention(X, Z, other, mask), attention(X, Z, W, mask), rtol=FOREIGN["float64"])


def test_finite_scores_are_seen_in_attention():
    algorithm = find(4)
    visible = {m.mistake.id for m in Instrument(algorithm, cases(algorithm)).visible}
    assert visible >= FINITE | MASKS | SELF | {"softmax-overflows"}
