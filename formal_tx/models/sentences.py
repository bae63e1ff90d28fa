"""Sentence embeddings of encoders: means of features (Sentence-BERT, 1908.10084), whose cosines say what is alike."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..architectures import e_transformer_features
from ..heads import pool_mean, unit
from .model import Model

BATCH = 32  # sentences that are embedded together
SHORTEST = 16  # tokens to which short sentences are padded; longer ones to the next power of two


def embed_sentences(
    model: Model, sentences: Sequence[str], *, l_max: int | None = None, normalise: bool = True, batch_size: int = BATCH
) -> np.ndarray:
    """One vector for each sentence: the mean of the encodings of its tokens.

    Args:
      model: an encoder with a tokenizer, such as all-MiniLM-L6-v2.
      l_max: how many tokens of a sentence are read, those at its ends included; what is longer is cut, as
        sentence-transformers does. As many as the model can read unless given. (all-MiniLM-L6-v2 was trained with 256,
        and its tokenizer.json says 128.)
      normalise: whether the vectors have length 1, so that the cosine of two is their product.
      batch_size: how many sentences are embedded together.
    Returns:
      (N, d_e) in the type of the parameters.
    Raises:
      ValueError: the model is no encoder, has no tokenizer, or cannot read so many tokens; there are no sentences, or
        one of them is empty, and then its number.
      TypeError: a sentence is no string.
    """
    longest = _longest(model, l_max)
    if isinstance(sentences, str) or not len(sentences):
        raise ValueError("there is nothing to embed: expected a list of at least one sentence")
    tokenizer: Any = model.tokenizer
    ids = [_cut(row, longest) for row in tokenizer.encode_batch(sentences)]
    for n, row in enumerate(ids):
        if not sentences[n].strip() or not len(row):
            raise ValueError(f"sentence {n} has no words")
    embedded = np.zeros((len(ids), model.hyperparameters.d_e), jax.tree.leaves(model.params)[0].dtype)
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))  # sentences of like length pad each other least
    for first in range(0, len(ids), batch_size):
        these = order[first : first + batch_size]
        embedded[these] = _embed([ids[n] for n in these], model, longest, normalise, min(batch_size, len(ids)))
    return embedded


def _longest(model: Model, l_max: int | None) -> int:
    if model.architecture != "encoder" or model.tokenizer is None:
        without = " without a tokenizer" if model.tokenizer is None else ""
        raise ValueError(f"sentences are embedded by an encoder with its tokenizer, and this is a {model!r}{without}")
    if l_max is not None and not 3 <= l_max <= model.hyperparameters.l_max:
        raise ValueError(f"l_max is {l_max}, expected 3 to {model.hyperparameters.l_max}, which the model can read")
    return l_max or model.hyperparameters.l_max


def _cut(ids: np.ndarray, longest: int) -> np.ndarray:
    """No more than the first tokens, and the last, which ends a text."""
    return ids if len(ids) <= longest else np.concatenate([ids[: longest - 1], ids[-1:]])


def _embed(ids: list[np.ndarray], model: Model, longest: int, normalise: bool, rows: int) -> np.ndarray:
    """The embeddings of a batch, padded in both directions to one of a few shapes, for which to compile."""
    width = min(longest, max(SHORTEST, 1 << (max(map(len, ids)) - 1).bit_length()))
    x, lengths = np.zeros((rows, width), np.int32), np.ones(rows, np.int32)
    for n, row in enumerate(ids):
        x[n, : len(row)], lengths[n] = row, len(row)
    X = e_transformer_features(x, model.params, model.hyperparameters, lengths=lengths)
    vectors = pool_mean(X, jnp.asarray(lengths))
    return np.asarray(unit(vectors) if normalise else vectors)[: len(ids)]
