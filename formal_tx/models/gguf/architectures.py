"""The architectures of GGUF files: what their entries say as a config.json of Hugging Face, and their tables of names.

With a config.json a model from a GGUF file is one of the family that it belongs to, and can be saved as such.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...positional import Llama3Scaling, Rotary
from ..forms import AS_IT_IS, Form, Fused, Heads
from ..tables import Row, row
from .entries import Entries
from .forms import AboutOne, Halved

Tensors = Mapping[str, Any]
Config = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """One value of `general.architecture`.

    Attributes:
      config: the config.json that entries and tensors say. rows: the table of names.
      ignored: regular expressions of tensors that hold no parameters.
    """

    config: Callable[[Entries, Tensors], Config]
    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()


def _gpt2(entries: Entries, tensors: Tensors) -> Config:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": entries.integer("context_length"),
        "n_layer": entries.integer("block_count"),
        "n_head": entries.integer("attention.head_count"),
        "n_embd": entries.integer("embedding_length"),
        "n_inner": entries.integer("feed_forward_length"),
        "layer_norm_epsilon": entries.number("attention.layer_norm_epsilon"),
        "activation_function": "gelu_new",
        **_vocabulary(entries, tensors),
    }


def _llama(entries: Entries, tensors: Tensors) -> Config:
    biases = {"attention_bias": "blk.0.attn_q.bias" in tensors, "mlp_bias": "blk.0.ffn_up.bias" in tensors}
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **_common(entries, tensors), **biases}


def _qwen2(entries: Entries, tensors: Tensors) -> Config:
    return {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **_common(entries, tensors)}


def _qwen3(entries: Entries, tensors: Tensors) -> Config:
    return {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], **_common(entries, tensors)}


def _gemma(entries: Entries, tensors: Tensors) -> Config:
    activation = {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    return {"model_type": "gemma", "architectures": ["GemmaForCausalLM"], **_common(entries, tensors), **activation}


def _gemma2(entries: Entries, tensors: Tensors) -> Config:
    common = _common(entries, tensors)
    # The format has no entry for it: it is d_attn, but for the largest model, as llama.cpp knows too.
    largest = common["num_hidden_layers"] == 46
    return {
        **_gemma(entries, tensors),
        "model_type": "gemma2",
        "architectures": ["Gemma2ForCausalLM"],
        "query_pre_attn_scalar": common["hidden_size"] // common["num_attention_heads"]
        if largest
        else common["head_dim"],
        "attn_logit_softcapping": entries.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": entries.number("final_logit_softcapping", 30.0),
        "sliding_window": entries.integer("attention.sliding_window", 4096),
    }


def _common(entries: Entries, tensors: Tensors) -> Config:
    """What the architectures with rotary positions have in common."""
    if "expert_count" in entries and entries.integer("expert_count", least=0):
        raise ValueError("the model is a mixture of experts, which is none of the architectures here")
    d_e, H = entries.integer("embedding_length"), entries.integer("attention.head_count")
    d_attn = entries.integer("attention.key_length", max(d_e // H, 1))
    for name in ("attention.value_length", "rope.dimension_count"):
        if entries.integer(name, d_attn) != d_attn:
            raise ValueError(f"the entry {name} is {entries.integer(name)}, and only {d_attn}, d_attn, is supported")
    return {
        "hidden_size": d_e,
        "intermediate_size": entries.integer("feed_forward_length"),
        "num_hidden_layers": entries.integer("block_count"),
        "num_attention_heads": H,
        "num_key_value_heads": entries.integer("attention.head_count_kv", H),
        "head_dim": d_attn,
        "max_position_embeddings": entries.integer("context_length"),
        "rms_norm_eps": entries.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": entries.number("rope.freq_base", 10000.0),
        "hidden_act": "silu",
        **_scaling(entries, tensors),
        **_vocabulary(entries, tensors),
    }


def _scaling(entries: Entries, tensors: Tensors) -> Config:
    """How rotary frequencies change for long contexts."""
    if _DIVISORS in tensors:
        return {"rope_scaling": _llama3(entries, np.asarray(tensors[_DIVISORS], np.float64))}
    kind = entries.text("rope.scaling.type", "none")
    if kind == "none":
        return {}
    scaling: Config = {"rope_type": kind, "factor": entries.number("rope.scaling.factor")}
    if kind == "yarn":
        scaling["original_max_position_embeddings"] = entries.integer("rope.scaling.original_context_length")
    elif kind != "linear":
        raise ValueError(f"the entry rope.scaling.type is {kind!r}, expected none, linear or yarn")
    return {"rope_scaling": scaling}


_DIVISORS = "rope_freqs.weight"


def _llama3(entries: Entries, divisors: np.ndarray) -> Config:
    """The scaling of Llama 3.1, of which the format has only what it divides each frequency by."""
    scaling = Llama3Scaling(float(divisors.max()), context=8192)
    r = 2 * divisors.size
    frequencies = Rotary(entries.number("rope.freq_base", 10000.0)).frequencies(r)
    if not np.allclose(divisors, frequencies / scaling(frequencies), rtol=1e-4):
        raise ValueError(f"tensor {_DIVISORS} divides the rotary frequencies otherwise than Llama 3.1 does")
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low,
        "high_freq_factor": scaling.high,
        "original_max_position_embeddings": scaling.context,
    }


def _vocabulary(entries: Entries, tensors: Tensors) -> Config:
    """The size of the vocabulary, whether embeddings are tied, and the special tokens."""
    config: Config = {"vocab_size": _vocabulary_size(entries), "tie_word_embeddings": "output.weight" not in tensors}
    for ours, theirs in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")):
        name = f"tokenizer.ggml.{theirs}_token_id"
        if name in entries:
            config[ours] = _token(entries, name, config["vocab_size"])
    return config


def _token(entries: Entries, name: str, N_V: int) -> int:
    token = entries.integer(name, least=0)
    if token >= N_V:
        raise ValueError(f"the entry {name} is {token}, outside [0, N_V) = [0, {N_V})")
    return token


def _vocabulary_size(entries: Entries) -> int:
    if "vocab_size" in entries:
        return entries.integer("vocab_size")
    return len(entries.texts("tokenizer.ggml.tokens"))


_HEADS = "layers.attention.heads"


def _rotary_rows(q: Form = AS_IT_IS, k: Form = AS_IT_IS, norm: Form = AS_IT_IS) -> tuple[Row, ...]:
    """The table of a model with RMSNorm, rotary positions and a gate; q and k are forms of all heads' rows together."""
    return (
        row("token_embd.weight", "W_e"),
        row("blk.{i}.attn_norm.weight", "layers.gamma_1", norm),
        row("blk.{i}.attn_q.weight", f"{_HEADS}.W_q", Heads("q", q)),
        row("blk.{i}.attn_q.bias", f"{_HEADS}.b_q", Heads("q", q)),
        row("blk.{i}.attn_k.weight", f"{_HEADS}.W_k", Heads("k", k)),
        row("blk.{i}.attn_k.bias", f"{_HEADS}.b_k", Heads("k", k)),
        row("blk.{i}.attn_v.weight", f"{_HEADS}.W_v", Heads("v")),
        row("blk.{i}.attn_v.bias", f"{_HEADS}.b_v", Heads("v")),
        row("blk.{i}.attn_q_norm.weight", f"{_HEADS}.gamma_q"),
        row("blk.{i}.attn_k_norm.weight", f"{_HEADS}.gamma_k"),
        row("blk.{i}.attn_output.weight", "layers.attention.W_o"),
        row("blk.{i}.attn_output.bias", "layers.attention.b_o"),
        row("blk.{i}.post_attention_norm.weight", "layers.branch_1.gamma", norm),
        row("blk.{i}.ffn_norm.weight", "layers.gamma_2", norm),
        row("blk.{i}.ffn_gate.weight", "layers.W_gate"),
        row("blk.{i}.ffn_gate.bias", "layers.b_gate"),
        row("blk.{i}.ffn_up.weight", "layers.W_mlp1"),
        row("blk.{i}.ffn_up.bias", "layers.b_mlp1"),
        row("blk.{i}.ffn_down.weight", "layers.W_mlp2"),
        row("blk.{i}.ffn_down.bias", "layers.b_mlp2"),
        row("blk.{i}.post_ffw_norm.weight", "layers.branch_2.gamma", norm),
        row("output_norm.weight", "gamma", norm),
        row("output.weight", "W_u"),
    )


