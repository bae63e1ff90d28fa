"""What the comparison between frameworks knows of each line, without another framework: names, equations, mistakes."""

import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from formal_tx import (
    DTransformerHyperparameters,
    ETransformerHyperparameters,
    init_d_transformer,
    init_e_transformer,
)
from formal_tx.cli.compare import compare as command
from formal_tx.crosscheck.capture import capture, compare, first_difference, judge, lines_of, parameters_of
from formal_tx.crosscheck.capture.architectures import ARCHITECTURES
from formal_tx.crosscheck.capture.judging import explain
from formal_tx.crosscheck.capture.lines import Context

SIZES = {"l_max": 13, "L": 2, "H": 3, "d_e": 6, "d_mlp": 6, "N_V": 11, "epsilon": 1e-3}
X = np.array([3, 1, 4, 1, 5, 9, 2], np.int32)
TOLERANCE = 1e-10


@cache
def run(kind):
    """Parameters without a zero in them, hyperparameters, and what the library computes."""
    hp = (DTransformerHyperparameters if kind == "gpt2" else ETransformerHyperparameters)(**SIZES)
    init = init_d_transformer if kind == "gpt2" else init_e_transformer
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: rng.normal(size=a.shape), init(jax.random.key(0), hp))
        return params, hp, lines_of(params, hp, X)


@pytest.fixture(scope="module", params=["gpt2", "bert"])
def ran(request):
    return request.param, *run(request.param)


def context(kind, params, lines, layer):
    """What the lines of a layer are computed from."""
    architecture, L = ARCHITECTURES[kind], SIZES["L"]
    last = (L if layer is None else layer) - 1
    before = {name.removeprefix(f"layers/{layer}/"): jnp.asarray(value) for name, value in lines.items()}
    before["X"] = before["3.X"] if last < 0 else jnp.asarray(lines[f"layers/{last}/{architecture.layer[-1].name}"])
    W = params if layer is None else jax.tree.map(lambda a: a[layer], params.layers)
    return Context(jnp.asarray(X), before, jax.tree.map(jnp.asarray, W), SIZES["epsilon"], architecture.causal, layer)


def test_the_names_are_selectors_of_what_the_library_computes(ran):
    kind, _, hp, lines = ran
    names = ARCHITECTURES[kind].names(hp.L)
    assert list(lines) == names
    assert len(set(names)) == len(names)
    for name, shape in {
        "2.e": (7, 6),
        "layers/1/mh_attention/attention/1.Q": (3, 7, 2),
        "layers/0/mh_attention/attention/6.A": (3, 7, 7),
        "layers/1/mh_attention/4.V_tilde": (7, 6),
        "layers/0/6.X": (7, 6),
        "logits": (7, 11),
    }.items():
        assert lines[name].shape == shape


def test_the_library_agrees_with_itself(ran):
    _, params, hp, lines = ran
    found = judge(lines, params, hp, X, tolerance=1e-14)
    assert [finding.path for finding in found] == list(lines)
    assert {finding.verdict for finding in found} == {"agrees"}


def test_every_mistake_is_named_where_it_is_made(ran):
    kind, params, hp, lines = ran
    named = set()
    for name, layer, line in ARCHITECTURES[kind].places(hp.L):
        if layer == 0:
            continue  # its lines are those of layer 1
        with jax.enable_x64(True):
            c = context(kind, params, lines, layer)
            for mistake, title, value, fitted in [*line.alternatives(c, jnp.asarray(lines[name]))]:
                if fitted or np.allclose(value, lines[name], rtol=0, atol=1e-13):
                    assert fitted or mistake in ("residual-of-normalised", "norm-epsilon-other")
                    continue  # fitted to what is right; post-norm has no line that is normalised and not
                hints = explain(line, c, value, TOLERANCE)
                assert (mistake, title) in [(hint.mistake, hint.title) for hint in hints], (name, title)
                assert max(hint.error for hint in hints) <= TOLERANCE
                named.add(mistake)
    assert {"weight-transposed", "fused-order", "heads-interleaved", "activation-tanh", "scale-missing"} < named
    assert {"positions-shifted", "unembedding-tied", "norm-rms", "bias-forgotten", "residual-missing"} < named


