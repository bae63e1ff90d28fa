"""The Vision Transformer: Algorithm 9's layers on the patches of an image; its attention, and the rollout of it."""

from .parameters import VisionTransformerHyperparameters, VisionTransformerParameters, init_vision_transformer
from .patches import patchify, unpatchify
from .positions import interpolate_positions, resampling_matrix
from .rollout import rollout
from .vision_transformer import attention_maps, vision_transformer

__all__ = [
    "VisionTransformerHyperparameters",
    "VisionTransformerParameters",
    "attention_maps",
    "init_vision_transformer",
    "interpolate_positions",
    "patchify",
    "resampling_matrix",
    "rollout",
    "unpatchify",
    "vision_transformer",
]