_GPT2_ROWS = (
    row("token_embd.weight", "W_e"),
    row("position_embd.weight", "W_p"),
    row("blk.{i}.attn_norm.weight", "layers.gamma_1"),
    row("blk.{i}.attn_norm.bias", "layers.beta_1"),
    row("blk.{i}.attn_qkv.weight", f"{_HEADS}.W_q {_HEADS}.W_k {_HEADS}.W_v", Fused()),
    row("blk.{i}.attn_qkv.bias", f"{_HEADS}.b_q {_HEADS}.b_k {_HEADS}.b_v", Fused()),
    row("blk.{i}.attn_output.weight", "layers.attention.W_o"),
    row("blk.{i}.attn_output.bias", "layers.attention.b_o"),
    row("blk.{i}.ffn_norm.weight", "layers.gamma_2"),
    row("blk.{i}.ffn_norm.bias", "layers.beta_2"),
    row("blk.{i}.ffn_up.weight", "layers.W_mlp1"),
    row("blk.{i}.ffn_up.bias", "layers.b_mlp1"),
    row("blk.{i}.ffn_down.weight", "layers.W_mlp2"),
    row("blk.{i}.ffn_down.bias", "layers.b_mlp2"),
    row("output_norm.weight", "gamma"),
    row("output_norm.bias", "beta"),
    row("output.weight", "W_u"),
)

ARCHITECTURES = {
    "gemma": Architecture(_gemma, _rotary_rows(norm=AboutOne())),
    "gemma2": Architecture(_gemma2, _rotary_rows(norm=AboutOne())),
    "gpt2": Architecture(_gpt2, _GPT2_ROWS),
    # Also Mistral and SmolLM2. Only this one has its queries and keys in the order of neighbours.
    "llama": Architecture(_llama, _rotary_rows(Halved("q"), Halved("k")), (r"^rope_freqs\.weight$",)),
    "qwen2": Architecture(_qwen2, _rotary_rows()),
    "qwen3": Architecture(_qwen3, _rotary_rows()),
}


def architecture_of(entries: Entries) -> Architecture:
    """The architecture that a file says. Raises `ValueError` if it is not known, suggesting the nearest."""
    name = entries.architecture
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1, cutoff=0.5)
        hint = f"the nearest is {near[0]}" if near else f"they are {', '.join(ARCHITECTURES)}"
        raise ValueError(f"the architecture {name!r} is not known; {hint}")
    return ARCHITECTURES[name]
