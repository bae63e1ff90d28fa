"""What models are: parameters, FLOPs and memory by line, and differences from the print."""

import json
from dataclasses import replace
from math import prod

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from formal_tx import DTransformerHyperparameters, ETransformerHyperparameters
from formal_tx.activations import relu, silu
from formal_tx.architectures import d_transformer_logits
from formal_tx.cli import app
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.initialization import init_d_transformer
from formal_tx.models import Model, families, load, names, published, save, tables
from formal_tx.models.costs import cache_numbers, costs
from formal_tx.models.describe import describe
from formal_tx.models.differences import differences
from formal_tx.normalization import rms_norm
from formal_tx.placement import POST
from formal_tx.positional import Alibi, Rotary
from formal_tx.runs.outline import by_name
from formal_tx.scores import InTurn, SoftCap
from tests.models.gguf_writing import small_llama

AS_PRINTED = DTransformerHyperparameters(l_max=8, L=2, H=3, d_e=12, d_mlp=20, N_V=11)


@pytest.mark.parametrize("name", names())
def test_the_parameters_of_all_lines_are_those_of_the_model(name):
    found = describe(name)
    shapes = by_name(tables.expected(found.architecture, found.hyperparameters))
    assert found.parameters == sum(prod(leaf.shape) for leaf in shapes.values())
    assert found.hyperparameters == published(name)
    assert all(cost.parameters >= 0 and cost.flops >= 0 for cost in found.lines)
    assert [cost.line for cost in found.lines] == sorted(cost.line for cost in found.lines)


def test_lines_by_hand():
    """Algorithm 10 as printed, d_e = 12, three heads of four features, two layers, 11 tokens, 8 positions."""
    found = {(cost.line, cost.does): cost for cost in costs("decoder", AS_PRINTED)}
    parameters = {
        (2, "embeddings"): (11 + 8) * 12,
        (5, "norm"): 2 * 2 * 12,
        (6, "attention"): 2 * 4 * (12 * 12 + 12),
        (7, "norm"): 2 * 2 * 12,
        (8, "MLP"): 2 * (2 * 12 * 20 + 20 + 12),
        (10, "final norm"): 2 * 12,
        (11, "unembedding"): 11 * 12,
    }
    assert {place: cost.parameters for place, cost in found.items()} == parameters
    flops = {(6, "attention"): 2 * 2 * 4 * 144, (8, "MLP"): 2 * 2 * 2 * 240, (11, "unembedding"): 2 * 132}
    assert {place: cost.flops for place, cost in found.items() if cost.flops} == flops
    assert {place: cost.flops_per_seen for place, cost in found.items() if cost.flops_per_seen} == {
        (6, "attention"): 2 * 2 * 3 * (4 + 4)
    }
    assert cache_numbers("decoder", AS_PRINTED) == 2 * 3 * 8
    tied = costs("decoder", replace(AS_PRINTED, tied_embeddings=True))[-1]
    assert (tied.does, tied.parameters, tied.flops) == ("unembedding", 0, 2 * 132)


def test_flops_are_those_that_the_compiler_counts():
    """The compiler counts the products of a pass, and a little for norms, activations and softmaxes."""
    hp = replace(AS_PRINTED, L=1, d_e=384, d_attn=128, d_mid=128, d_mlp=1536, N_V=211, l_max=64)
    params, x = init_d_transformer(jax.random.key(0), hp), np.zeros(64, np.int32)
    compiled = jax.jit(lambda x, params: d_transformer_logits(x, params, hp)).lower(x, params).compile()
    counted = compiled.cost_analysis()["flops"]
    lines = costs("decoder", hp)
    # All keys are multiplied, and masked afterwards.
    ours = len(x) * sum(cost.flops + len(x) * cost.flops_per_seen for cost in lines)
    assert ours <= counted <= 1.03 * ours


def test_an_encoder_decoder_reads_two_sequences():
    found = describe("transformer-base")
    hp = found.hyperparameters
    assert found.flops("z") == {
        "fixed": 6 * 2 * (4 * 512**2 + 2 * 512 * 2048) + 6 * 2 * 2 * 512**2,
        "per_x": 0,
        "per_z": 6 * 2 * 2 * 512,
    }
    assert found.flops("x") == {
        "fixed": 6 * 2 * (6 * 512**2 + 2 * 512 * 2048) + 2 * 512 * hp.N_V,
        "per_x": 6 * 2 * 2 * 512,
        "per_z": 6 * 2 * 2 * 512,
    }


