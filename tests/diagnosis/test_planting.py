"""Mistakes that are written into the JAX edition by hand are found by the diagnosis, which knows the pseudocode's."""

import re
from pathlib import Path

import jax
import pytest

from formal_tx.crosscheck import find
from formal_tx.crosscheck.calling import FromFunction
from formal_tx.crosscheck.candidate import check_candidate
from formal_tx.diagnosis import MISTAKES
from tests.diagnosis.planting.candidates import candidate
from tests.diagnosis.planting.edition import ADAPTED, Edition, patched
from tests.diagnosis.planting.placement import Placement, place, plain_jax
from tests.diagnosis.planting.placements import PLACEMENTS
from tests.diagnosis.planting.slips import Slip, unknown_names
from tests.diagnosis.planting.tally import examined, table

QUICK = (
    (1, "token-off-by-one"),
    (2, "position-off-by-one"),
    (3, "scale-by-value-width"),
    (4, "mask-transposed"),
    (4, "scores-of-distance"),
    (5, "heads-interleaved"),
    (5, "bias-forgotten"),
    (6, "norm-epsilon-outside"),
    (7, "softmax-sigmoid"),
    (9, "norm-before-addition"),
    (10, "residual-of-normalised"),
    (14, "temperature-of-probabilities"),
)


def _placed(number: int, mistake: str) -> Placement:
    return next(p for p in PLACEMENTS if p.algorithm == number and p.ids[0] == mistake)


def test_there_are_many_placements_everywhere_and_the_catalogue_has_their_names():
    assert len(PLACEMENTS) >= 140
    assert {p.algorithm for p in PLACEMENTS} == set(range(1, 16))
    names = {i for p in PLACEMENTS for i in p.ids}
    assert len(names) >= 60
    assert names <= {mistake.id for mistake in MISTAKES}


def test_what_is_replaced_is_still_there():
    for placement in PLACEMENTS:
        text = patched(placement.file, placement.changes)
        compile(text, placement.file, "exec")
        assert not unknown_names(text), placement


def test_what_is_adapted_is_still_there():
    for file, change in ADAPTED.items():
        compile(patched(file, [change]), file, "exec")


@pytest.mark.parametrize(("old", "times"), [("Q @ K.T", 0), ("@algorithm(", 3)])
def test_a_text_that_is_not_there_once_is_refused(old, times):
    with pytest.raises(
        ValueError, match=rf"attention\.py: this text occurs {times} times, expected once:\n{re.escape(old)}"
    ):
        patched("attention.py", [(old, "")])


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        ("nowhere(q)", "NameError: name 'nowhere' is not defined"),
        ("params.nowhere", "AttributeError: .* has no attribute 'nowhere'"),
        ("root(q)", r"TypeError: root\(\) missing 1 required positional argument"),
    ],
)
def test_a_placement_that_fails_by_a_slip_of_its_own_is_refused(planted, why):
    with pytest.raises(Slip, match=why):
        place(3, "attention.py", "scale-missing", ("root(q.shape[-1], q)", planted)).diagnose()


def test_a_name_that_is_not_there_is_seen_before_anything_runs():
    changes = [("root(q.shape[-1], q)", "nowhere(q)")]
    assert unknown_names(patched("attention.py", changes)) == {"nowhere"}


def _nothing_planted_agrees(number: int, cached: bool, folder: Path) -> None:
    with plain_jax():
        edition = Edition(folder)
        try:
            comparison = check_candidate(find(number), FromFunction(candidate(number, edition, cached), "jax"), cases=1)
        finally:
            edition.forget()
    assert comparison.agrees, comparison.first_bad


@pytest.mark.parametrize(("number", "cached"), [(3, False), (6, False)])
def test_the_edition_agrees_as_long_as_nothing_is_planted(number, cached, tmp_path):
    _nothing_planted_agrees(number, cached, tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("number", "cached"), [*((n, False) for n in range(1, 16) if n not in (3, 6)), (14, True), (15, True)]
)
def test_each_algorithm_of_the_edition_agrees_as_long_as_nothing_is_planted(number, cached, tmp_path):
    _nothing_planted_agrees(number, cached, tmp_path)


@pytest.mark.parametrize(("number", "mistake"), QUICK)
def test_a_planted_mistake_is_named(number, mistake):
    placement = _placed(number, mistake)
    before = jax.config.jax_enable_x64
    (result,) = examined([placement])
    assert result.named, result
    assert jax.config.jax_enable_x64 == before


@pytest.mark.heavy
def test_of_all_planted_mistakes_98_in_100_are_named(capsys):
    results = examined(PLACEMENTS)
    with capsys.disabled():
        print("\n" + table(results))
    assert sum(r.named for r in results) >= 0.98 * len(results), table(results)
