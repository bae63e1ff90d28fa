"""What a model says while it is being trained: a few words, so that a person sees what the loss means."""

import numpy as np

from .filling import guess
from .generation import generate
from .model_directory import Model
from .preparation import Prepared
from .translation import search

TOKENS, WORDS = 48, 16


def sample(model: Model, data: Prepared, seed: int) -> str:
    """A text by a decoder, a translation of a held-out text, or an encoder's guess at a held-out word."""
    tokenizer, held_out = model.tokenizer, data.held_out
    if model.architecture == "decoder":
        length = min(TOKENS, model.hyperparameters.l_max)
        return "".join(generate(model, tokens=length, temperature=0.8, seed=seed)).replace("\n", " ")
    # As tokens, since text with unknown words has other ones.
    if model.architecture == "encoder-decoder":
        begin, end = held_out.starts[:2]
        context = np.asarray(held_out.ids[begin:end], np.int32)
        (found,) = search(model, [context], beam=1, alpha=0.0, batch_size=1)
        return f"{tokenizer.decode(context).strip()} → {tokenizer.decode(found).strip()}"
    x = [int(token) for token in held_out.ids[1 : 1 + min(WORDS, model.hyperparameters.l_max)]]
    middle = len(x) // 2
    before, after = tokenizer.decode(x[:middle]), tokenizer.decode(x[middle + 1 :])
    (guesses,) = guess(model, [*x[:middle], model.hyperparameters.mask_token, *x[middle + 1 :]], top=3)
    said = ", ".join(f"{one.text} {one.probability:.0%}" for one in guesses)
    return f"{before} ____ {after} → {said} ({tokenizer.piece(x[middle])})"
