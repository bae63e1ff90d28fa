"""Hugging Face's GPT-2 and BERT against the library line by line: they agree, and what is changed in them is named."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from formal_tx.cli.compare import compare as command
from formal_tx.crosscheck.capture import capture, compare, first_difference, lines_of, parameters_of
from tests.oracles.torch_models import torch, transformers

X = np.array([3, 1, 4, 1, 5, 9, 2, 6])
ATTENTION = "mh_attention/attention"


def randomised(model):
    """In float64, without a bias of 0 or a γ of 1, which would hide that it is forgotten."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return model.double().eval()


def gpt2(kind="GPT2LMHeadModel", activation="gelu", attention="eager", tied=False, **options):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=17,
        n_embd=12,
        n_layer=2,
        n_head=3,
        n_positions=16,
        n_inner=20,
        activation_function=activation,
        attn_implementation=attention,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
        **options,
    )
    return randomised(getattr(transformers, kind)(config))


def bert(kind="BertForMaskedLM", activation="gelu", attention="eager", **options):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=17,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
        hidden_act=activation,
        attn_implementation=attention,
        tie_word_embeddings=False,
        **options,
    )
    return randomised(getattr(transformers, kind)(config))


def as_printed(model):
    """BERT without what the paper does not have: the layer norm of the embedding, and the bias of the logits."""
    model.base_model.embeddings.LayerNorm = torch.nn.Identity()
    if hasattr(model, "cls"):
        torch.nn.init.zeros_(model.cls.predictions.decoder.bias)
    return model


def differing(comparison):
    return {f.path: [hint.mistake for hint in f.hints] for f in comparison.lines if f.verdict == "differs"}


def each(paths, mistake):
    return {path: [mistake] for path in paths}


# What agrees


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("tied", [False, True])
def test_gpt2_agrees_line_by_line(attention, tied):
    found = compare(gpt2(attention=attention, tied=tied), X)
    assert max(max(f.total, f.own) for f in found.lines) <= 1e-10
    assert {f.verdict for f in found.lines} == {"agrees"}
    assert len(found.lines) + len(found.missing) == 2 + 2 * 10 + 2
    weights = [f"layers/{i}/{ATTENTION}/6.A" for i in range(2)]
    assert list(found.missing) == ([] if attention == "eager" else weights)
    assert (found.algorithm, found.first, found.agrees) == (10, None, True)


def test_bert_agrees_line_by_line():
    found = compare(as_printed(bert()), X)
    assert max(max(f.total, f.own) for f in found.lines) <= 1e-10
    assert {f.verdict for f in found.lines} == {"agrees"}
    assert len(found.lines) == 2 + 2 * 10 + 3
    assert found.missing == ()


@pytest.mark.parametrize(("model", "missing"), [(gpt2("GPT2Model"), 1), (as_printed(bert("BertModel")), 3)])
def test_a_model_without_a_head_agrees_up_to_there(model, missing):
    found = compare(model, X)
    assert found.agrees
    assert len(found.missing) == missing
    assert found.missing[-1] == "logits"


def test_what_is_captured_is_what_the_model_returns():
    model = gpt2()
    with torch.no_grad():
        out = model(torch.tensor(X[None]), output_attentions=True, output_hidden_states=True)
    hooks = [len(module._forward_hooks) for module in model.modules()]  # transformers has some of its own
    found = capture(model, X)
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert np.array_equal(found["logits"], out.logits[0])
    for i in range(2):
        assert np.array_equal(found[f"layers/{i}/{ATTENTION}/6.A"], out.attentions[i][0])
    assert np.array_equal(found["layers/0/8.X"], out.hidden_states[1][0])
    batch = capture(model, torch.tensor(np.stack([X, X[::-1]])))
    for name, value in found.items():
        assert batch[name].shape == (2, *value.shape)
        assert np.allclose(batch[name][0], value, rtol=0, atol=1e-14)


def test_two_captured_models_are_compared_with_each_other():
    ours, theirs = gpt2(), gpt2(activation="relu")
    assert first_difference(capture(ours, X), capture(ours, X), 0.0) is None
    assert first_difference(capture(ours, X), capture(theirs, X), 1e-10).path == "layers/0/8.X"


def test_float32_agrees():
    found = compare(gpt2().float(), X)
    assert (found.agrees, found.dtype) == (True, "float32")


