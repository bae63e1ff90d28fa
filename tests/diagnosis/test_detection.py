"""The check itself sees every mutant that differs from its algorithm: its cases hold the telling ones."""

import numpy as np
import pytest

from formal_tx.crosscheck.calling import CannotRun, FromFunction
from formal_tx.crosscheck.candidate import check_candidate
from formal_tx.crosscheck.catalog import find
from formal_tx.diagnosis.instrument import Instrument, cases
from formal_tx.diagnosis.programs import program

CALLS = {
    8: lambda f: lambda z, x, params, hp: f(list(z), list(x), params, hp.epsilon),
    9: lambda f: lambda x, params, hp: f(list(x), params, hp.epsilon),
    10: lambda f: lambda x, params, hp: f(list(x), params, hp.epsilon),
    14: lambda f: lambda x, params, hp, length, tau, sample: f(list(x), params, length, tau, sample, hp.epsilon),
    15: lambda f: lambda z, params, hp, tau, sample: f(list(z), params, tau, sample, hp.epsilon),
}


def candidate(number, edits=()):
    """An edition of the pseudocode, as a function that the check can call with columns."""
    f = CALLS.get(number, lambda f: f)(program(find(number)).function(edits))

    def quiet(*arguments):
        with np.errstate(all="ignore"):
            return f(*arguments)

    return FromFunction(quiet)


def unseen(number, every=1):
    algorithm = find(number)
    found = []
    for mutant in Instrument(algorithm, cases(algorithm)).visible[::every]:
        try:
            if check_candidate(algorithm, candidate(number, mutant.edits), layout="columns", cases=1).agrees:
                found.append((mutant.mistake.id, mutant.title))
        except CannotRun:  # it raises in every case, and is seen
            continue
    return found


@pytest.mark.parametrize("number", [4, 6, 10, 14])
def test_the_pseudocode_agrees(number):
    assert check_candidate(find(number), candidate(number), layout="columns", cases=1).agrees


@pytest.mark.parametrize(("number", "every"), [(1, 1), (3, 1), (4, 1), (6, 1), (7, 1), (14, 40)])
def test_the_check_sees_every_mutant(number, every):
    assert unseen(number, every) == []


@pytest.mark.heavy
@pytest.mark.parametrize("number", [5, 8, 9, 10, 14, 15])
def test_the_check_sees_every_mutant_of_the_long_algorithms(number):
    assert unseen(number) == []
