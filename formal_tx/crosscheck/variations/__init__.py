"""The check of the variations: each part by itself, and models that are made of them."""

from ..catalog import Variation
from . import attending, decoding, placements, positions, tokenwise
from .architectures import variation
from .models import models

PARTS: tuple[Variation, ...] = (
    *tokenwise.PARTS,
    *placements.PARTS,
    *attending.PARTS,
    *positions.PARTS,
    *decoding.PARTS,
)
MODELS: tuple[Variation, ...] = tuple(variation(*model) for model in models())
VARIATIONS: tuple[Variation, ...] = (*PARTS, *MODELS)

__all__ = ["MODELS", "PARTS", "VARIATIONS"]
