"""How good a model is on text that it has not seen: `evaluate`, for all three architectures."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from ..data.token_file import TokenFile
from .architectures import require_architecture
from .configuration import Configuration, recorded
from .guesses import guesses
from .model_directory import Model
from .preparation import batches_of
from .sources import Sources, text_of
from .tasks import task, total
from .translation import translate


def evaluate(
    model: Model,
    sources: Sources | None = None,
    *,
    baselines: bool = False,
    beam: int = 4,
    limit: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Measures a model on all of a text.

    Args:
      model: with the configuration that it was trained with.
      sources: the text; without files, the test books of the embedded corpus, of which no run has seen anything.
      baselines: measure simple rivals on the same text as well. For an encoder they are the most frequent words, and
        the most frequent after the word before; for an encoder-decoder a copy of the source, and untrained parameters.
      beam: of the translations that BLEU and chrF judge. limit: judge only the first so many translations.
      progress: hears what is being done.
    Returns:
      For JSON: `loss` (nats a token, whose number is `tokens`) and `perplexity`; of a decoder and an encoder-decoder
      `bits_per_character` and `bits_per_byte`, of the text that is predicted; of an encoder the shares `top_1` and
      `top_5` of masked words that are guessed; of an encoder-decoder `bleu` and `chrf`, by sacrebleu.
    Raises:
      ValueError, OSError: the text cannot be read, is too short, or has a character that the tokenizer does not know.
    """
    sources = sources or Sources()
    c = _configuration(model)
    with tempfile.TemporaryDirectory() as directory:
        text = text_of(model.architecture, sources, c.l_max)
        tokens = text.write(text.test(), model.tokenizer, Path(directory), "test")
        progress("measuring the loss")
        measured = _loss(c, model, tokens)
        if model.architecture == "encoder":
            progress("guessing masked words")
            measured |= guesses(c, model, tokens, baselines)
    if model.architecture == "encoder-decoder":
        measured |= _translations(model, list(text.test())[:limit], beam, baselines, c, progress)
    return measured


def _configuration(model: Model) -> Configuration:
    """How the model was trained."""
    entries = model.configuration.get("training")
    if not entries:
        raise ValueError("the model's configuration does not say how it was trained: its entry 'training' is missing")
    return recorded(entries)


def _loss(c: Configuration, model: Model, tokens: TokenFile) -> dict[str, Any]:
    held_out = jax.jit(task(c, model.hyperparameters, None).held_out)
    nats, count = total(held_out, model.params, batches_of(c, tokens).evaluation(), jax.random.key(c.seed))
    if not count:
        raise ValueError(f"none of the {len(tokens.ids)} tokens is one to be guessed: give more text")
    measured: dict[str, Any] = {"loss": nats / count, "perplexity": math.exp(min(nats / count, 700)), "tokens": count}
    if model.architecture != "encoder":
        bits = nats / math.log(2)
        measured |= {"bits_per_character": bits / tokens.characters, "bits_per_byte": bits / tokens.bytes}
    return measured


def _translations(
    model: Model, pairs: list[tuple[str, str]], beam: int, baselines: bool, c: Configuration, progress: Callable
) -> dict[str, Any]:
    """BLEU and chrF of translations of those sources that fit into the model; the others count as empty ones."""
    sources, references = map(list, zip(*pairs, strict=True))
    fits = [len(ids) < c.l_max for ids in model.tokenizer.encode_batch(sources)]
    shown = [source if fit else "" for source, fit in zip(sources, fits, strict=True)]
    progress(f"translating {sum(fits):,} texts with beam {beam}")
    measured: dict[str, Any] = {"translations": len(pairs), "too_long": len(pairs) - sum(fits)}
    measured |= quality(translate(model, shown, beam=beam), references)
    if baselines:
        untrained = _untrained(c, model)
        progress("translating with untrained parameters")
        measured["baselines"] = {
            "copy": quality(sources, references),
            "untrained": quality(translate(untrained, shown, beam=1), references),
        }
    return measured


def quality(translations: list[str], references: list[str]) -> dict[str, float]:
    """BLEU and chrF of a corpus, as sacrebleu computes them by default."""
    import sacrebleu

    return {
        "bleu": round(sacrebleu.corpus_bleu(translations, [references]).score, 2),
        "chrf": round(sacrebleu.corpus_chrf(translations, [references]).score, 2),
    }


def _untrained(c: Configuration, model: Model) -> Model:
    params = require_architecture(model.architecture).initialise(jax.random.key(c.seed), model.hyperparameters)
    return Model(model.architecture, params, model.hyperparameters, model.tokenizer)
