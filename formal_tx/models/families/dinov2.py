"""DINOv2 (Oquab et al., 2023), with registers or without: a ViT whose sub-layers are scaled (LayerScale)."""

from typing import Any

from ...activations import silu
from ...hyperparameters import ETransformerHyperparameters
from ..family import Config, Family
from ..forms import STACKED
from ..tables import Row, row
from .vit import attention, either, encoder


def hyperparameters(config: Config) -> ETransformerHyperparameters:
    """The hyperparameters of a config.json."""
    d_mlp, changes = int(config["hidden_size"] * config.get("mlp_ratio", 4)), {}
    if config.get("use_swiglu_ffn", False):
        # Two thirds, for there are three matrices, and the next multiple of 8.
        d_mlp, changes = (int(d_mlp * 2 / 3) + 7) // 8 * 8, {"gated": True, "activation": silu}
    first = 1 + registers(config)
    return encoder(config, first, epsilon=1e-6, layer_scale=True, d_mlp=d_mlp, **changes)


def registers(config: Config) -> int:
    """How many registers a model has; four, in the family that has them, unless it says so."""
    return config.get("num_register_tokens", 4) if config.get("model_type") == "dinov2_with_registers" else 0


def rows(hp: ETransformerHyperparameters, prefix: str) -> list[Row]:
    """The table of names behind "dinov2" or "dinov2_with_registers"."""
    layer = f"{prefix}.encoder.layer.{{i}}"
    if hp.gated:
        mlp = [
            row(f"{layer}.mlp.weights_in.weight", "layers.W_gate layers.W_mlp1", STACKED),
            row(f"{layer}.mlp.weights_in.bias", "layers.b_gate layers.b_mlp1", STACKED),
            *either((f"{layer}.mlp.weights_out",), "layers.W_mlp2 layers.b_mlp2"),
        ]
    else:
        mlp = [
            *either((f"{layer}.mlp.fc1",), "layers.W_mlp1 layers.b_mlp1"),
            *either((f"{layer}.mlp.fc2",), "layers.W_mlp2 layers.b_mlp2"),
        ]
    return [
        *attention(layer, layer),
        *either((f"{layer}.norm1",), "layers.gamma_1 layers.beta_1"),
        row(f"{layer}.layer_scale1.lambda1", "layers.branch_1.scale"),
        *mlp,
        *either((f"{layer}.norm2",), "layers.gamma_2 layers.beta_2"),
        row(f"{layer}.layer_scale2.lambda1", "layers.branch_2.scale"),
        *either((f"{prefix}.layernorm",), "gamma_x beta_x"),
    ]


def _kept(prefix: str) -> tuple[str, ...]:
    return (rf"^{prefix}\.embeddings\.", r"^classifier\.(weight|bias)$")


def _published(d: int, L: int, H: int, **more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": d, "num_hidden_layers": L, "num_attention_heads": H}
    return {**sizes, "image_size": 518, "patch_size": 14, **more}


_SIZES = {
    "small": _published(384, 12, 6),
    "base": _published(768, 12, 12),
    "large": _published(1024, 24, 16),
    "giant": _published(1536, 40, 24, use_swiglu_ffn=True),
}

DINOV2 = Family(
    name="dinov2",
    model_types=("dinov2",),
    architecture="encoder",
    hyperparameters=hyperparameters,
    rows=lambda hp: rows(hp, "dinov2"),
    prefixes=("dinov2.",),
    kept=_kept("dinov2"),
    published={f"dinov2-{name}": sizes for name, sizes in _SIZES.items()},
)

DINOV2_WITH_REGISTERS = Family(
    name="dinov2_with_registers",
    model_types=("dinov2_with_registers",),
    architecture="encoder",
    hyperparameters=hyperparameters,
    rows=lambda hp: rows(hp, "dinov2_with_registers"),
    prefixes=("dinov2_with_registers.",),
    kept=_kept("dinov2_with_registers"),
    published={
        f"dinov2-with-registers-{name}": {**sizes, "model_type": "dinov2_with_registers"}
        for name, sizes in _SIZES.items()
    },
)
