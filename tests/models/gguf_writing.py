"""GGUF files for tests, written by hand, and models of Hugging Face as such files."""

import struct
from pathlib import Path

import numpy as np

ALIGNMENT = 32
VOCABULARY = ["<s>", "</s>", "Ġ", "a", "b", "c", "1", "2", "Ċ", "ab", "Ġa", "Ġab", "c1"]
MERGES = ["a b", "Ġ a", "Ġ ab", "c 1"]
TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": VOCABULARY,
    "tokenizer.ggml.token_type": np.array([3, 3] + 11 * [1], np.int32),
    "tokenizer.ggml.merges": MERGES,
    "tokenizer.ggml.bos_token_id": np.uint32(0),
    "tokenizer.ggml.eos_token_id": np.uint32(1),
    "tokenizer.chat_template": "{% for m in messages %}{{ m['role'][0] }}{{ m['content'] }}{% endfor %}",
}

_NUMBERS = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "u8": 10, "i8": 11, "f8": 12}


def string(text):
    """A string of the format."""
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(given):
    """A value with its type before it: str, bool, a NumPy number, or an array or a list of these."""
    if isinstance(given, str):
        return struct.pack("<I", 8) + string(given)
    if isinstance(given, bool):
        return struct.pack("<IB", 7, given)
    if isinstance(given, list):
        return struct.pack("<IIQ", 9, 8, len(given)) + b"".join(map(string, given))
    if isinstance(given, np.ndarray) and given.dtype == bool:
        return struct.pack("<IIQ", 9, 7, given.size) + given.tobytes()
    number = struct.pack("<I", _NUMBERS[given.dtype.str[1:]])
    if isinstance(given, np.ndarray):
        return struct.pack("<I", 9) + number + struct.pack("<Q", given.size) + given.tobytes()
    return number + given.tobytes()


def gguf(entries, tensors=(), version=3):
    """The bytes of a file. `tensors` are (name, shape, number of the type, bytes), the shape outermost first."""
    alignment = int(entries.get("general.alignment", ALIGNMENT))
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    head += b"".join(string(name) + value(given) for name, given in entries.items())
    data = b""
    for name, shape, kind, raw in tensors:
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    return head + bytes(-len(head) % alignment) + data


def plain(tensors):
    """Tensors in F32, as `gguf` takes them."""
    return [(name, W.shape, 0, np.ascontiguousarray(W, np.float32).tobytes()) for name, W in tensors.items()]


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "ln_1": "attn_norm",
    "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
GEMMA2_NAMES = NAMES | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def converted(architecture, config, state):
    """Entries and tensors of a model of Hugging Face, as llama.cpp's converter has them."""
    names = GEMMA2_NAMES if architecture == "gemma2" else NAMES
    tied = config.get("tie_word_embeddings", architecture in ("gpt2", "gemma", "gemma2"))
    tensors = {}
    for name, W in state.items():
        if (name == "lm_head.weight" and tied) or name.endswith((".attn.bias", "inv_freq")):
            continue
        stem, _, kind = name.rpartition(".")
        parts = stem.split(".")
        layer = next((int(p) for p in parts if p.isdigit()), None)
        inner = stem if layer is None else ".".join(parts[parts.index(str(layer)) + 1 :])
        new = f"{names[inner]}.{kind}" if layer is None else f"blk.{layer}.{names[inner]}.{kind}"
        if architecture == "llama" and inner in ("self_attn.q_proj", "self_attn.k_proj"):
            heads = config["num_attention_heads" if "q_proj" in inner else "num_key_value_heads"]
            W = W.reshape(heads, 2, -1, *W.shape[1:]).swapaxes(1, 2).reshape(W.shape)
        if architecture.startswith("gemma") and new.endswith("norm.weight"):
            W = W + np.float32(1)
        if architecture == "gpt2" and kind == "weight" and inner.startswith(("attn.", "mlp.")):
            W = W.T
        tensors[new] = W
    return entries_of(architecture, config), tensors


def entries_of(architecture, config):
    """The entries of a config.json."""
    two = architecture == "gpt2"
    given = {
        "context_length": config["n_positions" if two else "max_position_embeddings"],
        "embedding_length": config["n_embd" if two else "hidden_size"],
        "block_count": config["n_layer" if two else "num_hidden_layers"],
        "attention.head_count": config["n_head" if two else "num_attention_heads"],
        "feed_forward_length": config["n_inner" if two else "intermediate_size"],
        "vocab_size": config["vocab_size"],
    }
    numbers = {"attention.layer_norm_epsilon": config["layer_norm_epsilon"]} if two else {}
    if not two:
        given["attention.head_count_kv"] = config["num_key_value_heads"]
        given["attention.key_length"] = given["attention.value_length"] = config["head_dim"]
        numbers["attention.layer_norm_rms_epsilon"] = config["rms_norm_eps"]
        theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
        numbers["rope.freq_base"] = theta
    if architecture == "gemma2":
        given["attention.sliding_window"] = config["sliding_window"]
        numbers["attn_logit_softcapping"] = config["attn_logit_softcapping"]
        numbers["final_logit_softcapping"] = config["final_logit_softcapping"]
    return {
        "general.architecture": architecture,
        **{f"{architecture}.{name}": np.uint32(n) for name, n in given.items()},
        **{f"{architecture}.{name}": np.float32(x) for name, x in numbers.items()},
    }


LLAMA = {
    "model_type": "llama",
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "intermediate_size": 20,
    "vocab_size": len(VOCABULARY),
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000.0,
    "tie_word_embeddings": True,
}


def llama_state(seed=0):
    """Random tensors of a Llama of this configuration under the names of Hugging Face."""
    rng, d, V, m = np.random.default_rng(seed), 12, LLAMA["vocab_size"], 20
    shapes = {"model.embed_tokens.weight": (V, d), "model.norm.weight": (d,)}
    for i in range(2):
        shapes |= {
            f"model.layers.{i}.{name}.weight": shape
            for name, shape in {
                "input_layernorm": (d,),
                "self_attn.q_proj": (12, d),
                "self_attn.k_proj": (4, d),
                "self_attn.v_proj": (4, d),
                "self_attn.o_proj": (d, 12),
                "post_attention_layernorm": (d,),
                "mlp.gate_proj": (m, d),
                "mlp.up_proj": (m, d),
                "mlp.down_proj": (d, m),
            }.items()
        }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def small_llama(path, entries=None, tensors=None) -> Path:
    """Writes a small Llama with a tokenizer; entries and tensors of the file may be others, or None for none."""
    described, state = converted("llama", LLAMA, llama_state())
    described = described | TOKENIZER | (entries or {})
    state = state | (tensors or {})
    described = {name: given for name, given in described.items() if given is not None}
    path = Path(path)
    path.write_bytes(gguf(described, plain({name: W for name, W in state.items() if W is not None})))
    return path
