"""The catalogue of mistakes."""

from . import embedding, heads, layers, masks, normalization, sampling, scores, shapes, training

MISTAKES = (
    *scores.MISTAKES,
    *masks.MISTAKES,
    *heads.MISTAKES,
    *normalization.MISTAKES,
    *layers.MISTAKES,
    *embedding.MISTAKES,
    *training.MISTAKES,
    *sampling.MISTAKES,
    *shapes.MISTAKES,
)
"""Every mistake that the diagnosis knows, by topic."""
