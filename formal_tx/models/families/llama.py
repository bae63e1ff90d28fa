"""Llama 1, 2 and 3 (2302.13971, 2307.09288, 2407.21783), Mistral (2310.06825), SmolLM2: Algorithm 10 with RMSNorm, a
gated SiLU, rotary positions, key heads that queries share, and no biases."""

from typing import Any

from ...activations import silu
from ...hyperparameters import Biases, DTransformerHyperparameters
from ...normalization import rms_norm
from ..config import activation, name_of, require, special_tokens, windows
from ..family import Config, Family
from ..rope import rotary
from ..tables import Row
from .llama_names import COPIES, IGNORED, table


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(config, use_bidirectional_attention=None)
    H, L, d_e = config["num_attention_heads"], config["num_hidden_layers"], config["hidden_size"]
    d_attn = config.get("head_dim") or d_e // H
    of_attention, of_mlp = config.get("attention_bias", False), config.get("mlp_bias", False)
    return DTransformerHyperparameters(
        l_max=config["max_position_embeddings"],
        L=L,
        H=H,
        H_kv=config.get("num_key_value_heads") or H,
        d_e=d_e,
        d_mlp=config["intermediate_size"],
        N_V=config["vocab_size"],
        d_attn=d_attn,
        d_mid=d_attn,
        epsilon=config.get("rms_norm_eps", 1e-6),
        norm=rms_norm,
        activation=activation(config.get("hidden_act"), silu),
        gated=True,
        biases=Biases(of_attention, of_attention, of_attention, of_attention, mlp=of_mlp, norm=False),
        table=None,
        rotate=rotary(config, d_attn),
        windows=windows(config, L),
        tied_embeddings=config.get("tie_word_embeddings", False),
        special_tokens=special_tokens(config),
    )


def config(hp: DTransformerHyperparameters) -> dict[str, Any]:
    """The config.json of such hyperparameters, with rotations that are not scaled."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": hp.l_max,
        "num_hidden_layers": hp.L,
        "num_attention_heads": hp.H,
        "num_key_value_heads": hp.key_value_heads,
        "hidden_size": hp.d_e,
        "intermediate_size": hp.d_mlp,
        "vocab_size": hp.N_V,
        "head_dim": hp.d_attn,
        "rms_norm_eps": hp.epsilon,
        "hidden_act": name_of(hp.activation),
        "attention_bias": hp.biases.q,
        "mlp_bias": hp.biases.mlp,
        "rope_theta": getattr(hp.rotate, "base", 10000.0),
        "tie_word_embeddings": hp.tied_embeddings,
        "bos_token_id": hp.bos_token,
        "eos_token_id": hp.eos_token,
    }


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return table()


def shape(L: int, d_e: int, H: int, H_kv: int, d_mlp: int, N_V: int, l_max: int, **others: Any) -> Config:
    """The config.json of a published model, in our letters; `others` are entries under their own names."""
    return {
        "num_hidden_layers": L,
        "hidden_size": d_e,
        "num_attention_heads": H,
        "num_key_value_heads": H_kv,
        "intermediate_size": d_mlp,
        "vocab_size": N_V,
        "max_position_embeddings": l_max,
        **others,
    }


def _llama3(L: int, d_e: int, H: int, d_mlp: int, **others: Any) -> Config:
    eps = {"rms_norm_eps": 1e-5, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": 128001}
    return shape(L, d_e, H, 8, d_mlp, 128256, others.pop("l_max", 8192), **eps, **others)


def _scaled(factor: float) -> dict[str, Any]:
    of_llama3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return {
        "l_max": 131072,
        "rope_scaling": {**of_llama3, "factor": factor, "original_max_position_embeddings": 8192},
    }


_TWO = {"rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2}
_SMOL = {
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

LLAMA = Family(
    name="llama",
    model_types=("llama", "mistral"),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    config=config,
    published={
        "llama-7b": shape(32, 4096, 32, 32, 11008, 32000, 2048),
        "llama-13b": shape(40, 5120, 40, 40, 13824, 32000, 2048),
        "llama-33b": shape(60, 6656, 52, 52, 17920, 32000, 2048),
        "llama-65b": shape(80, 8192, 64, 64, 22016, 32000, 2048, rms_norm_eps=1e-5),
        "llama-2-7b": shape(32, 4096, 32, 32, 11008, 32000, 4096, **_TWO),
        "llama-2-13b": shape(40, 5120, 40, 40, 13824, 32000, 4096, **_TWO),
        "llama-2-70b": shape(80, 8192, 64, 8, 28672, 32000, 4096, **_TWO),
        "llama-3-8b": _llama3(32, 4096, 32, 14336),
        "llama-3-70b": _llama3(80, 8192, 64, 28672),
        "llama-3.1-8b": _llama3(32, 4096, 32, 14336, **_scaled(8.0)),
        "llama-3.1-70b": _llama3(80, 8192, 64, 28672, **_scaled(8.0)),
        "llama-3.1-405b": _llama3(126, 16384, 128, 53248, **_scaled(8.0)),
        "llama-3.2-1b": _llama3(16, 2048, 32, 8192, tie_word_embeddings=True, **_scaled(32.0)),
        "llama-3.2-3b": _llama3(28, 3072, 24, 8192, tie_word_embeddings=True, head_dim=128, **_scaled(32.0)),
        "mistral-7b-v0.1": shape(32, 4096, 32, 8, 14336, 32000, 32768, sliding_window=4096, **_TWO),
        "mistral-7b-v0.3": shape(32, 4096, 32, 8, 14336, 32768, 32768, rope_theta=1e6, **_TWO),
        "smollm2-135m": shape(30, 576, 9, 3, 1536, 49152, 8192, **_SMOL),
        "smollm2-360m": shape(32, 960, 15, 5, 2560, 49152, 8192, **_SMOL),
        "smollm2-1.7b": shape(24, 2048, 32, 32, 8192, 49152, 8192, **{**_SMOL, "rope_theta": 130000.0}),
    },
)
