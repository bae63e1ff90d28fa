"""Functions with a known mistake are diagnosed; right ones are not."""

import dataclasses
import json
import re
import textwrap

import numpy as np
import optax
import pytest

from formal_tx import d_training, d_transformer
from formal_tx.crosscheck.calling import CannotRun, FromFunction
from formal_tx.crosscheck.catalog import find
from formal_tx.diagnosis import examine, judge
from formal_tx.diagnosis.report import as_list, editions


def softmax(S):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def attention(X, Z, p, mask, scale=True, values=None):
    Q, K, V = X @ p.W_q.T + p.b_q, Z @ p.W_k.T + p.b_k, Z @ p.W_v.T + (p.b_v if values is None else values)
    S = np.where(mask, Q @ K.T, -np.inf)
    return softmax(S / np.sqrt(len(p.b_q)) if scale else S) @ V


def diagnosed(number, f, **options):
    return examine(find(number), FromFunction(f), **options)


def test_one_mistake():
    found = diagnosed(4, lambda X, Z, p, mask: attention(X, Z, p, mask, scale=False))
    assert [e.mistakes for e in found.explained] == [("scale-missing",)]
    assert found.explanations[0].distance < 1e-12
    assert all(not e.explains and e.distance > 1e-3 for e in found.explanations[1:])


def test_two_mistakes():
    found = diagnosed(4, lambda X, Z, p, mask: attention(X, Z, p, mask, scale=False, values=0))
    assert {frozenset(e.mistakes) for e in found.explained} == {frozenset(("scale-missing", "bias-forgotten"))}


def test_a_mistake_that_raises_where_the_mask_is_not_square():
    found = diagnosed(4, lambda X, Z, p, mask: attention(X, Z, p, mask.T))
    assert found.explained[0].mistakes == ("mask-transposed",)


def test_single_precision():
    found = examine(
        find(4), FromFunction(lambda X, Z, p, mask: attention(X, Z, p, mask.T), dtype="float32"), dtype="float32"
    )
    assert found.explained[0].mistakes == ("mask-transposed",)


def test_columns():
    def columns(X, Z, W, Mask):
        W_q, b_q, W_k, b_k, W_v, b_v = W
        Q, K, V = W_q @ X + b_q[:, None], W_k @ Z + b_k[:, None], W_v @ Z + b_v[:, None]
        return V @ softmax(np.where(Mask, K.T @ Q, -np.inf).T).T

    found = examine(find(4), FromFunction(columns), layout="columns")
    assert found.explained[0].mistakes == ("scale-missing",)


def test_equal_explanations_are_listed_as_equal():
    # To climb is to descend the other way: the gradient of −loss, and the loss itself added.
    def training(x, params, hp, epochs, eta):
        untied = dataclasses.replace(hp, tied_embeddings=False)
        return d_training(np.stack(x), params, untied, epochs=epochs, optimizer=optax.sgd(-eta))

    found = diagnosed(13, training)
    assert {e.mistakes for e in found.explained} == {("loss-sign",), ("update-ascends",)}


def test_what_nobody_knows_has_neighbours():
    found = diagnosed(6, lambda e, gamma, beta, epsilon: np.tanh(e) * gamma + beta)
    assert found.explained == ()
    assert found.complete
    assert len(found.explanations) >= 3
    assert [e.distance for e in found.explanations] == sorted(e.distance for e in found.explanations)


@pytest.mark.parametrize(
    ("number", "f"),
    [
        (4, lambda X, Z, p, mask: attention(X, Z, p, mask)),
        (6, lambda e, gamma, beta, epsilon: (e - e.mean()) / np.sqrt(e.var() + epsilon) * gamma + beta),
        (7, lambda e, W_u: softmax(W_u @ e)),
    ],
)
def test_the_right_function_has_no_explanation(number, f):
    assert diagnosed(number, f).explained == ()


