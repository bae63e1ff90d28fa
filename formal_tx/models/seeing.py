"""What a Vision Transformer sees in a picture: the likeliest classes, and where it looked."""

from os import PathLike
from typing import NamedTuple

import jax
import numpy as np

from .images import preprocessing_of, read_image
from .model import Model
from .vision import vision_model

_SHADES = " ░▒▓█"


class Seen(NamedTuple):
    """What was seen: `classes`, pairs of a name and its probability, the likeliest first (none without a head), and the
    attention `rollout` (rows, columns) of the patches, the largest being 1."""

    classes: list[tuple[str, float]]
    rollout: np.ndarray


def see(directory: str | PathLike[str], model: Model, image: str | PathLike[str], top: int = 5) -> Seen:
    """Classify the picture in a file, and say where the model looked.

    Args:
      directory: where the model came from, for its preprocessor_config.json. model: what `load` read there.
      image: the file. top: how many classes.
    Raises:
      OSError: the file cannot be read.
      ValueError: the model is no Vision Transformer, the file no picture, or the picture not one for this model.
    """
    vision = vision_model(model)
    I = preprocessing_of(directory, model.family)(read_image(image)).astype(vision.params.W_e.dtype)
    classes: list[tuple[str, float]] = []
    if vision.heads:
        p = np.asarray(jax.nn.softmax(vision.logits(I)))
        names = vision.labels or tuple(f"class {i}" for i in range(len(p)))
        classes = [(names[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:top]]
    return Seen(classes, np.asarray(vision.rollout(I)))


def drawn(rollout: np.ndarray) -> str:
    """A rollout as text: two characters a patch, the darker the more of it was looked at."""
    shades = np.minimum((rollout * len(_SHADES)).astype(int), len(_SHADES) - 1)
    return "\n".join("".join(_SHADES[shade] * 2 for shade in row) for row in shades)
