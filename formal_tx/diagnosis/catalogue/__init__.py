"""The catalogue of mistakes."""

from importlib import import_module
from pkgutil import iter_modules

from ...crosscheck.catalog import Algorithm, Variation
from ..mistakes import Mistake
from . import embedding, heads, layers, masks, normalization, sampling, scores, shapes, systems, training

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
"""Every mistake in the paper's algorithms that the diagnosis knows, by topic."""

OF_SYSTEMS: tuple[Mistake, ...] = tuple(
    mistake
    for module in iter_modules(systems.__path__)
    for mistake in import_module(f"{systems.__name__}.{module.name}").MISTAKES
)
"""Those in the systems of the reading list, each in functions of its own."""


def mistakes_of(algorithm: Algorithm) -> tuple[Mistake, ...]:
    """The mistakes that can be made in an algorithm: what it varies or is made of can go wrong in the same ways."""
    return (*MISTAKES, *OF_SYSTEMS) if isinstance(algorithm, Variation) else MISTAKES