def test_the_parameters_make_the_same_logits(x64):
    del x64
    model = gpt2(tied=True)
    params, hp = parameters_of(model)
    assert (hp.L, hp.H, hp.d_e, hp.d_mlp, hp.N_V, hp.l_max, hp.tied_embeddings) == (2, 3, 12, 20, 17, 16, True)
    ours = lines_of(params, hp, X)["logits"]
    assert np.allclose(ours, capture(model, X)["logits"], rtol=0, atol=1e-12)


# What the paper does not have


@pytest.mark.parametrize(
    ("activation", "mistake"),
    [
        ("gelu_new", "activation-tanh"),
        ("gelu_pytorch_tanh", "activation-tanh"),
        ("quick_gelu", "activation-sigmoid"),
        ("relu", "activation-relu"),
        ("silu", "activation-silu"),
    ],
)
def test_another_activation_is_named(activation, mistake):
    found = compare(gpt2(activation=activation), X)
    assert found.first.path == "layers/0/8.X"
    assert differing(found) == {"layers/0/8.X": [mistake], "layers/1/8.X": [mistake]}
    assert max(hint.error for f in found.lines for hint in f.hints) <= 1e-14
    found = compare(as_printed(bert(activation=activation)), X)
    assert differing(found) == each(("layers/0/7.X", "layers/1/7.X", "10.X"), mistake)


def test_what_bert_has_and_the_paper_has_not():
    found = compare(bert(), X)
    assert differing(found) == {"3.X": ["norm-of-embedding"], "logits": ["unembedding-bias"]}
    assert {f.verdict for f in found.lines} == {"agrees", "differs", "follows"}
    found = compare(bert(), X, token_type_ids=torch.ones(1, len(X), dtype=int))
    assert differing(found) == {
        "2.e": ["embedding-added"],
        "3.X": ["norm-of-embedding"],
        "logits": ["unembedding-bias"],
    }


def test_the_scales_that_gpt2_can_be_given():
    found = compare(gpt2(scale_attn_weights=False), X)
    assert differing(found) == {f"layers/{i}/{ATTENTION}/6.A": ["scale-missing"] for i in range(2)}
    found = compare(gpt2(scale_attn_by_inverse_layer_idx=True, attention="sdpa"), X)
    equal = ["scale-without-root", "scale-by-layer"]  # in layer 2, where √d_attn = 2
    assert differing(found) == {f"layers/1/{ATTENTION}/6.V_tilde": equal}


def test_a_bert_that_decodes():
    found = compare(as_printed(bert(is_decoder=True)), X)
    assert differing(found) == {f"layers/{i}/{ATTENTION}/6.A": ["mask-causal-added"] for i in range(2)}


# What somebody has done to the weights


def blocks(model, *order, layer=0):
    """The blocks of the fused matrix, and of its bias, in another order."""
    fused = model.transformer.h[layer].attn.c_attn
    for parameter in (fused.weight, fused.bias):
        thirds = parameter.detach().chunk(3, dim=-1)
        parameter.data = torch.cat([thirds[n] for n in order], dim=-1)


def rearranged(model, *axes):
    """The features of the fused matrix, of shape (3, H, d), with these axes in another order."""
    fused = model.transformer.h[0].attn.c_attn
    for parameter in (fused.weight, fused.bias):
        parts = parameter.detach().unflatten(-1, (3, 3, 4))
        lead = parts.ndim - 3
        parts = parts.permute(*range(lead), *(lead + axis for axis in axes))
        parameter.data = parts.flatten(-3).contiguous()


def set_to(parameter, value):
    parameter.data = torch.as_tensor(value, dtype=parameter.dtype).expand(parameter.shape).clone()


def transpose_query(model):
    weight = model.transformer.h[1].attn.c_attn.weight.data
    weight[:, :12] = weight[:, :12].T.clone()


def transpose(parameter):
    parameter.data = parameter.data.T.contiguous()


def interleave_output(model):
    weight = model.transformer.h[0].attn.c_proj.weight
    weight.data = weight.data.unflatten(0, (3, 4)).transpose(0, 1).flatten(0, 1)