@pytest.mark.parametrize("epsilon", [0.0, 1e-12, 1e-6, 0.25])
def test_any_epsilon_is_found(epsilon):
    params, hp, _ = run("gpt2")
    with jax.enable_x64(True):
        theirs = lines_of(params, DTransformerHyperparameters(**SIZES | {"epsilon": epsilon}), X)
    found = [finding for finding in judge(theirs, params, hp, X, tolerance=TOLERANCE) if finding.verdict == "differs"]
    norms = [f"layers/{i}/{name}" for i in range(2) for name in ("5.X_tilde", "7.X_tilde")]
    assert [finding.path for finding in found] == [*norms, "10.X"]
    for finding in found:
        (hint,) = finding.hints
        assert hint.mistake == "norm-epsilon-other"
        assert hint.title == f"epsilon is {epsilon:.2g}, not 0.001"


def normalised(v):
    return (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + SIZES["epsilon"])


@pytest.mark.parametrize(
    ("name", "change", "mistake"),
    [
        ("2.e", lambda v: v + np.arange(6.0), "embedding-added"),
        ("3.X", lambda v: 3 * normalised(v) - 1, "norm-of-embedding"),
        ("layers/1/5.X_tilde", lambda v: 2 * v + 1, "norm-parameters-other"),
        ("layers/0/mh_attention/attention/3.V", lambda v: v + np.ones((3, 1, 2)), "bias-other"),
        ("layers/0/mh_attention/4.V_tilde", lambda v: v - 5, "bias-other"),
        ("logits", lambda v: v + np.arange(11.0), "unembedding-bias"),
    ],
)
def test_other_numbers_are_found_by_their_fit(name, change, mistake):
    params, hp, lines = run("gpt2")
    found = judge(lines | {name: change(lines[name])}, params, hp, X, tolerance=TOLERANCE)
    first = next(finding for finding in found if finding.verdict == "differs")
    assert first.path == name
    (hint,) = first.hints
    assert hint.mistake == mistake


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def at(name):
    """Line `name` of layer 1 of a run."""
    return lambda lines: lines[f"layers/1/{name}"]


E, X_1, ANSWER = at("6.X"), lambda lines: lines["layers/0/8.X"], at("mh_attention/4.V_tilde")
Q, K = at("mh_attention/attention/1.Q"), at("mh_attention/attention/2.K")
BY_HAND = {
    "norm-missing": ("7.X_tilde", lambda lines, W: E(lines)),
    "norm-beta-forgotten": ("7.X_tilde", lambda lines, W: normalised(E(lines)) * W.gamma_2),
    "norm-gamma-forgotten": ("7.X_tilde", lambda lines, W: normalised(E(lines)) + W.beta_2),
    "norm-epsilon-outside": (
        "7.X_tilde",
        lambda lines, W: (
            (E(lines) - E(lines).mean(-1, keepdims=True)) / (E(lines).std(-1, keepdims=True) + 1e-3) * W.gamma_2
            + W.beta_2
        ),
    ),
    "norm-variance-unbiased": (
        "7.X_tilde",
        lambda lines, W: (
            (E(lines) - E(lines).mean(-1, keepdims=True))
            / np.sqrt(E(lines).var(-1, ddof=1, keepdims=True) + 1e-3)
            * W.gamma_2
            + W.beta_2
        ),
    ),
    "norm-rms": (
        "7.X_tilde",
        lambda lines, W: E(lines) / np.sqrt((E(lines) ** 2).mean(-1, keepdims=True) + 1e-3) * W.gamma_2 + W.beta_2,
    ),
    "residual-missing": ("8.X", lambda lines, W: at("8.X")(lines) - E(lines)),
    "residual-doubled": ("6.X", lambda lines, W: 2 * X_1(lines) + ANSWER(lines)),
    "residual-of-normalised": ("6.X", lambda lines, W: at("5.X_tilde")(lines) + ANSWER(lines)),
    "scale-inverted": (
        "mh_attention/attention/6.A",
        lambda lines, W: softmax(np.where(np.tri(7, dtype=bool), Q(lines) @ K(lines).mT * 2**0.5, -np.inf)),
    ),
    "mask-causal-missing": ("mh_attention/attention/6.A", lambda lines, W: softmax(Q(lines) @ K(lines).mT / 2**0.5)),
    "bias-forgotten": ("8.X", lambda lines, W: at("8.X")(lines) - W.b_mlp2),
}


