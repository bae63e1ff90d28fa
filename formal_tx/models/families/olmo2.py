"""OLMo 2 (2501.00656): Llama with norms on what sub-layers return, and on queries and keys over all heads."""

from dataclasses import replace
from typing import Any

from ...hyperparameters import DTransformerHyperparameters
from ...placement import BRANCH
from ...scores import QKNorm
from ..family import Config, Family
from ..forms import Heads
from ..tables import Row, row
from . import llama
from .llama_names import COPIES, IGNORED, table


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    hp = llama.hyperparameters({"rms_norm_eps": 1e-5, **config})
    return replace(hp, placement=BRANCH, normalise_qk=QKNorm(hp.epsilon, all_heads=True))


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer, heads = "model.layers.{i}.self_attn", "layers.attention.heads"
    norms = {
        "post_attention_layernorm": "layers.branch_1.gamma",
        "post_feedforward_layernorm": "layers.branch_2.gamma",
    }
    return [*table(norms), *(row(f"{layer}.{of}_norm.weight", f"{heads}.gamma_{of}", Heads(of)) for of in "qk")]


_TWO: dict[str, Any] = {"rms_norm_eps": 1e-6, "rope_theta": 500000.0, "eos_token_id": 100257}

OLMO2 = Family(
    name="olmo2",
    model_types=("olmo2",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("model.",),
    ignored=IGNORED,
    copies=COPIES,
    published={
        "olmo-2-1b": llama.shape(16, 2048, 16, 16, 8192, 100352, 4096, **_TWO),
        "olmo-2-7b": llama.shape(32, 4096, 32, 32, 11008, 100352, 4096, **_TWO),
        "olmo-2-13b": llama.shape(40, 5120, 40, 40, 13824, 100352, 4096, **_TWO),
        "olmo-2-32b": llama.shape(64, 5120, 40, 8, 27648, 100352, 4096, **_TWO),
    },
)