def test_the_positions_of_2017_are_not_those_of_the_paper():
    """The table of Vaswani et al.: base 10000, positions and frequencies from 0, counted in pairs."""

    def vaswani(l_max, d_e, base=10000):
        angle = np.arange(l_max)[:, None] / base ** (2 * np.arange(d_e // 2) / d_e)
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(l_max, d_e)

    both = diagnosed("sinusoidal_positions", vaswani).explained
    assert {frozenset(e.mistakes) for e in both} == {frozenset(("sinusoid-base", "sinusoid-off-by-one"))}
    based = diagnosed("sinusoidal_positions", lambda l_max, d_e: vaswani(l_max, d_e, base=l_max)).explained
    assert [e.mistakes for e in based] == [("sinusoid-off-by-one",)]


def test_both_editions_of_the_line_are_shown():
    found = diagnosed(6, lambda e, g, b, epsilon: (e - e.mean()) / np.sqrt(e.var(ddof=1) + epsilon) * g + b)
    assert found.explained[0].mistakes == ("norm-variance-unbiased",)
    paper, instead = editions(found, found.explained[0].mutants[0])
    assert paper.endswith("/ d_e")
    assert instead.endswith("/ (d_e - 1)")
    listed = json.loads(json.dumps(as_list(found)))
    assert listed[0]["mistake"] == "norm-variance-unbiased"
    assert listed[0]["line"] == 2
    assert listed[0]["explains"] is True


def test_inference_is_told_by_what_it_draws_from():
    def decode(x, params, hp, length, temperature, sample):
        hp, ids = dataclasses.replace(hp, tied_embeddings=False), [int(t) for t in x]
        for _ in range(length):
            p = np.asarray(d_transformer(np.array(ids), params, hp)[-1]) ** temperature
            ids.append(sample(p / p.sum()))
        return ids[-length:]

    assert diagnosed(14, decode).explained[0].mistakes == ("temperature-multiplied",)


@pytest.mark.slow
def test_the_command_line_says_it(tmp_path, capsys):
    from typer.testing import CliRunner

    from formal_tx.cli import app

    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent(
            """
            import numpy as np

            def layer_norm(e, gamma, beta, epsilon):
                return (e - e.mean()) / (e.std() + epsilon) * gamma + beta
            """
        )
    )
    result = CliRunner().invoke(app, ["check", "6", "--against", f"{file}:layer_norm"])
    assert result.exit_code == 1
    assert "epsilon is added to the standard deviation, outside the root" in " ".join(result.output.split())
    result = CliRunner().invoke(app, ["check", "6", "--against", f"{file}:layer_norm", "--json"])
    best = json.loads(result.stdout)["diagnosis"][0]
    assert (best["mistake"], best["line"], best["explains"]) == ("norm-epsilon-outside", 3, True)
    result = CliRunner().invoke(app, ["mistakes", "--json"])
    assert {"mistake", "title", "algorithms"} <= set(json.loads(result.stdout)[0])


def test_a_function_that_gives_no_numbers_is_not_explained_by_what_gives_some():
    found = diagnosed(6, lambda e, gamma, beta, epsilon: e * np.nan)
    assert found.explained == ()
    assert found.explanations == ()  # nothing is near to no number


def test_a_function_that_draws_lots_is_not_explained():
    rng = np.random.default_rng(0)
    found = diagnosed(6, lambda e, gamma, beta, epsilon: rng.standard_normal(e.shape), seconds=5)
    assert found.explained == ()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda e: "no array", "returned str, expected an array of numbers"),
        (lambda e: e + 1j, "returned ndarray, expected an array of numbers"),
        (lambda e: {}, "returned a dictionary without values"),
        (lambda e: e.cuda(), "no attribute 'cuda'"),
    ],
)
def test_what_is_no_answer_is_said(answer, message):
    candidate = FromFunction(lambda e, gamma, beta, epsilon: answer(e))
    with pytest.raises(CannotRun, match=re.escape(message)):
        judge(find(6), candidate)


def test_what_it_does_to_its_arguments_stays_with_it():
    def greedy(X, Z, p, mask):
        answer = attention(X, Z, p, mask, scale=False)
        X[:], p.W_q[:] = 0, 0
        return answer

    assert diagnosed(4, greedy).explained[0].mistakes == ("scale-missing",)


def test_a_dictionary_without_the_result_is_refused():
    with pytest.raises(CannotRun, match="a dictionary without e_hat"):
        judge(find(6), FromFunction(lambda e, gamma, beta, epsilon: {"m": e.mean()}))


def test_named_values_lead_to_the_first_wrong_line():
    def named(e, gamma, beta, epsilon):
        m = e.mean()
        v = ((e - m) ** 2).sum() / (len(e) - 1)
        return {"m": m, "2.v": v, "e_hat": (e - m) / np.sqrt(v + epsilon) * gamma + beta}

    comparison, diagnosis = judge(find(6), FromFunction(named))
    assert (comparison.first_bad.number, comparison.first_bad.variable) == (2, "v")
    assert comparison.lines_compared == 3
    assert diagnosis.explained[0].mistakes == ("norm-variance-unbiased",)
