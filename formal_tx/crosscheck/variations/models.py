"""Models by name, each a set of variations of Algorithm 8, 9 or 10, of small widths."""

from typing import Any

from ...activations import gelu, gelu_tanh, relu, silu
from ...hyperparameters import (
    NO_BIASES,
    Biases,
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from ...normalization import layer_norm, rms_norm, rms_norm_about_one
from ...placement import BRANCH, PARALLEL, PARALLEL_ONE_NORM, POST, PRE, SANDWICH, SUB_LN
from ...positional import (
    Alibi,
    Llama3Scaling,
    NTKScaling,
    RelativeBuckets,
    Rotary,
    YaRNScaling,
    interleaved_sinusoids,
    sinusoid_halves,
)
from ...scores import QKNorm, SoftCap

WIDTHS: dict[str, Any] = {"H": 4, "d_mid": 5, "d_attn": 6, "d_e": 10, "d_mlp": 13, "N_V": 17, "l_max": 23}
"""Heads have to fall into groups, and the features of a query and of an embedding into pairs; no two are equal."""

_MLP_ONLY = Biases(q=False, k=False, v=False, o=False, u=True)
_LLAMA: dict[str, Any] = {
    "norm": rms_norm,
    "activation": silu,
    "gated": True,
    "biases": NO_BIASES,
    "table": None,
    "rotate": Rotary(),
    "H_kv": 2,
}
_GEMMA = _LLAMA | {
    "norm": rms_norm_about_one,
    "activation": gelu_tanh,
    "embedding_scale": 10**0.5,
    "tied_embeddings": True,
    "H_kv": 1,
}

_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt_1": (
        "norms after, GELU by tanh",
        {"placement": POST, "activation": gelu_tanh, "final_norm": False, "tied_embeddings": True},
    ),
    "gpt_2": ("GELU by tanh, tied embeddings", {"activation": gelu_tanh, "tied_embeddings": True}),
    "gpt_j": (
        "one norm for sub-layers in parallel, rotary neighbours",
        {
            "placement": PARALLEL_ONE_NORM,
            "activation": gelu_tanh,
            "table": None,
            "rotate": Rotary(size=4, neighbours=True),
            "biases": _MLP_ONLY,
        },
    ),
    "gpt_neox": (
        "sub-layers in parallel, part of each head turns",
        {"placement": PARALLEL, "table": None, "rotate": Rotary(size=2)},
    ),
    "palm": (
        "parallel, multi-query, SwiGLU",
        {
            "placement": PARALLEL_ONE_NORM,
            "activation": silu,
            "gated": True,
            "biases": NO_BIASES,
            "table": None,
            "rotate": Rotary(neighbours=True),
            "H_kv": 1,
            "tied_embeddings": True,
            "embedding_scale": 10**0.5,
            "logit_scale": 10**-0.5,
        },
    ),
    "bloom": (
        "ALiBi, normalised embeddings",
        {
            "table": None,
            "score": Alibi(),
            "embedding_norm": True,
            "activation": gelu_tanh,
            "tied_embeddings": True,
        },
    ),
    "mpt": ("ALiBi, no biases", {"table": None, "score": Alibi(), "biases": NO_BIASES, "tied_embeddings": True}),
    "opt": ("ReLU", {"activation": relu, "tied_embeddings": True}),
    "llama": ("RMSNorm, SwiGLU, rotary halves, grouped queries", _LLAMA),
    "llama_3": (
        "as Llama, with frequencies for a longer context",
        _LLAMA | {"rotate": Rotary(base=500.0, scaling=Llama3Scaling(8.0, 64))},
    ),
    "llama_ntk": ("as Llama, with an NTK-aware base", _LLAMA | {"rotate": Rotary(scaling=NTKScaling(4.0))}),
    "llama_yarn": (
        "as Llama, with YaRN",
        _LLAMA | {"rotate": Rotary(base=100.0, scaling=YaRNScaling(4.0, 64, 100.0, 1.0, 4.0))},
    ),
    "mistral": ("as Llama, with a sliding window", _LLAMA | {"windows": (3,)}),
    "qwen_2": (
        "as Llama, with biases of queries, keys and values",
        _LLAMA | {"biases": Biases(o=False, mlp=False, norm=False)},
    ),
    "qwen_3": ("as Llama, with QK-norm of each head", _LLAMA | {"normalise_qk": QKNorm()}),
    "olmo_2": (
        "norms on the branches, QK-norm of all heads",
        _LLAMA | {"placement": BRANCH, "normalise_qk": QKNorm(all_heads=True), "H_kv": 4},
    ),
    "gemma": ("RMSNorm about 1, GEGLU, scaled embeddings", _GEMMA),
    "gemma_2": (
        "sandwich, soft caps, a window in every second layer",
        _GEMMA
        | {
            "placement": SANDWICH,
            "score": SoftCap(2.0),
            "logit_cap": SoftCap(3.0),
            "scale": 0.25,
            "windows": (3, None),
            "H_kv": 2,
        },
    ),
    "cohere": (
        "parallel without offsets, scaled logits",
        _LLAMA | {"norm": layer_norm, "placement": PARALLEL_ONE_NORM, "logit_scale": 0.0625},
    ),
    "magneto": ("sub-LN", {"placement": SUB_LN}),
}

_ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": (
        "types of tokens, normalised embeddings, biased logits",
        {"N_S": 2, "embedding_norm": True, "biases": Biases(u=True), "tied_embeddings": True, "d_f": 10},
    ),
    "pre_norm_encoder": (
        "norms before, LayerScale",
        {"placement": PRE, "final_norm": True, "layer_scale": True},
    ),
}

_T5: dict[str, Any] = {
    "norm": rms_norm,
    "placement": PRE,
    "biases": NO_BIASES,
    "table": None,
    "score": RelativeBuckets(8, 16),
    "decoder_score": RelativeBuckets(8, 16, bidirectional=False),
    "scale": 1.0,
    "final_norm": True,
}
_ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("relative buckets, RMSNorm, scores as they are", _T5 | {"tied_embeddings": True, "logit_scale": 10**-0.5}),
    "t5_v1_1": ("as T5, GEGLU", _T5 | {"activation": gelu_tanh, "gated": True}),
    "bart": (
        "normalised embeddings, GELU",
        {"activation": gelu, "embedding_norm": True, "biases": Biases(u=True), "tied_embeddings": True},
    ),
    "marian": (
        "sinusoids in halves, scaled embeddings",
        {"activation": silu, "table": sinusoid_halves, "embedding_scale": 10**0.5, "tied_embeddings": True},
    ),
    "transformer_2017": (
        "interleaved sinusoids, scaled embeddings",
        {"table": interleaved_sinusoids, "embedding_scale": 10**0.5, "tied_embeddings": True},
    ),
    "whisper": (
        "norms before, keys without biases, a table for each side",
        {
            "activation": gelu,
            "placement": PRE,
            "final_norm": True,
            "biases": Biases(k=False),
            "tied_embeddings": True,
            "l_max_z": 29,
        },
    ),
    "annalog": (
        "scaled embeddings, tables of its own for each side",
        {"embedding_scale": 10**0.5, "biases": Biases(u=True), "l_max_z": 29, "N_V_z": 19},
    ),
}


def models() -> list[tuple[str, str, Any]]:
    """The models: a name, what is special, and hyperparameters."""
    d = [(name, what, DTransformerHyperparameters(**WIDTHS | {"L": 3} | v)) for name, (what, v) in _DECODERS.items()]
    e = [
        (name, what, ETransformerHyperparameters(**WIDTHS | {"L": 3, "d_f": 11} | v))
        for name, (what, v) in _ENCODERS.items()
    ]
    ed = [
        (name, what, EDTransformerHyperparameters(**WIDTHS | {"L_enc": 3, "L_dec": 2} | v))
        for name, (what, v) in _ENCODER_DECODERS.items()
    ]
    return [*d, *e, *ed]
