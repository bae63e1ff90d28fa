"""Using an encoder: which words may stand in the blanks of a text, and how likely each is (Algorithm 9)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import e_transformer
from .model_directory import Model
from .requires import require_model

BLANK = re.compile(r"_{2,}|<mask>")


class Guess(NamedTuple):
    """A token that may stand in a blank, as text, and its probability."""

    text: str
    probability: float


def fill(model: Model, text: str, *, top: int = 5) -> list[list[Guess]]:
    """The likeliest tokens for each blank of a text, best first.

    Args:
      model: an encoder. text: in which a blank is `____` (two or more) or `<mask>`; each is one token.
      top: how many guesses.
    Raises:
      TypeError: for a model that is no encoder. ValueError: for a text without a blank, or longer than l_max.
    """
    require_model(model, "encoder", "fill")
    hp, tokenizer = model.hyperparameters, model.tokenizer
    parts = BLANK.split(text)
    if len(parts) == 1:
        raise ValueError(f"there is no blank in {text!r}: write ____ for the word to be guessed")
    ordinary = hp.mask_token - tokenizer.has_unknown
    if not 1 <= top <= ordinary:
        raise ValueError(f"top is {top}, expected 1 to {ordinary}, the ordinary tokens")
    x = list(tokenizer.encode(parts[0]))
    for part in parts[1:]:
        x += [hp.mask_token, *tokenizer.encode(part)]
    if len(x) > hp.l_max:
        raise ValueError(f"the text has {len(x)} tokens, more than l_max = {hp.l_max}: give a shorter one")
    return guess(model, x, top)


def guess(model: Model, x: Sequence[int], top: int) -> list[list[Guess]]:
    """The likeliest ordinary tokens for each mask_token of `x`, best first."""
    hp, tokenizer = model.hyperparameters, model.tokenizer
    # Padded to the model's l_max: one compilation for all texts.
    padded = np.array([*x, *[0] * (hp.l_max - len(x))], np.int32)
    P = np.array(e_transformer(padded[None], model.params, hp, np.array([len(x)])))[0]
    P[:, hp.mask_token :] = 0
    if tokenizer.unknown_token is not None:
        P[:, tokenizer.unknown_token] = 0
    blanks = [t for t, token in enumerate(x) if token == hp.mask_token]
    return [
        [Guess(tokenizer.piece(int(token)), float(P[t, token])) for token in np.argsort(-P[t])[:top]] for t in blanks
    ]
