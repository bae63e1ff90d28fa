"""Text from decoders: what follows a text, and the answer in a conversation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from tokenizers.decoders import DecodeStream

from ..data.stream_decoder import StreamDecoder
from ..data.tokenizer import Tokenizer
from ..inference.buckets import bucket
from ..inference.streaming import d_stream
from ..runs.generation import filters_of, up_to
from .chat import Message, render
from .model import Model


def complete(model: Model, prompt: str, *, stop: Sequence[str] = (), **sampling: Any) -> Iterator[str]:
    """The text that follows a prompt, in pieces of whole characters.

    Args:
      model: a decoder with a tokenizer. prompt: text; its tokenizer may put a special token before it.
      stop: strings at whose first occurrence the text ends; they are not part of it.
      sampling: as for `token_stream`.
    Raises:
      ValueError: the model has no tokenizer, or the prompt has no token; and as `token_stream`.
    """
    return _continued(model, _prompt(model, prompt), stop, sampling)


def chat(model: Model, messages: Sequence[Message], *, stop: Sequence[str] = (), **sampling: Any) -> Iterator[str]:
    """The answer to a conversation, in pieces of whole characters.

    Args:
      model: a decoder whose tokenizer has a chat template.
      messages: each with a `role`, "system", "user" or "assistant", and its `content`. What is written in them like a
        special token becomes one.
      stop, sampling: as for `complete`.
    Raises:
      ValueError: the model has no chat template, or the template refuses the conversation; and as `complete`.
    """
    template = chat_template(model)
    if template is None:
        raise ValueError("the model has no chat template: it continues texts, and does not converse")
    tokenizer: Any = model.tokenizer
    # The template writes the tokens that the tokenizer would put around a text.
    ids = tokenizer.encode(render(template, messages, **_special_texts(model)), special=False)
    return _continued(model, ids, stop, sampling)


def _continued(model: Model, ids: npt.ArrayLike, stop: Sequence[str], sampling: dict[str, Any]) -> Iterator[str]:
    if "" in stop:
        raise ValueError("a stop string is empty, expected text")
    return up_to(_text(model, token_stream(model, ids, **sampling)), tuple(stop))


def _prompt(model: Model, text: str) -> np.ndarray:
    """The ids of a text that begins a document."""
    tokenizer: Any = model.tokenizer
    if tokenizer is None:
        raise ValueError("the model has no tokenizer: none came with it")
    ids = tokenizer.encode(text)
    if isinstance(tokenizer, Tokenizer):  # ours puts nothing before a text
        return np.array([model.hyperparameters.bos_token, *ids], np.int32)
    bos = model.config.get("bos_token_id")
    if not len(ids) and bos is None:
        raise ValueError("the prompt is empty, expected text: this model has no token with which texts begin")
    return ids if len(ids) else np.array([bos], np.int32)


def chat_template(model: Model) -> str | None:
    """The chat template that came with a model's tokenizer, if any."""
    return getattr(model.tokenizer, "chat_template", None)


def token_stream(
    model: Model,
    ids: npt.ArrayLike,
    *,
    tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    seed: int = 0,
    stop: Iterable[int] | None = None,
) -> Iterator[int]:
    """The tokens that follow `ids` (ℓ,), one by one, by Algorithm 14.

    Args:
      tokens: at most so many, and no more than fit into the model's l_max.
      temperature: τ; 0 is always the most likely token.
      top_k, top_p, min_p, repetition_penalty: as in `formal_tx.inference.filters`, none unless given.
      seed: of the random numbers. stop: tokens that end the text; those of the model unless given.
    Raises:
      ValueError: the model is no decoder, `ids` leave no room for another token, or a number is out of range.
    """
    if model.architecture != "decoder":
        raise ValueError(f"the model is an {model.architecture}, and text is drawn from a decoder")
    hp = model.hyperparameters
    x: Any = np.asarray(ids, np.int32)
    room = hp.l_max + 1 - len(x)
    if room < 1:
        raise ValueError(f"the prompt has {len(x)} tokens, and the model reads no more than l_max = {hp.l_max}")
    length = room if tokens is None else min(tokens, room)
    return d_stream(
        x,
        model.params,
        _with_room(hp, len(x) + length),
        length=length,
        temperature=temperature or 1.0,
        key=jax.random.key(seed),
        filters=filters_of(temperature, top_k, top_p, min_p, repetition_penalty),
        stop=tuple(ending_tokens(model) if stop is None else stop),
    )


def _with_room(hp: Any, length: int) -> Any:
    """The hyperparameters with an l_max for so many tokens, rounded up, so that the cache is no longer than that.

    A table of positions has l_max rows, and fixes it.
    """
    return hp if hp.table is not None or length > hp.l_max else replace(hp, l_max=bucket(length, hp.l_max))


def ending_tokens(model: Model) -> tuple[int, ...]:
    """The tokens with which texts of this model end: those that its configuration says, or none."""
    if isinstance(model.tokenizer, Tokenizer):
        return (model.hyperparameters.eos_token,)
    said = model.config.get("eos_token_id")
    tokens = said if isinstance(said, list) else [] if said is None else [said]
    return tuple(token for token in tokens if isinstance(token, int))


def _text(model: Model, drawn: Iterator[int]) -> Iterator[str]:
    """Tokens as text, as soon as their characters are complete; special tokens are nothing."""
    tokenizer: Any = model.tokenizer
    if isinstance(tokenizer, Tokenizer):
        yield from _text_of_ours(tokenizer, drawn)
        return
    stream = DecodeStream(skip_special_tokens=True)
    for token in drawn:
        if piece := stream.step(tokenizer.tokenizer, token):
            yield piece


def _text_of_ours(tokenizer: Tokenizer, drawn: Iterator[int]) -> Iterator[str]:
    decoder = StreamDecoder(tokenizer)
    for token in drawn:
        if token < tokenizer.mask_token and (piece := decoder.push(token)):
            yield piece
    if piece := decoder.flush():
        yield piece


def _special_texts(model: Model) -> dict[str, str]:
    tokenizer: Any = model.tokenizer
    tokens = {name: model.config.get(f"{name}_id") for name in ("bos_token", "eos_token")}
    return {name: tokenizer.tokenizer.id_to_token(i) or "" for name, i in tokens.items() if isinstance(i, int)}