def test_the_printed_algorithm_has_no_differences():
    assert differences(AS_PRINTED) == []
    assert differences(ETransformerHyperparameters(l_max=8, L=2, H=3, d_e=12, d_mlp=20, N_V=11)) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"H_kv": 1}, "all queries share one head of keys and values (multi-query attention)"),
        ({"norm": rms_norm}, "the norm is RMSNorm: divided by the root of the mean square, no mean is taken off"),
        ({"placement": POST}, "norms stand after the sum of each sub-layer, and not before it"),
        ({"activation": relu}, "the activation is ReLU"),
        ({"biases": NO_BIASES}, "no biases of anything"),
        (
            {"biases": replace(NO_BIASES, norm=True, mlp=True, u=True)},
            "no biases of queries, keys, values, attention's output; biases of the logits",
        ),
        ({"table": None}, "no table of positions is added to the embeddings"),
        (
            {"rotate": Rotary(size=2)},
            "queries and keys are turned by their positions (RoPE): the first 2 of 4 features, each half's with the "
            "other half's, base 10000",
        ),
        (
            {"score": InTurn((SoftCap(50.0), Alibi()))},
            "scores are 50 tanh(S / 50); scores fall with distance, by a slope of each head's own (ALiBi)",
        ),
        ({"scale": 1.0}, "scores are multiplied by 1, not 1/√d_attn = 0.5"),
        ({"windows": (4, None)}, "layers see, in turn, the last 4 tokens, everything"),
        ({"windows": (4,)}, "a token sees the last 4 tokens"),
        ({"embedding_scale": 12**0.5}, "embeddings are multiplied by 3.4641 = √d_e"),
        ({"logit_cap": SoftCap(30.0)}, "logits are 30 tanh(logit / 30)"),
        ({"final_norm": False}, "there is no norm after the last layer"),
        ({"tied_embeddings": True}, "the unembedding matrix is W_e (the paper's option)"),
    ],
)  # fmt: skip
def test_differences_in_words(changed, sentence):
    assert differences(replace(AS_PRINTED, **changed)) == [sentence]


def test_a_gate_has_a_name():
    found = differences(replace(AS_PRINTED, activation=silu, gated=True))
    assert "the MLP has a gate (SwiGLU): a third matrix, whose activation multiplies what the first one gives" in found


def test_every_published_model_has_words():
    for name in names():
        for sentence in describe(name).differences:
            assert "<" not in sentence
            assert "object at" not in sentence


def test_files_and_directories_are_described_without_their_weights(tmp_path, monkeypatch):
    path = small_llama(tmp_path / "x.gguf")
    model = load(path)
    save(tmp_path / "hf", model)
    for module in ("tables.read", "huggingface.open_tensors"):
        monkeypatch.setattr(f"formal_tx.models.{module}", None)
    of_file, of_directory = describe(path), describe(tmp_path / "hf")
    assert of_file.hyperparameters == of_directory.hyperparameters == model.hyperparameters
    assert of_file.lines == of_directory.lines
    assert of_file.stored == {"F32": 4 * of_file.parameters}


def test_a_model_that_was_made_here(tmp_path):
    hp = replace(AS_PRINTED, tied_embeddings=True)
    save(tmp_path, Model("decoder", hp, init_d_transformer(jax.random.key(0), hp)))
    assert describe(tmp_path).lines == tuple(costs("decoder", hp))


def test_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no published model 'gpt2-xll'; the nearest are gpt2-xl"):
        describe("gpt2-xll")
    with pytest.raises(FileNotFoundError, match="there is no such file or directory"):
        describe(tmp_path / "nothing.gguf")


def said(*arguments):
    result = CliRunner().invoke(app, ["describe", *map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_the_command(tmp_path):
    text = said("gpt2")
    for part in ("gpt2: Algorithm 10, the decoder-only", "L = 12", "d_e = 768", "124,439,808", "the GELU by tanh"):
        assert part in text
    path = small_llama(tmp_path / "x.gguf")
    found = json.loads(said(path, "--json"))
    assert found == json.loads(json.dumps(describe(path).as_json()))
    assert found["algorithm"] == 10
    assert found["bytes"]["cache_per_token_float32"] == 4 * 2 * 1 * 8
    assert sum(line["parameters"] for line in found["lines"]) == found["parameters"]


def test_every_family_is_described():
    assert {describe(name).family for name in names()} == {name for name, f in families().items() if f.published}
