"""The recorder sees every value a numbered line assigns, once, when it is complete."""

import numpy as np
import pytest

from formal_tx.crosscheck import pseudocode
from formal_tx.crosscheck.layout import leaves, to_paper, to_rows
from formal_tx.crosscheck.record import record

SOURCE = """
def f(n, fail=False):
    a = 1                                      # 1
    b = 0
    for i in range(n):                         # 2
        b = b + (i +
                 1)                            # 3
        c = [None] * 2
        for t in range(2):                     # 4
            c[t] = 10 * i + t                  # 5
        #                                  end # 6
        g = lambda theta: theta + b            # 7
        theta = i
    if fail:
        d = 1 / 0                              # 8
    e = [b for b in range(3)]                  # 9
    return e
"""


@pytest.fixture
def algorithm(tmp_path, monkeypatch):
    (tmp_path / "small.py").write_text(SOURCE)
    monkeypatch.setattr(pseudocode, "folder", lambda: tmp_path)
    pseudocode.listing.cache_clear()
    listing = pseudocode.listing("small", "f")
    namespace = {"theta": 0}
    exec(compile(SOURCE, str(listing.path), "exec"), namespace)
    yield namespace["f"], listing
    pseudocode.listing.cache_clear()


def test_the_listing_finds_numbers_variables_and_loops(algorithm):
    _, listing = algorithm
    assert [(s.number, s.variable) for s in listing.statements] == [
        (1, "a"),
        (2, None),
        (3, "b"),
        (4, None),
        (5, "c"),
        (7, "g"),
        (8, "d"),
        (9, "e"),
    ]
    assert listing.text(3) == "b = b + (i +\n1)"


def test_values_are_recorded_in_order_and_loops_that_fill_a_variable_once(algorithm):
    f, listing = algorithm
    result, recorded = record(f, listing, 0)
    assert result == [0, 1, 2]
    assert [(r.number, r.value) for r in recorded] == [(1, 1), (9, [0, 1, 2])]


def test_a_loop_records_each_round(algorithm):
    _, listing = algorithm
    source = SOURCE.replace("        g = lambda theta: theta + b            # 7\n", "")
    listing.path.write_text(source)
    pseudocode.listing.cache_clear()
    listing = pseudocode.listing("small", "f")
    namespace: dict = {}
    exec(compile(source, str(listing.path), "exec"), namespace)
    _, recorded = record(namespace["f"], listing, 2)
    assert [(r.number, r.value) for r in recorded] == [
        (1, 1),
        (3, 1),
        (5, [0, 1]),
        (3, 3),
        (5, [10, 11]),
        (9, [0, 1, 2]),
    ]


def test_a_line_that_raises_is_not_recorded_and_tracing_ends(algorithm):
    import sys

    f, listing = algorithm
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        record(f, listing, 0, fail=True)
    assert sys.gettrace() is before


def test_a_value_changed_later_in_place_is_recorded_as_it_was():
    source = "def f(x):\n    y = x                # 1\n    y[0] = 5\n    z = y                # 2\n    return z\n"
    import ast

    listing = pseudocode.Listing(
        path=__import__("pathlib").Path("f.py"),
        source=tuple(source.splitlines()),
        statements=tuple(pseudocode._statements(ast.parse(source).body[0].body, tuple(source.splitlines()), None)),
    )
    namespace: dict = {}
    exec(compile(source, "f.py", "exec"), namespace)
    _, recorded = record(namespace["f"], listing, np.zeros(2))
    np.testing.assert_array_equal(recorded[0].value, [0, 0])
    np.testing.assert_array_equal(recorded[1].value, [5, 0])


def test_parameters_go_to_the_paper_and_back():
    import jax

    from formal_tx import EDTransformerHyperparameters, init_ed_transformer

    hp = EDTransformerHyperparameters(l_max=5, L_enc=3, L_dec=2, H=2, d_e=6, d_mlp=7, N_V=11)
    params = init_ed_transformer(jax.random.key(0), hp)
    theta = to_paper(params)
    assert theta.W_e.shape == (6, 11)
    assert len(theta.encoder) == 3
    assert len(theta.decoder[1].cross_attention.heads) == 2
    ours, theirs = leaves(params), leaves(theta)
    assert ours.keys() == theirs.keys()
    for path in ours:
        np.testing.assert_array_equal(ours[path], theirs[path].astype(np.float32), err_msg=path)


def test_rows_are_tokens():
    assert to_rows(np.zeros((2, 3))).shape == (3, 2)
    assert to_rows([np.zeros(2)] * 3).shape == (3, 2)
    assert to_rows(1.5).shape == ()
