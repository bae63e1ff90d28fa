"""How many masked words an encoder guesses, beside how many of them follow from counting words."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..architectures import e_transformer_logits
from ..data.files import STANDARD_INPUT
from ..data.token_file import TokenFile
from .configuration import Configuration
from .model_directory import Model
from .preparation import batches_of
from .sources import EMBEDDED, Documents, Sources
from .tasks import masked

TOP = 5


def guesses(c: Configuration, model: Model, tokens: TokenFile, baselines: bool) -> dict[str, Any]:
    """The shares of masked tokens that are the likeliest guess (`top_1`), or among the five likeliest (`top_5`).

    Words that are unknown to the tokenizer are not counted, neither as what to guess nor as a guess.
    """
    hp, unknown = model.hyperparameters, model.tokenizer.unknown_token
    legal = np.arange(hp.N_V) < hp.mask_token
    if unknown is not None:
        legal[unknown] = False
    counts = Counts(c, model, legal) if baselines else None

    @jax.jit
    def best(params, x_tilde, lengths, segments):
        logits = e_transformer_logits(x_tilde, params, hp, lengths, segments)
        return jax.lax.top_k(jnp.where(legal, logits, -jnp.inf), TOP)[1]

    found: dict[str, list[np.ndarray]] = {"model": [], "unigram": [], "bigram": []}
    for n, batch in enumerate(batches_of(c, tokens).evaluation()):
        x, key = batch["x"], jax.random.fold_in(jax.random.key(c.seed), n)
        x_tilde, chosen = map(np.asarray, masked(c, hp, x, key))
        chosen = chosen & batch["counted"] & legal[x]
        hits = np.asarray(best(model.params, x_tilde, batch["lengths"], batch["segments"])) == x[..., None]
        found["model"].append(hits[chosen])
        if counts is not None:
            before = np.where(np.arange(x.shape[1]) == 0, -1, np.roll(x_tilde, 1, axis=1))
            found["unigram"].append(counts.unigram[None] == x[chosen][:, None])
            found["bigram"].append(counts.after(before[chosen]) == x[chosen][:, None])
    shares = {name: _shares(np.concatenate(hits)) for name, hits in found.items() if hits}
    own = {**shares.pop("model"), "masked": sum(len(hits) for hits in found["model"])}
    return own | ({"baselines": shares} if shares else {})


def _shares(hits: np.ndarray) -> dict[str, float]:
    """From (masked, TOP) hits, best guess first."""
    return {"top_1": float(hits[:, 0].mean()), f"top_{TOP}": float(hits.any(axis=1).mean())}


class Counts:
    """The most frequent tokens of the text that the model was trained on, alone and after each other token.

    Args:
      legal: (N_V,) which tokens may be a guess.
    Raises:
      ValueError, OSError: the text is not there any more.
    """

    def __init__(self, c: Configuration, model: Model, legal: np.ndarray) -> None:
        files = tuple(name for name in model.configuration["data"]["files"] if name != EMBEDDED)
        if STANDARD_INPUT in files:
            raise ValueError(
                "the model was trained on standard input, of which there is nothing left to count words in"
            )
        ids = np.concatenate([model.tokenizer.encode(text) for text in Documents(Sources(files), c.l_max).strings()])
        N_V = model.hyperparameters.N_V
        single = np.where(legal, np.bincount(ids, minlength=N_V), -1)
        self.unigram = np.argsort(-single, kind="stable")[:TOP]
        pairs, number = np.unique(ids[:-1].astype(np.int64) * N_V + ids[1:], return_counts=True)
        order = np.lexsort((-number, pairs // N_V))
        pairs = pairs[order][legal[pairs[order] % N_V]]
        self._after: dict[int, list[int]] = {}
        for pair in pairs.tolist():
            nexts = self._after.setdefault(pair // N_V, [])
            if len(nexts) < TOP:
                nexts.append(pair % N_V)

    def after(self, before: np.ndarray) -> np.ndarray:
        """The likeliest tokens (n, TOP) after each of `before` (n,), filled up with the most frequent ones."""
        rest = self.unigram.tolist()
        return np.array([self._filled(self._after.get(int(token), []), rest) for token in before])

    @staticmethod
    def _filled(own: list[int], rest: list[int]) -> list[int]:
        return [*own, *(token for token in rest if token not in own)][:TOP]
