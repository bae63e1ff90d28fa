"""Two mistakes at once, drawn at random from the whole catalogue: they are named, or what is equal to them is."""

import time

import numpy as np
import pytest

from formal_tx.crosscheck.catalog import find
from formal_tx.crosscheck.tolerances import tolerance
from formal_tx.diagnosis import diagnose
from formal_tx.diagnosis.instrument import Instrument, cases
from formal_tx.diagnosis.programs import Incompatible


def drawn_pairs(number, count, seed=0):
    """Random pairs of mutants which together give something else than either alone, and what they give."""
    rng = np.random.default_rng([seed, number])
    instrument = Instrument(find(number), cases(find(number)))
    everything, indices = instrument.visible, range(len(instrument.cases))
    found = []
    while len(found) < count:
        one, other = (everything[i] for i in rng.choice(len(everything), 2, replace=False))
        if one.mistake is other.mistake:
            continue
        try:
            outcomes = [instrument.outcome(one.edits + other.edits, i) for i in indices]
        except Incompatible:
            continue
        alone = [[instrument.of(mutant, i) for i in indices] for mutant in (None, one, other)]
        if all(any(instrument.distance(o, a[i], i) > 1e-9 for i, o in enumerate(outcomes)) for a in alone):
            found.append((one, other, outcomes))
    return found


def diagnosed(number, outcomes):
    def allowed(case):
        return tolerance("float64", case.longest, by_differences=find(number).trains, foreign=True)

    return diagnose(find(number), outcomes, allowed)


def named(number, one, other, outcomes):
    """Whether the pair is named, or something that gives the same; and how long it took."""
    start = time.perf_counter()
    diagnosis = diagnosed(number, outcomes)
    exact = {one.mistake.id, other.mistake.id} in [set(e.mistakes) for e in diagnosis.explained]
    return exact, bool(diagnosis.explained), time.perf_counter() - start


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_pairs_in_short_algorithms(number):
    for one, other, outcomes in drawn_pairs(number, 4):
        assert named(number, one, other, outcomes)[1], (one.title, other.title)


PAIRS = {3: 20, 4: 40, 5: 40, 6: 20, 7: 5, 8: 20, 9: 20, 10: 30, 14: 10}


@pytest.mark.heavy
def test_two_hundred_pairs(capsys):
    results = {
        number: [named(number, *pair) for pair in drawn_pairs(number, count, seed=1)] for number, count in PAIRS.items()
    }
    with capsys.disabled():
        print()
        for number, each in results.items():
            exact, equal, seconds = (list(column) for column in zip(*each, strict=True))
            print(
                f"Algorithm {number}: {len(each)} pairs, {sum(exact)} named exactly, {sum(equal)} exactly or as an "
                f"equal explanation, {np.mean(seconds):.1f} s on average, {max(seconds):.0f} s at most"
            )
    everything = [pair for each in results.values() for pair in each]
    assert len(everything) >= 200
    assert sum(equal for _, equal, _ in everything) >= 0.8 * len(everything)
