"""Programs are the pseudocode; edits change what they say they change, and nothing else."""

import numpy as np
import pytest

from formal_tx.crosscheck import ALGORITHMS
from formal_tx.crosscheck.catalog import find
from formal_tx.crosscheck.telling import telling
from formal_tx.diagnosis import mutants
from formal_tx.diagnosis.outcomes import runner
from formal_tx.diagnosis.programs import Incompatible, _changed, program


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_without_edits_it_is_the_pseudocode_to_the_bit(algorithm):
    for case in telling(algorithm.number)[:2]:
        run = runner(algorithm, case)
        ours, paper = run(program(algorithm).function()), run(algorithm.paper)
        assert not paper.raised
        for name, value in paper.values.items():
            np.testing.assert_array_equal(ours.values[name], value)


def named(algorithm, id, part=""):
    return next(m for m in mutants(algorithm) if m.mistake.id == id and part in m.title)


def test_two_edits_one_inside_the_other():
    algorithm = find(4)
    scale, mask = named(algorithm, "scale-missing"), named(algorithm, "mask-after-softmax")
    for edits in (scale.edits + mask.edits, mask.edits + scale.edits):
        _, after = program(algorithm).statement(edits)
        assert after == "V_tilde = V @ (softmax(S) * Mask)"


def test_what_is_gone_cannot_be_edited():
    algorithm = find(10)
    after = named(algorithm, "norms-after")
    missing = named(algorithm, "residual-of-normalised")
    with pytest.raises(Incompatible):
        program(algorithm).function(after.edits + missing.edits)


def test_the_statements_that_an_edit_changes():
    algorithm = find(10)
    edits = named(algorithm, "bias-forgotten", "b_mlp1").edits
    paper, instead = program(algorithm).statement(edits)
    assert paper == "X = X + W.W_mlp2 @ GELU(W.W_mlp1 @ X_tilde + W.b_mlp1[:, None]) + W.b_mlp2[:, None]"
    assert instead == "X = X + W.W_mlp2 @ GELU(W.W_mlp1 @ X_tilde) + W.b_mlp2[:, None]"


def test_statements_that_are_deleted_leave_nothing():
    algorithm = find(4)
    paper, instead = program(algorithm).statement(named(algorithm, "mask-ignored").edits)
    assert (paper, instead) == ("S = where(Mask, S, -inf)", "")


def test_the_lines_in_which_two_texts_differ():
    lines = ["for W in layers:", "    X = f(X)", "    X = g(X)", "return X"]
    assert _changed(lines, [lines[0], "    X = h(X)", *lines[2:]]) == ("X = f(X)", "X = h(X)")
    assert _changed(lines, [lines[0], *lines[2:]]) == ("X = f(X)", "")
    assert _changed(lines, [lines[0], lines[2], lines[1], lines[3]]) == (
        "X = f(X)\nX = g(X)",
        "X = g(X)\nX = f(X)",
    )


def test_what_changes_in_the_head_of_a_loop():
    algorithm = find(10)
    paper, instead = program(algorithm).statement(named(algorithm, "layers-reversed").edits)
    assert (paper, instead) == ("for W in layers:", "for W in layers[::-1]:")
