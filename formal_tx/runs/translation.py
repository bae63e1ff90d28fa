"""Using an encoder-decoder: what it predicts for each of many texts, by beam search, in batches of like length."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..data.batches import padded
from ..inference.beam_search import ed_beam_search
from .model_directory import Model
from .requires import require_model

BATCH = 32


def translate(
    model: Model, texts: Sequence[str], *, beam: int = 4, alpha: float = 0.6, batch_size: int = BATCH
) -> list[str]:
    """The prediction for each text, in the order of the texts; nothing for a text of white space.

    Args:
      model: an encoder-decoder. texts: lines, say. beam: hypotheses that are kept; 1 is greedy. alpha: α of the length
        penalty, as in `ed_beam_search`. batch_size: how many texts are searched for together.
    Raises:
      TypeError: for a model that is no encoder-decoder. ValueError: for a text that is longer than the model's l_max,
        or has an unknown character; the number of the line is given.
    """
    require_model(model, "encoder-decoder", "translate")
    contexts = {i: _context(model, i + 1, text) for i, text in enumerate(texts) if text.strip()}
    order = sorted(contexts, key=lambda i: len(contexts[i]))
    results = [""] * len(texts)
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        found = search(model, [contexts[i] for i in chosen], beam, alpha, batch_size)
        for i, ids in zip(chosen, found, strict=True):
            results[i] = model.tokenizer.decode(ids).strip()
    return results


def _context(model: Model, number: int, text: str) -> np.ndarray:
    try:
        ids = model.tokenizer.encode(text)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if len(ids) + 1 > model.hyperparameters.l_max:
        raise ValueError(
            f"line {number} has {len(ids)} tokens, and with eos_token more than l_max = {model.hyperparameters.l_max}: "
            "give it in shorter lines"
        )
    return np.array([*ids, model.hyperparameters.eos_token], np.int32)


def search(model: Model, contexts: Sequence[np.ndarray], beam: int, alpha: float, batch_size: int) -> list[np.ndarray]:
    """The best sequence for each context, with its eos_token; the batch is filled up, so that there are few shapes."""
    hp = model.hyperparameters
    filled: Any = [*contexts, *[[hp.eos_token]] * (batch_size - len(contexts))]
    longest = max(map(len, filled))
    z, lengths = map(jax.device_put, padded(filled, longest))
    # A translation is seldom twice as long as its source; the room is what an unfinished search costs.
    room = min(2 * longest + 8, hp.l_max)
    found = ed_beam_search(z, model.params, hp, length=room, beam=beam, alpha=alpha, z_lengths=lengths)
    sequences, ends = np.asarray(found.sequences)[:, 0], np.asarray(found.lengths)[:, 0]
    return [ids[:end] for ids, end in zip(sequences[: len(contexts)], ends, strict=False)]