QKV = [f"layers/0/{ATTENTION}/{name}" for name in ("1.Q", "2.K", "3.V")]
CHANGES = {
    "W_q transposed": (transpose_query, {f"layers/1/{ATTENTION}/1.Q": ["weight-transposed"]}),
    "W_o transposed": (
        lambda m: transpose(m.transformer.h[1].attn.c_proj.weight),
        {"layers/1/mh_attention/4.V_tilde": ["weight-transposed"]},
    ),
    "q and k swapped": (lambda m: blocks(m, 1, 0, 2), each(QKV[:2], "fused-order")),
    "k and v swapped": (lambda m: blocks(m, 0, 2, 1), each(QKV[1:], "fused-order")),
    "v, q, k": (lambda m: blocks(m, 2, 0, 1), each(QKV, "fused-order")),
    "heads interleaved": (lambda m: rearranged(m, 0, 2, 1), each(QKV, "heads-interleaved")),
    "head by head": (lambda m: rearranged(m, 1, 0, 2), each(QKV, "fused-order")),
    "feature by feature": (lambda m: rearranged(m, 2, 1, 0), each(QKV, "fused-order")),
    "W_o interleaved": (interleave_output, {"layers/0/mh_attention/4.V_tilde": ["heads-interleaved"]}),
    "epsilon": (
        lambda m: setattr(m.transformer.h[1].ln_1, "eps", 1e-12),
        {"layers/1/5.X_tilde": ["norm-epsilon-other"]},
    ),
    "final epsilon": (lambda m: setattr(m.transformer.ln_f, "eps", 1e-6), {"10.X": ["norm-epsilon-other"]}),
    "gamma forgotten": (
        lambda m: set_to(m.transformer.h[0].ln_2.weight, 1.0),
        {"layers/0/7.X_tilde": ["norm-gamma-forgotten"]},
    ),
    "beta forgotten": (lambda m: set_to(m.transformer.ln_f.bias, 0.0), {"10.X": ["norm-beta-forgotten"]}),
    "beta other": (lambda m: set_to(m.transformer.ln_f.bias, 3.0), {"10.X": ["norm-parameters-other"]}),
    "no bias": (lambda m: set_to(m.transformer.h[0].mlp.c_fc.bias, 0.0), {"layers/0/8.X": ["bias-forgotten"]}),
    "another bias": (
        lambda m: set_to(m.transformer.h[0].attn.c_proj.bias, 1.0),
        {"layers/0/mh_attention/4.V_tilde": ["bias-other"]},
    ),
    "no positions": (lambda m: set_to(m.transformer.wpe.weight, 0.0), {"2.e": ["position-missing"]}),
    "scaled embedding": (lambda m: m.transformer.wte.weight.data.mul_(12**0.5), {"2.e": ["embedding-scaled"]}),
    "tied": (lambda m: set_to(m.lm_head.weight, m.transformer.wte.weight.detach()), {"logits": ["unembedding-tied"]}),
    "scale": (
        lambda m: setattr(m.transformer.h[1].attn, "scaling", 12**-0.5),
        {f"layers/1/{ATTENTION}/6.A": ["scale-by-model-width"]},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named(change):
    changing, expected = CHANGES[change]
    model, reference = gpt2(), parameters_of(gpt2())
    changing(model)
    found = compare(model, X, reference)
    assert differing(found) == expected
    assert found.first.path == next(iter(expected))
    assert max(hint.error for f in found.lines for hint in f.hints) <= 1e-10


def titles(found):
    return [hint.title for hint in found.first.hints]


def test_the_words_of_the_hints():
    model = gpt2()
    rearranged(model, 1, 0, 2)
    assert titles(compare(model, X, gpt2())) == [
        "the rows of the fused matrix are ordered by head, q|k|v, feature, and read as q|k|v, head, feature"
    ]
    model = gpt2(layer_norm_epsilon=1e-12)
    assert titles(compare(model, X, gpt2())) == ["epsilon is 1e-12, not 1e-05"]
    assert titles(compare(gpt2(), X, position_ids=torch.arange(8)[None] + 2)) == ["the first position is 2, not 0"]
    model = gpt2()
    blocks(model, 1, 0, 2)
    assert titles(compare(model, X, gpt2())) == [
        "W_k and b_k are where W_q and b_q should be: q, k and v are in another order"
    ]


def test_what_was_changed_in_bert_is_named():
    model = as_printed(bert())
    transpose(model.bert.encoder.layer[0].attention.self.key.weight)
    model.bert.encoder.layer[1].attention.output.LayerNorm.eps = 1e-5
    transpose(model.cls.predictions.transform.dense.weight)
    assert differing(compare(model, X, as_printed(bert()))) == {
        f"layers/0/{ATTENTION}/2.K": ["weight-transposed"],
        "layers/1/6.X": ["norm-epsilon-other"],
        "10.X": ["weight-transposed"],
    }


def test_what_no_mistake_explains_has_no_hint():
    model = gpt2()
    torch.nn.init.normal_(model.transformer.h[1].mlp.c_fc.weight)
    assert differing(compare(model, X, gpt2())) == {"layers/1/8.X": []}
    torch.nn.init.constant_(model.transformer.h[0].mlp.c_proj.bias, float("nan"))
    found = compare(model, X, gpt2())
    assert (found.first.path, found.first.own, found.first.hints) == ("layers/0/8.X", np.inf, ())


# Bad input


def test_models_that_are_refused():
    with pytest.raises(
        ValueError, match=r"capture: model is in training mode, where dropout is random: call model\.eval"
    ):
        compare(gpt2().train(), X)
    with pytest.raises(ValueError, match="compare: model is in bfloat16, expected float32 or float64"):
        compare(gpt2().bfloat16(), X)
    config = transformers.OPTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, ffn_dim=8, vocab_size=9)
    with pytest.raises(TypeError, match="compare: model is of type OPTModel, expected a GPT-2"):
        compare(transformers.OPTModel(config), X)
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="parameters_of: model has no layers, expected at least 1"):
        parameters_of(transformers.GPT2Model(transformers.GPT2Config(n_layer=0, n_embd=12, vocab_size=9)))


