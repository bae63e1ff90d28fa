"""What a model says while it is being trained: a few words, so that a person sees what the loss means."""

from itertools import islice

import numpy as np

from .filling import fill
from .generation import generate
from .model_directory import Model
from .preparation import Prepared
from .translation import translate

TOKENS = 48


def sample(model: Model, data: Prepared, seed: int) -> str:
    """A text by a decoder, a translation of a held-out text, or an encoder's guess at a held-out word."""
    tokenizer, held_out = model.tokenizer, data.held_out
    if model.architecture == "decoder":
        length = min(TOKENS, model.hyperparameters.l_max)
        return "".join(generate(model, tokens=length, temperature=0.8, seed=seed)).replace("\n", " ")
    if model.architecture == "encoder-decoder":
        begin, end = held_out.starts[:2]
        source = tokenizer.decode(np.asarray(held_out.ids[begin : end - 1])).strip()
        return f"{source} → {translate(model, [source], beam=1, batch_size=1)[0]}"
    words = [int(token) for token in islice(held_out.ids, 1, 1 + min(16, model.hyperparameters.l_max))]
    middle = len(words) // 2
    before, after = tokenizer.decode(words[:middle]), tokenizer.decode(words[middle + 1 :])
    (guesses,) = fill(model, f"{before} ____ {after}", top=3)
    said = ", ".join(f"{guess.text} {guess.probability:.0%}" for guess in guesses)
    return f"{before} ____ {after} → {said} ({tokenizer.piece(words[middle])})"
