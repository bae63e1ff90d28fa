"""Published Vision Transformers: what their configurations and tensors mean beside Algorithm 9's layers."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ..heads import HeadParameters, classification_logits
from ..vision import (
    VisionTransformerHyperparameters,
    VisionTransformerParameters,
    attention_maps,
    rollout,
    vision_transformer,
)
from .families.dinov2 import registers
from .families.vit import grid, patch_side
from .family import Config
from .model import Model
from .registry import families

FAMILIES = ("vit", "deit", "dinov2", "dinov2_with_registers")


@dataclass(frozen=True, repr=False)
class VisionModel:
    """A Vision Transformer that computes.

    Attributes:
      hyperparameters: `VisionTransformerHyperparameters`. params: `VisionTransformerParameters`.
      heads: the matrices that sort into classes; two in a DeiT that was distilled, none in a model without classes.
      reads_patches: whether they read the mean of the patches too, behind the first token (DINOv2).
      labels: the names of the classes; empty where the configuration has none.
    """

    hyperparameters: VisionTransformerHyperparameters
    params: VisionTransformerParameters
    heads: tuple[HeadParameters, ...] = ()
    reads_patches: bool = False
    labels: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """How many tokens stand before the patches."""
        return self.hyperparameters.N_cls + self.hyperparameters.N_r

    def features(self, I: Any) -> jax.Array:
        """The encoding X (..., ℓ, d_e) of images (..., H, W, C). Errors as `vision_transformer`."""
        return vision_transformer(I, self.params, self.hyperparameters)

    def logits(self, I: Any) -> jax.Array:
        """The logits (..., K) of images (..., H, W, C).

        Raises:
          ValueError: the model has no head; otherwise as `vision_transformer`.
        """
        if not self.heads:
            raise ValueError("the model has no head: it gives features, and knows no classes")
        X = self.features(I)
        read = [X[..., i, :] for i in range(len(self.heads))]
        if self.reads_patches:
            read = [jnp.concatenate([read[0], X[..., self.first :, :].mean(axis=-2)], axis=-1)]
        of_heads = [classification_logits(x, head) for x, head in zip(read, self.heads, strict=True)]
        return sum(of_heads[1:], of_heads[0]) / len(of_heads)

    def attention(self, I: Any) -> jax.Array:
        """What each token attends to: (L, ..., H, ℓ, ℓ), as `attention_maps`."""
        return attention_maps(I, self.params, self.hyperparameters)

    def rollout(self, I: Any, **arguments: Any) -> jax.Array:
        """The attention rollout of one image (H, W, C): (H/P, W/P), the largest being 1. Arguments as `rollout`."""
        P = self.hyperparameters.P
        m = rollout(self.attention(I), self.first, **arguments)
        return m.reshape(I.shape[0] // P, I.shape[1] // P)


def vision_hyperparameters(config: Config, family: str) -> VisionTransformerHyperparameters:
    """The hyperparameters of a config.json of a family in `FAMILIES`."""
    return VisionTransformerHyperparameters(
        encoder=families()[family].hyperparameters(config),
        P=patch_side(config),
        C=config.get("num_channels", 3),
        grid=grid(config),
        N_cls=2 if family == "deit" else 1,
        N_r=registers(config),
        antialias=family == "dinov2_with_registers",
    )


def published_vision(name: str) -> VisionTransformerHyperparameters:
    """The hyperparameters of a published model, such as "vit-base-patch16-224", without its weights.

    Raises:
      ValueError: the name is not one of these.
    """
    known = {name: (family, config) for family in FAMILIES for name, config in families()[family].published.items()}
    if name not in known:
        raise ValueError(f"there is no published Vision Transformer {name!r}; they are {', '.join(known)}")
    family, config = known[name]
    return vision_hyperparameters(config, family)


def vision_model(model: Model) -> VisionModel:
    """The Vision Transformer of which `load` has read the encoder.

    Raises:
      ValueError: the model is none, or lacks a tensor, which is named.
    """
    if model.family not in FAMILIES:
        raise ValueError(f"the model is of the family {model.family!r}, expected one of {', '.join(FAMILIES)}")
    hp = vision_hyperparameters(model.config, model.family)
    prefix, dtype = f"{model.family}.embeddings.", jax.tree.leaves(model.params)[0].dtype

    def tensor(name: str) -> jax.Array:
        if name not in model.extras:
            raise ValueError(f"tensor {name} is missing")
        return jnp.asarray(model.extras[name], dtype)

    firsts = ("cls_token", "distillation_token") if hp.N_cls == 2 else ("cls_token",)
    params = VisionTransformerParameters(
        W_e=tensor(f"{prefix}patch_embeddings.projection.weight").reshape(hp.encoder.d_e, -1),
        b_e=tensor(f"{prefix}patch_embeddings.projection.bias"),
        X_cls=jnp.concatenate([tensor(prefix + name).reshape(1, -1) for name in firsts]),
        W_p=tensor(f"{prefix}position_embeddings").reshape(-1, hp.encoder.d_e),
        X_r=tensor(f"{prefix}register_tokens").reshape(hp.N_r, -1) if hp.N_r else None,
        encoder=model.params,
    )
    names = [n for n in ("classifier", "cls_classifier", "distillation_classifier") if f"{n}.weight" in model.extras]
    heads = tuple(HeadParameters(tensor(f"{name}.weight"), tensor(f"{name}.bias")) for name in names)
    return VisionModel(hp, params, heads, model.family.startswith("dinov2"), _labels(model.config))


def _labels(config: Config) -> tuple[str, ...]:
    by_number: Any = config.get("id2label") or {}
    return tuple(str(by_number[number]) for number in sorted(by_number, key=int))