def test_references_that_are_refused():
    with pytest.raises(TypeError, match="reference has ETransformerParameters, expected DTransformerParameters"):
        compare(gpt2(), X, bert())
    with pytest.raises(ValueError, match="compare: L is 1 in the reference and 2 in the model"):
        compare(gpt2(), X, transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=1, n_embd=12, n_head=3)))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.zeros((2, 3), int), r"ids are int64 of shape (2, 3), expected integers of shape (ℓ,) with 1 ≤ ℓ ≤ 16"),
        (np.zeros(3), r"ids are float64 of shape (3,), expected integers"),
        (np.zeros(17, int), r"ids are int64 of shape (17,), expected integers"),
        ([], r"of shape (0,), expected integers"),
        ([3, 17], "ids go from 3 to 17, expected 0 to 16"),
        ([3, -1], "ids go from -1 to 3, expected 0 to 16"),
    ],
)
def test_ids_that_are_refused(ids, message):
    with pytest.raises(ValueError, match="compare: ids ") as refusal:
        compare(gpt2(), ids)
    assert message in str(refusal.value)


def test_ids_that_are_not_captured():
    with pytest.raises(ValueError, match=r"capture: ids are float64 of shape \(2,\), expected integers of shape"):
        capture(gpt2(), np.zeros(2))


# The command

app = typer.Typer()
app.command()(command)

FILE = """
from tests.oracles.test_capture import gpt2, transpose

def exact():
    return gpt2().float().train()

def usual():
    return gpt2(activation="gelu_new")

def ported():
    model = gpt2()
    transpose(model.transformer.h[1].attn.c_proj.weight)
    return {"model": model, "reference": gpt2().float(), "ids": [1, 2, 3, 4]}

def too_long():
    return {"model": gpt2(), "ids": [1] * 17}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    from formal_tx.cli import console

    monkeypatch.setattr(console.output, "width", 200)
    (tmp_path / "their_models.py").write_text(FILE)
    return lambda name, *more: CliRunner().invoke(app, [f"{tmp_path / 'their_models.py'}:{name}", *more])


def test_the_command_says_that_nothing_differs(run):
    done = run("exact")
    assert done.exit_code == 0
    assert "GPT2LMHeadModel against Algorithm 10, float64, tolerance 1.0e-10" in done.output
    assert f"layers/1/{ATTENTION}/6.A" in done.output
    assert "no line differs" in done.output


def test_the_command_names_the_first_that_differs(run):
    done = run("usual", "--dtype", "float64")
    assert done.exit_code == 1
    assert "the first line that differs: layers/0/8.X, error" in done.output
    assert "  GELU is the approximation by tanh instead of the exact form (activation-tanh): with this, " in done.output
    assert "  likewise layers/1/8.X" in done.output


def test_the_command_gives_an_object(run):
    done = run("ported", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["agrees"], found["first"]) == (False, "layers/1/mh_attention/4.V_tilde")
    (line,) = [line for line in found["lines"] if line["verdict"] == "differs"]
    assert [hint["mistake"] for hint in line["hints"]] == ["weight-transposed"]
    assert line["error"] == pytest.approx(line["own_error"])


def test_the_command_refuses(run):
    done = run("too_long")
    assert done.exit_code == 2
    assert "expected integers of shape (ℓ,) with 1 ≤ ℓ ≤ 16" in " ".join(done.output.split())
