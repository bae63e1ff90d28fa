"""Qwen2 (2407.10671), with biases of queries, keys and values, and Qwen3 (2505.09388), which normalises each head."""

from dataclasses import replace

from ...hyperparameters import Biases, DTransformerHyperparameters
from ...scores import QKNorm
from ..family import Config, Family
from ..tables import Row, row
from . import llama
from .llama_names import COPIES, IGNORED, table


def qwen2_hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json of Qwen2."""
    hp = llama.hyperparameters(_with_windows(config))
    return replace(hp, biases=Biases(o=False, mlp=False, norm=False))


def qwen3_hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json of Qwen3, dense."""
    hp = llama.hyperparameters({"head_dim": 128, **_with_windows(config)})
    return replace(hp, normalise_qk=QKNorm(hp.epsilon))


def _with_windows(config: Config) -> Config:
    """A configuration that has windows only where it says that they are used: from layer `max_window_layers` on."""
    if not config.get("use_sliding_window", False):
        return {**config, "sliding_window": None, "layer_types": None}
    L, first = config["num_hidden_layers"], config.get("max_window_layers", 28)
    types = ["full_attention" if i < first else "sliding_attention" for i in range(L)]
    return {**config, "layer_types": config.get("layer_types") or types}


def qwen2_rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return table()


def qwen3_rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer, heads = "model.layers.{i}.self_attn", "layers.attention.heads"
    of_heads = [row(f"{layer}.{of}_norm.weight", f"{heads}.gamma_{of}") for of in "qk"]
    return [*table(), *of_heads]


_TWO = {"rms_norm_eps": 1e-6, "rope_theta": 1e6, "bos_token_id": 151643, "eos_token_id": 151643}
_THREE = {**_TWO, "head_dim": 128}
_TIED = {"tie_word_embeddings": True}

QWEN2 = Family(
    name="qwen2",
    model_types=("qwen2",),
    architecture="decoder",
    hyperparameters=qwen2_hyperparameters,
    rows=qwen2_rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    published={
        "qwen2-0.5b": llama.shape(24, 896, 14, 2, 4864, 151936, 131072, **_TWO, **_TIED),
        "qwen2-1.5b": llama.shape(28, 1536, 12, 2, 8960, 151936, 131072, **_TWO, **_TIED),
        "qwen2-7b": llama.shape(28, 3584, 28, 4, 18944, 152064, 131072, **_TWO),
        "qwen2-72b": llama.shape(80, 8192, 64, 8, 29568, 152064, 131072, **{**_TWO, "rms_norm_eps": 1e-5}),
    },
)

QWEN3 = Family(
    name="qwen3",
    model_types=("qwen3",),
    architecture="decoder",
    hyperparameters=qwen3_hyperparameters,
    rows=qwen3_rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    published={
        "qwen3-0.6b": llama.shape(28, 1024, 16, 8, 3072, 151936, 40960, **_THREE, **_TIED),
        "qwen3-1.7b": llama.shape(28, 2048, 16, 8, 6144, 151936, 40960, **_THREE, **_TIED),
        "qwen3-4b": llama.shape(36, 2560, 32, 8, 9728, 151936, 40960, **_THREE, **_TIED),
        "qwen3-8b": llama.shape(36, 4096, 32, 8, 12288, 151936, 40960, **_THREE),
        "qwen3-14b": llama.shape(40, 5120, 40, 8, 17408, 151936, 40960, **_THREE),
        "qwen3-32b": llama.shape(64, 5120, 64, 8, 25600, 151936, 40960, **_THREE),
    },
)
