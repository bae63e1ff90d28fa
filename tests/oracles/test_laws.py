"""Which laws equinox, PyTorch and Hugging Face's GPT-2 and BERT break, and that they really do."""

import runpy
from pathlib import Path

import jax
import pytest

from formal_tx.crosscheck.adapters.torch import fast_self_attention
from formal_tx.crosscheck.adapters.torch import multihead_attention as torch_attention
from formal_tx.crosscheck.adapters.transformers import bert, gpt2
from formal_tx.crosscheck.laws import run
from tests.oracles.torch_models import torch, transformers

VIOLATIONS = Path(__file__).parents[2] / "examples" / "violations"
SIZES = {"vocab_size": 17, "initializer_range": 0.5, "attn_implementation": "eager", "pad_token_id": None}


def violated(model, seeds=(0, 1, 2)):
    """The laws that are violated, and those that hold, over a few seeds."""
    findings = [finding for seed in seeds for finding in run(model, seed=seed)]
    assert not [f for f in findings if f.outcome == "could not run"]
    broken = {f.law for f in findings if f.outcome == "violated"}
    return broken, {f.law for f in findings if f.outcome == "holds"} - broken


def torch_module(dtype):
    module = torch.nn.MultiheadAttention(12, 4, batch_first=True, dtype=getattr(torch, dtype)).eval()
    for bias in (module.in_proj_bias, module.out_proj.bias):  # a bias of 0 hides a forgotten bias
        torch.nn.init.normal_(bias)
    return module


@pytest.fixture(autouse=True)
def the_same_random_numbers():
    torch.manual_seed(0)


@pytest.mark.parametrize("need_weights", [False, True])
def test_torch_attention_breaks_nothing(need_weights, dtype):
    broken, kept = violated(torch_attention(torch_module(dtype), need_weights=need_weights))
    assert broken == set()
    assert {"masked-keys", "masked-keys-by-gradient", "padding", "head-permutation", "batch-is-loop"} < kept
    assert ("weights-sum-to-one" in kept) == need_weights


def test_the_fast_path_of_torch_breaks_nothing(dtype):
    broken, kept = violated(fast_self_attention(torch_module(dtype)))
    assert broken == set()
    assert {"masked-keys", "permutation-equivariance", "batch-is-loop"} < kept


def test_a_query_that_sees_nothing_is_answered_in_two_ways_by_torch(dtype):
    """Neither is an average of what it may not see: that is what the law is about."""
    module = torch_module(dtype)
    said = [
        run(torch_attention(module, need_weights=weights), ["no-visible-key"])[0].reason for weights in (False, True)
    ]
    assert said == ["the answer is always the same", "the answer is nan"]


@pytest.mark.parametrize("own_positions", [True, False])
def test_what_gpt2_breaks(own_positions, dtype):
    """Left padding, without position_ids; the documentation advises to pad on the right."""
    sizes = {"n_positions": 11, "n_embd": 12, "n_layer": 2, "n_head": 3, "bos_token_id": None, "eos_token_id": None}
    module = transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZES, **sizes)).eval().to(getattr(torch, dtype))
    broken, kept = violated(gpt2(module, own_positions=own_positions))
    assert broken == (set() if own_positions else {"left-padding"})
    assert {"sequence-causality-by-gradient", "right-padding", "decoding-cache", "attention-sums-to-one"} < kept


@pytest.mark.parametrize("own_positions", [True, False])
def test_what_bert_breaks(own_positions, dtype):
    """The same."""
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 13}
    config = transformers.BertConfig(**SIZES, **sizes, max_position_embeddings=11)
    module = transformers.BertForMaskedLM(config).eval().to(getattr(torch, dtype))
    broken, kept = violated(bert(module, own_positions=own_positions))
    assert broken == (set() if own_positions else {"left-padding"})
    assert {"order-of-tokens", "right-padding", "batch-of-sequences", "attention-sums-to-one"} < kept


@pytest.fixture
def jax_as_it_comes():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.usefixtures("jax_as_it_comes")
def test_what_equinox_breaks(dtype):
    eqx = pytest.importorskip("equinox", reason="make test-all installs equinox")
    from formal_tx.crosscheck.adapters.equinox import multihead_attention

    bias = dict.fromkeys(("use_query_bias", "use_key_bias", "use_value_bias", "use_output_bias"), True)
    module = eqx.nn.MultiheadAttention(3, 6, dtype=dtype, key=jax.random.key(0), **bias)
    broken, kept = violated(multihead_attention(module), seeds=(0,))
    assert broken == {"no-visible-key"}
    assert {"masked-keys", "masked-keys-by-gradient", "padding", "score-shift", "head-permutation", "vmap"} < kept


NO_KEY = ["nothing is visible, and the answer depends on it: True", "it is that of the mean value: True"]
LEFT = [
    "with attention_mask alone the rows differ: True",
    "with ['position_ids'] the rows differ: False",
]
SAYS = {"equinox_no_visible_key": NO_KEY, "gpt2_left_padding": LEFT, "bert_left_padding": LEFT}


@pytest.mark.usefixtures("jax_as_it_comes")
@pytest.mark.parametrize("name", SAYS)
def test_a_violation_is_real(name, capsys):
    path = VIOLATIONS / f"{name}.py"
    if "equinox" in name:
        pytest.importorskip("equinox", reason="make test-all installs equinox")
    runpy.run_path(str(path))
    assert capsys.readouterr().out.splitlines() == SAYS[name]
    code = [line for line in path.read_text("utf-8").split('"""', 2)[2].splitlines() if line.strip()]
    assert len(code) <= 10
