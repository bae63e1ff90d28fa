"""Gemma 1 and 2 (2403.08295, 2408.00118): scales about one, a gated GELU, embeddings times √d_e.

Gemma 2 also has norms before and after each sub-layer, soft caps, and windows in every second layer.
"""

from dataclasses import replace

from ...activations import gelu_tanh
from ...hyperparameters import DTransformerHyperparameters
from ...normalization import rms_norm_about_one
from ...placement import SANDWICH
from ...scores import SoftCap
from ..config import activation
from ..family import Config, Family
from ..tables import Row
from . import llama
from .llama_names import COPIES, IGNORED, table

DEFAULTS = {"tie_word_embeddings": True, "head_dim": 256, "bos_token_id": 2, "eos_token_id": 1}


def gemma_hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json of Gemma 1. What it may call "gelu" is the one by tanh."""
    hp = llama.hyperparameters({**DEFAULTS, **config, "hidden_act": None})
    named = config.get("hidden_activation") or config.get("hidden_act")
    return replace(
        hp,
        norm=rms_norm_about_one,
        activation=gelu_tanh if named == "gelu" else activation(named, gelu_tanh),
        embedding_scale=hp.d_e**0.5,
    )


def gemma2_hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json of Gemma 2."""
    L = config["num_hidden_layers"]
    alternating = [("sliding_attention", "full_attention")[i % 2] for i in range(L)]
    config = {"sliding_window": 4096, **config, "layer_types": config.get("layer_types") or alternating}
    scores, logits = config.get("attn_logit_softcapping", 50.0), config.get("final_logit_softcapping", 30.0)
    return replace(
        gemma_hyperparameters(config),
        placement=SANDWICH,
        scale=config.get("query_pre_attn_scalar", 256) ** -0.5,
        score=None if scores is None else SoftCap(scores),
        logit_cap=None if logits is None else SoftCap(logits),
    )


def gemma_rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return table()


def gemma2_rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    norms = {
        "input_layernorm": "layers.gamma_1",
        "post_attention_layernorm": "layers.branch_1.gamma",
        "pre_feedforward_layernorm": "layers.gamma_2",
        "post_feedforward_layernorm": "layers.branch_2.gamma",
    }
    return table(norms)


def _shape(L: int, d_e: int, H: int, H_kv: int, d_mlp: int, **others: int) -> Config:
    return llama.shape(L, d_e, H, H_kv, d_mlp, 256000, 8192, **others)


GEMMA = Family(
    name="gemma",
    model_types=("gemma",),
    architecture="decoder",
    hyperparameters=gemma_hyperparameters,
    rows=gemma_rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    published={
        "gemma-2b": _shape(18, 2048, 8, 1, 16384),
        "gemma-7b": _shape(28, 3072, 16, 16, 24576),
    },
)

GEMMA2 = Family(
    name="gemma2",
    model_types=("gemma2",),
    architecture="decoder",
    hyperparameters=gemma2_hyperparameters,
    rows=gemma2_rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    published={
        "gemma-2-2b": _shape(26, 2304, 8, 4, 9216),
        "gemma-2-9b": _shape(42, 3584, 16, 8, 14336),
        "gemma-2-27b": _shape(46, 4608, 32, 16, 36864, head_dim=128, query_pre_attn_scalar=144),
    },
)
