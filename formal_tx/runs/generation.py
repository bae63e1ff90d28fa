"""Using a decoder: text that goes on where a prompt ends (Algorithm 14), piece by piece as it is drawn."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from ..data.stream_decoder import StreamDecoder
from ..inference.filters import Filter, greedy, min_p, repetition_penalty, top_k, top_p
from ..inference.streaming import d_stream
from .model_directory import Model
from .requires import require_model


def generate(
    model: Model,
    prompt: str = "",
    *,
    tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    seed: int = 0,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """The text that follows a prompt, in pieces of whole characters.

    Args:
      model: a decoder. prompt: any text that its tokenizer knows; it stands at the beginning of a document.
      tokens: at most so many; as many as fit into the model's l_max unless given. The text ends with eos_token.
      temperature: τ; 0 is always the most likely token.
      top_k, top_p, min_p, repetition_penalty: as in `formal_tx.inference.filters`, none unless given.
      seed: of the random numbers. stop: strings at whose first occurrence the text ends; they are not part of it.
    Raises:
      TypeError: for a model that is no decoder. ValueError: for a prompt with unknown characters or without room for
        `tokens` more, for numbers out of range, and for filters that a temperature of 0 makes void.
    """
    require_model(model, "decoder", "generate")
    hp, tokenizer = model.hyperparameters, model.tokenizer
    filters = filters_of(temperature, top_k, top_p, min_p, repetition_penalty)
    if "" in stop:
        raise ValueError("a stop string is empty, expected text")
    x: Any = np.array([hp.bos_token, *tokenizer.encode(prompt)], np.int32)
    drawn = d_stream(
        x,
        model.params,
        hp,
        length=tokens,
        temperature=temperature or 1.0,
        key=jax.random.key(seed),
        filters=filters,
        stop=(hp.eos_token,),
    )
    return up_to(_text(drawn, tokenizer, hp.eos_token), tuple(stop))


def filters_of(
    temperature: float, k: int | None, p: float | None, least: float | None, r: float | None
) -> list[Filter]:
    """The filters for a temperature, a k, a p, a least share and a penalty, of which any may be None.

    Raises:
      ValueError: for filters that a temperature of 0 makes void, and for numbers out of range.
    """
    given = {"top_k": (top_k, k), "top_p": (top_p, p), "min_p": (min_p, least)}
    chosen = {name: make(value) for name, (make, value) in given.items() if value is not None}
    penalty = [] if r is None else [repetition_penalty(r)]
    if temperature:
        return [*penalty, *chosen.values()]
    if chosen:
        raise ValueError(
            f"temperature is 0, which takes the most likely token, and {', '.join(chosen)} choose among more: leave "
            "one of them out"
        )
    return [*penalty, greedy()]


def _text(drawn: Iterator[int], tokenizer: Any, eos_token: int) -> Iterator[str]:
    """Tokens as text, as soon as their characters are complete."""
    decoder = StreamDecoder(tokenizer)
    for token in drawn:
        if token == eos_token:
            break
        if text := decoder.push(token):
            yield text
    if text := decoder.flush():
        yield text


def up_to(pieces: Iterator[str], stop: tuple[str, ...]) -> Iterator[str]:
    """The text up to the first stop string; what may be the beginning of one waits for what comes after it."""
    held = ""
    for piece in pieces:
        held += piece
        found = [held.index(s) for s in stop if s in held]
        if found:
            held = held[: min(found)]
            break
        safe = len(held) - _may_begin(held, stop)
        if safe:
            yield held[:safe]
            held = held[safe:]
    if held:
        yield held


def _may_begin(text: str, stop: tuple[str, ...]) -> int:
    """How many characters at the end of `text` are the beginning of a stop string."""
    return max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
