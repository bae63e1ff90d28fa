"""The Vision Transformer (2010.11929): Algorithm 9's layers, with norms before them, on the patches of an image.

In the style of the numbered algorithms, and to be read like them; the numbers are ours.
"""

from .interpolate_positions import bicubic, interpolate_positions
from .patchify import patchify
from .rollout import rollout
from .vision_transformer import vision_transformer

__all__ = ["bicubic", "interpolate_positions", "patchify", "rollout", "vision_transformer"]
