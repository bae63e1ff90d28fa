"""The error budget: its sums against ones that are worked out otherwise, its commands, and what it refuses."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import formal_tx
from formal_tx.cli.budget import budget as command
from formal_tx.cli.console import output
from formal_tx.crosscheck import draws, find
from formal_tx.crosscheck.budget import budget
from formal_tx.crosscheck.tolerances import error

module = sys.modules[budget.__module__]
SMALL = {"l": 8, "L": 8, "H": 2, "d_e": 16, "d_attn": 8, "d_mid": 8, "d_mlp": 32, "N_V": 32}
BOTH = {name: size for name, size in SMALL.items() if name not in ("l", "L")}
HEAD = {"l_x": 6, "l_z": 7, "d_x": 16, "d_z": 16, "d_attn": 8, "d_out": 8}


@pytest.fixture(scope="module")
def decoder():
    return budget(10, "bfloat16", **SMALL)


def entries(found, place):
    return [e for e in found.lines if e.place == place]


def test_every_line_of_every_layer_is_there(decoder):
    places = [e.place for e in decoder.lines]
    numbers = {int(place.split(".")[0]) for place in places if "/" not in place}
    assert numbers == {2, 3, 5, 6, 7, 8, 10, 11}  # 1 is a length, 4 and 9 are the loop
    assert [e.layer for e in entries(decoder, "mh_attention/attention/4.S")] == list(range(8))
    assert [e.layer for e in entries(decoder, "11.P")] == [None]
    assert places.index("5.X_tilde") < places.index("mh_attention/attention/4.S") < places.index("6.X")


def test_errors_are_of_the_order_of_the_roundoff(decoder):
    assert decoder.unit_roundoff == 2.0**-8
    for e in decoder.lines:
        assert 0 < e.adds < 20 * decoder.unit_roundoff, e
        assert 0 < e.total < 100 * decoder.unit_roundoff, e


def test_the_first_line_has_nothing_but_its_own(decoder):
    (first,) = entries(decoder, "2.e")
    assert first.adds == first.total


def test_a_line_that_only_copies_adds_no_more_than_the_rounding_of_one_number(decoder):
    for e in (*entries(decoder, "mh_attention/2.Y_h"), *entries(decoder, "5.X_tilde")):
        assert e.adds <= decoder.unit_roundoff
        assert e.total > e.adds


def test_the_residual_stream_adds_about_the_same_in_every_layer_and_carries_what_came_before(decoder):
    X = entries(decoder, "8.X")
    assert max(e.adds for e in X) < 3 * min(e.adds for e in X)
    assert all(e.total > 1.3 * e.adds for e in X)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_attention_is_what_numpy_says(dtype):
    """Line 4 from the definitions: its inputs in double precision, rounded to the type; and rounded from line 1 on."""
    found = budget(4, dtype, **HEAD)
    case, _ = module._case(find(4), 0, HEAD)
    p, X, Z = case.arguments["params"], case.arguments["X"], case.arguments["Z"]
    exact_Q, exact_K = X @ p.W_q.T + p.b_q, Z @ p.W_k.T + p.b_k
    S = exact_Q @ exact_K.T

    def round(value):
        return jnp.asarray(np.asarray(value, np.float64), dtype)

    with jax.enable_x64(True):
        rounded = [round(round(A) @ round(W).T + round(b[None])) for A, W, b in ((X, p.W_q, p.b_q), (Z, p.W_k, p.b_k))]
        alone = error(np.asarray(round(exact_Q) @ round(exact_K).T, float), S)
        total = error(np.asarray(rounded[0] @ rounded[1].T, float), S)
    (line,) = entries(found, "4.S")
    u = found.unit_roundoff
    assert line.adds == pytest.approx(alone, abs=u)
    assert line.total == pytest.approx(total, abs=2 * u)


def test_the_total_is_the_error_of_the_function_itself():
    found = budget(4, "float32", **HEAD)
    case, _ = module._case(find(4), 0, HEAD)
    results = []
    for dtype, x64 in (("float64", True), ("float32", False)):
        with jax.enable_x64(x64):
            a = case.arguments
            params = jax.tree.map(lambda W, dtype=dtype: jnp.asarray(W, dtype), a["params"])
            X, Z = jnp.asarray(a["X"], dtype), jnp.asarray(a["Z"], dtype)
            results.append(np.asarray(formal_tx.attention(X, Z, params, a["mask"]), float))
    (line,) = entries(found, "6.V_tilde")
    assert line.total == pytest.approx(error(results[1], results[0]), rel=0.5)


@pytest.mark.parametrize(
    ("number", "sizes", "last"),
    [
        (3, {"T": 5, "d_in": 8, "d_attn": 4, "d_out": 4}, "5.v_tilde"),
        (5, HEAD | {"H": 2, "d_mid": 4}, "4.V_tilde"),
        (6, {"d_e": 16}, "3.e_hat"),
        (7, {"N_V": 32, "d_e": 16}, "1.p"),
        pytest.param(8, BOTH | {"l_z": 5, "l_x": 4, "L_enc": 1, "L_dec": 2}, "21.P", marks=pytest.mark.slow),
        pytest.param(9, SMALL | {"d_f": 16}, "12.P", marks=pytest.mark.slow),
    ],
)
def test_the_other_algorithms_have_one_too(number, sizes, last):
    found = budget(number, "bfloat16", **sizes)
    assert found.lines[-1].place == last
    assert all(0 <= e.adds < 0.1 and 0 <= e.total < 0.3 for e in found.lines)
    if number == 8:
        assert len(entries(found, "encoder/5.Z")) == 1
        assert len(entries(found, "decoder/14.X")) == 2
        assert entries(found, "decoder/cross_attention/mh_attention/attention/4.S")


def test_what_overflows_is_infinite_from_there_on(monkeypatch):
    """Scores of a million, of which float16, which ends at 65504, holds none; their rows have no softmax."""

    def large(*arguments, **sizes):
        case = draws.attention(*arguments, **sizes)
        case.arguments |= {name: 512 * case.arguments[name] for name in ("X", "Z")}
        return case

    monkeypatch.setitem(module._CASES, 4, (large, HEAD))
    errors = {e.place: e for e in budget(4, "float16").lines}
    assert np.isfinite(errors["1.Q"].total)
    assert errors["4.S"].adds == errors["4.S"].total == np.inf
    assert errors["6.V_tilde"].total == np.inf
    assert all(np.isfinite(e.total) for e in budget(4, "bfloat16").lines)


@pytest.mark.parametrize(
    ("arguments", "sizes", "message"),
    [
        ((13,), {}, r"algorithm is 13, expected one of 3, 4, 5, 6, 7, 8, 9, 10"),
        ((find(1),), {}, r"algorithm is 1, expected one of 3, 4"),
        (("10",), {}, r"algorithm is '10', expected one of 3, 4"),
        ((4, "float64"), {}, r"dtype is 'float64', expected one of float32, bfloat16, float16"),
        ((4,), {"H": 2}, r"Algorithm 4 has no size H, it has l_x, l_z, d_x, d_z, d_attn, d_out"),
        ((10,), {"d_e": 0}, r"d_e is 0, expected a positive integer"),
        ((10,), {"d_e": 2.0}, r"d_e is 2\.0, expected a positive integer"),
        ((10,), {"L": True}, r"L is True, expected a positive integer"),
        ((10,), SMALL | {"l_max": 4}, r"l_max"),
    ],
)
def test_what_it_refuses(arguments, sizes, message):
    with pytest.raises(ValueError, match=message):
        budget(*arguments, **sizes)


@pytest.fixture
def run(monkeypatch, decoder):
    """The command, with a budget that is already there; and what it was asked for."""
    asked = []

    def measured(algorithm, dtype, **options):
        asked.append((algorithm.number, dtype, options))
        return decoder

    def run(*arguments):
        monkeypatch.setattr(module, "budget", measured)
        monkeypatch.setattr(output, "_width", 150)  # which it takes from where it was made, in whichever test
        app = typer.Typer()
        app.command()(command)
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        return done, asked

    return run


def test_the_command_prints_a_table(run, decoder):
    done, asked = run("d_transformer", "--set", "d_e=16", "--set", "L=8", "--seed", 3)
    assert done.exit_code == 0, done.output
    assert asked == [(10, "bfloat16", {"seed": 3, "d_e": 16, "L": 8})]
    assert "in bfloat16, of which the unit roundoff u is 3.9e-03" in done.stdout
    heading = next(line for line in done.stdout.splitlines() if line.startswith("line"))
    assert heading.split()[-4:] == ["layer", "5", "layer", "8"]
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("8.X"))
    X = entries(decoder, "8.X")
    adds, total = max(e.adds for e in X), max(e.total for e in X)
    worst = [f"{adds:.1e}", f"{adds * 2**8:.1f}", f"{total:.1e}", f"{total * 2**8:.1f}"]
    assert row == ["8.X", *worst, *(f"{X[i].total:.1e}" for i in (0, 1, 2, 3, 4, 7))]


def test_the_command_prints_json(run, decoder):
    done, asked = run("--dtype", "float16", "--json")
    assert asked == [(10, "float16", {"seed": 0})]
    found = json.loads(done.stdout)
    assert found["sizes"] == SMALL | {"l_max": 8}
    assert found["unit_roundoff"] == 2.0**-8
    assert found["lines"][0] == {"line": "2.e", "layer": None} | dict.fromkeys(("adds", "total"), decoder.lines[0].adds)
    assert found["lines"][-1]["line"] == "11.P"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["99"], "there is no algorithm 99"), (["--set", "d_e=many"], "--set d_e=many: expected a positive integer")],
)
def test_what_the_command_refuses(run, arguments, message):
    done, _ = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