@pytest.mark.parametrize("mistake", BY_HAND)
def test_a_mistake_made_by_hand_is_named(mistake):
    params, hp, lines = run("gpt2")
    name, wrong = BY_HAND[mistake]
    theirs = lines | {f"layers/1/{name}": wrong(lines, jax.tree.map(lambda a: a[1], params.layers))}
    found = judge(theirs, params, hp, X, tolerance=TOLERANCE)
    first = next(finding for finding in found if finding.verdict == "differs")
    assert (first.path, [hint.mistake for hint in first.hints]) == (f"layers/1/{name}", [mistake])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_what_no_mistake_explains_has_no_hint(ran, value):
    _, params, hp, lines = ran
    rng = np.random.default_rng(2)
    for name, right in lines.items():
        if name.startswith("layers/0"):
            continue  # as layer 1
        wrong = right + rng.normal(size=right.shape)
        wrong.flat[0] = value
        found = {finding.path: finding for finding in judge(lines | {name: wrong}, params, hp, X, tolerance=TOLERANCE)}
        assert found[name].verdict == "differs", name
        assert found[name].hints == (), name


def test_a_line_that_hands_on_a_difference_follows(ran):
    _, params, hp, lines = ran
    other = params.replace(W_p=params.W_p[::-1])
    with jax.enable_x64(True):
        theirs = lines_of(other, hp, X)
    verdicts = {finding.path: finding.verdict for finding in judge(theirs, params, hp, X, tolerance=TOLERANCE)}
    assert [path for path, verdict in verdicts.items() if verdict == "differs"] == ["2.e"]
    assert set(verdicts.values()) == {"differs", "follows"}
    assert first_difference(lines, theirs, TOLERANCE).path == "2.e"


def test_first_difference():
    ours = {"2.e": np.ones(3), "3.X": np.ones(3), "logits": np.ones(3)}
    assert first_difference(ours, {"logits": np.ones(3), "3.X": np.ones(3)}, 0.0) is None
    path, error = first_difference(ours, {"logits": np.zeros(3), "3.X": np.array([1, 1, 1.5])}, 0.1)
    assert (path, error) == ("3.X", 0.5)
    assert first_difference(ours, {"3.X": np.ones(4)}, 1.0) == ("3.X", np.inf)


# Bad input


def test_what_is_no_model_is_refused():
    expected = "model is of type int, expected a GPT-2 (GPT2LMHeadModel, GPT2Model) or a BERT"
    for function in (lambda: parameters_of(3), lambda: compare(3), lambda: capture(3, X)):
        with pytest.raises(TypeError) as refusal:
            function()
        assert expected in str(refusal.value)


def test_lines_that_others_need_are_asked_for():
    params, hp, lines = run("gpt2")
    lines = {name: value for name, value in lines.items() if name != "layers/1/6.X"}
    with pytest.raises(ValueError, match=r"judge: theirs has no 'layers/1/6\.X', expected every line up to the end"):
        judge(lines, params, hp, X, tolerance=TOLERANCE)
    with pytest.raises(ValueError, match=r"no line in common, expected names such as '2\.e'"):
        first_difference(lines, {"S": X}, 0.1)


def test_lines_that_nothing_needs_may_be_missing():
    params, hp, lines = run("gpt2")
    few = {name: value for name, value in lines.items() if not name.endswith(("6.A", "10.X")) and name != "logits"}
    assert [finding.path for finding in judge(few, params, hp, X, tolerance=TOLERANCE)] == list(few)


app = typer.Typer()
app.command()(command)


def refused(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2
    return " ".join(done.output.split())


def test_what_the_command_cannot_use(tmp_path, monkeypatch):
    file = tmp_path / "models.py"
    file.write_text(
        "def no_model():\n    return {'ids': [1]}\n\ndef number():\n    return 3\n\n"
        "def needs_torch():\n    import torch\n\ndef needs_more():\n    import no_such_module\n"
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "models.py: expected path/to/file.py:function" in refused(str(file))
    assert "there is no file nowhere.py" in refused("nowhere.py:model")
    assert "it has no function model" in refused(f"{file}:model")
    assert "returned a dictionary with 'ids', expected 'model' in it" in refused(f"{file}:no_model")
    assert "model is of type int, expected a GPT-2" in refused(f"{file}:number")
    message = "needs torch, which is not installed: pip install 'formal-tx[oracles]'"
    assert message in refused(f"{file}:needs_torch")
    assert "cannot be imported: No module named 'no_such_module'" in refused(f"{file}:needs_more")
