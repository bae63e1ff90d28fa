"""ViT (Dosovitskiy et al., 2020) and DeiT (Touvron et al., 2020): Algorithm 9's layers, normed before, on patches.

The family is the encoder alone. Patches, positions and first tokens are a model's `extras`, of which
`formal_tx.models.vision` makes a Vision Transformer.
"""

from typing import Any

from ...activations import gelu
from ...hyperparameters import Biases, ETransformerHyperparameters
from ...placement import PRE
from ..config import activation
from ..family import Config, Family
from ..forms import AS_IT_IS, Form, Heads
from ..tables import Row, row


def grid(config: Config) -> tuple[int, int]:
    """Rows and columns of patches of the images that a model was trained on.

    Raises:
      ValueError: if patches are not square, or do not divide the image.
    """
    P = patch_side(config)
    image: Any = config.get("image_size", 224)
    H, W = image if isinstance(image, list | tuple) else (image, image)
    if H < P or W < P:
        raise ValueError(f"image_size is {image!r}, smaller than a patch, {P}")
    return (H // P, W // P)


def patch_side(config: Config) -> int:
    """The side of a patch. Raises `ValueError` for patches that are not square."""
    P: Any = config.get("patch_size", 16)
    sides = set(P) if isinstance(P, list | tuple) else {P}
    if len(sides) != 1 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"patch_size is {P!r}, expected the side of a square")
    return sides.pop()


def encoder(config: Config, first_tokens: int, epsilon: float, **changes: Any) -> ETransformerHyperparameters:
    """The hyperparameters of the layers; what is not said by a config.json of every family is given."""
    rows, columns = grid(config)
    biased = config.get("qkv_bias", True)
    return ETransformerHyperparameters(
        **{
            "l_max": first_tokens + rows * columns,
            "L": config["num_hidden_layers"],
            "H": config["num_attention_heads"],
            "d_e": config["hidden_size"],
            "d_mlp": config.get("intermediate_size"),
            "N_V": 0,
            "epsilon": config.get("layer_norm_eps", epsilon),
            "activation": activation(config.get("hidden_act"), gelu),
            "biases": Biases(q=biased, k=biased, v=biased),
            "placement": PRE,
            "table": None,
            "final_norm": True,
            "head": False,
        }
        | changes
    )


def either(names: tuple[str, ...], fields: str, form: Form = AS_IT_IS) -> list[Row]:
    """The rows of a matrix and its bias, or of a norm, under the first name, or another that files have for it."""
    kinds = zip(("weight", "bias"), fields.split(), strict=True)
    return [row(f"{names[0]}.{k}", field, form, tuple(f"{other}.{k}" for other in names[1:])) for k, field in kinds]


def attention(layer: str, other: str) -> list[Row]:
    """The rows of attention. Files have `attention.attention.query`, transformers 5 in memory `attention.q_proj`."""
    projections = [
        either(
            (f"{layer}.attention.attention.{name}", f"{other}.attention.{of}_proj"),
            f"layers.attention.heads.W_{of} layers.attention.heads.b_{of}",
            Heads(of),
        )
        for of, name in (("q", "query"), ("k", "key"), ("v", "value"))
    ]
    output = (f"{layer}.attention.output.dense", f"{other}.attention.o_proj")
    return [*(r for rows in projections for r in rows), *either(output, "layers.attention.W_o layers.attention.b_o")]


def rows(prefix: str) -> list[Row]:
    """The table of names behind "vit" or "deit"."""
    layer, other = f"{prefix}.encoder.layer.{{i}}", f"{prefix}.layers.{{i}}"
    return [
        *attention(layer, other),
        *either((f"{layer}.layernorm_before", f"{other}.layernorm_before"), "layers.gamma_1 layers.beta_1"),
        *either((f"{layer}.intermediate.dense", f"{other}.mlp.fc1"), "layers.W_mlp1 layers.b_mlp1"),
        *either((f"{layer}.output.dense", f"{other}.mlp.fc2"), "layers.W_mlp2 layers.b_mlp2"),
        *either((f"{layer}.layernorm_after", f"{other}.layernorm_after"), "layers.gamma_2 layers.beta_2"),
        *either((f"{prefix}.layernorm",), "gamma_x beta_x"),
    ]


def kept(prefix: str) -> tuple[str, ...]:
    """The tensors that are no part of the encoder."""
    return (rf"^{prefix}\.(embeddings|pooler)\.", r"^((cls_|distillation_)?classifier)\.(weight|bias)$")


def _published(d: int, L: int, H: int, P: int, **more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": d, "num_hidden_layers": L, "num_attention_heads": H, "intermediate_size": 4 * d}
    return {**sizes, "image_size": 224, "patch_size": P, "layer_norm_eps": 1e-12, **more}


VIT = Family(
    name="vit",
    model_types=("vit",),
    architecture="encoder",
    hyperparameters=lambda config: encoder(config, first_tokens=1, epsilon=1e-12),
    rows=lambda hp: rows("vit"),
    prefixes=("vit.",),
    kept=kept("vit"),
    published={
        "vit-tiny-patch16-224": _published(192, 12, 3, 16),
        "vit-small-patch16-224": _published(384, 12, 6, 16),
        "vit-base-patch16-224": _published(768, 12, 12, 16),
        "vit-base-patch32-224": _published(768, 12, 12, 32),
        "vit-large-patch16-224": _published(1024, 24, 16, 16),
        "vit-huge-patch14-224": _published(1280, 32, 16, 14),
    },
)

DEIT = Family(
    name="deit",
    model_types=("deit",),
    architecture="encoder",
    hyperparameters=lambda config: encoder(config, first_tokens=2, epsilon=1e-12),
    rows=lambda hp: rows("deit"),
    prefixes=("deit.",),
    kept=kept("deit"),
    published={
        "deit-tiny-distilled-patch16-224": _published(192, 12, 3, 16),
        "deit-small-distilled-patch16-224": _published(384, 12, 6, 16),
        "deit-base-distilled-patch16-224": _published(768, 12, 12, 16),
    },
)
"""A DeiT that was distilled, with a second first token. Those without are ViTs, and say so."""
