"""`formal-tx run`: uses a published model for what it is there for."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .compilation_cache import keep_compilations
from .console import messages, output, output_json

if TYPE_CHECKING:
    from ..models import Model


class Precision(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    int8 = "int8"


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a model.

    Attributes:
      prompt, system, chat: a text, what a conversation is told first, and whether text is a conversation.
      sentences: to embed.
      audio, hearing: a file of speech, and how it is written down, as `formal_tx.speech.segments` takes it.
      image: a picture to look at. path: where the model came from.
      drawing: how tokens are drawn, as `formal_tx.models.generate.complete` takes it.
      json: whether the answer is one JSON object.
    """

    prompt: str | None = None
    system: str | None = None
    chat: bool = True
    sentences: tuple[str, ...] = ()
    audio: Path | None = None
    hearing: Mapping[str, Any] = field(default_factory=dict)
    image: Path | None = None
    path: Path = Path()
    drawing: Mapping[str, Any] = field(default_factory=dict)
    json: bool = False


def run(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A GGUF file, or the directory of a model.")],
    prompt: Annotated[
        str | None, typer.Option(help="What to answer or to continue. Without one you are asked, line by line.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before a conversation.")] = None,
    no_chat: Annotated[
        bool, typer.Option("--no-chat", help="Continue the text, though the model could converse.")
    ] = False,
    sentences: Annotated[
        list[str] | None, typer.Option(help="A sentence to embed; several are compared with each other.")
    ] = None,
    audio: Annotated[Path | None, typer.Option(help="A WAV file of speech to write down.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Say when what was spoken.")] = False,
    language: Annotated[str | None, typer.Option(help="Of the speech, as en; heard from it unless given.")] = None,
    into_english: Annotated[bool, typer.Option("--into-english", help="Translate the speech.")] = False,
    image: Annotated[Path | None, typer.Option(help="A picture to classify, and to show attention over.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="At most so many tokens at a time.")] = 256,
    temperature: Annotated[
        float, typer.Option(min=0, help="Below 1 likelier tokens, above 1 rarer ones; 0 always the likeliest.")
    ] = 0.7,
    top_k: Annotated[int | None, typer.Option(min=1, help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Only the likeliest tokens that make up this probability.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1: tokens seen before are less likely.")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text at which to stop.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    dtype: Annotated[
        Precision | None, typer.Option(help="Of the parameters; float32 unless given. int8 is fastest.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Use a model: a decoder answers or continues text, an encoder embeds sentences or looks at a picture, Whisper
    writes down speech."""
    from ..models import load

    keep_compilations()
    drawing = {
        "tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop": tuple(stop or ()),
    }
    hearing = {"timestamps": timestamps, "language": language, "translate": into_english}
    asked = Asked(prompt, system, not no_chat, tuple(sentences or ()), audio, hearing, image, path, drawing, json)
    with messages.status(f"reading {path.name}"):
        model = load(path, dtype and dtype.value)
    use_of(model)(model, asked)


Use = Callable[["Model", Asked], None]


def use_of(model: "Model") -> Use:
    """What a model is there for, by its family or, where that is none of its own, by its architecture."""
    use = USES.get(model.family) or USES.get(model.architecture)
    if use is None:
        name = model.family or model.architecture
        raise ValueError(f"there is no use for models of {name} here; `formal-tx describe` says what it is")
    return use


def text(model: "Model", asked: Asked) -> None:
    """A decoder: one answer or continuation, or a conversation on the terminal."""
    from ..models.generate import chat_template

    converses = asked.chat and chat_template(model) is not None
    if asked.prompt is None and sys.stdin.isatty() and not asked.json:
        return _conversation(model, asked, converses)
    prompt = sys.stdin.read() if asked.prompt is None else asked.prompt
    start = time.perf_counter()
    pieces = _answer(model, [{"role": "user", "content": prompt}], asked, converses)
    if asked.json:
        answer = "".join(pieces)
        seconds = round(time.perf_counter() - start, 3)
        return output_json({"prompt": prompt, "chat": converses, "text": answer, "seconds": seconds, **asked.drawing})
    if not converses:
        print(prompt, end="", flush=True)
    _print(pieces)


def _answer(model: "Model", said: list[dict[str, str]], asked: Asked, converses: bool) -> Iterator[str]:
    from ..models.generate import chat, complete

    if not converses:
        return complete(model, said[-1]["content"], **asked.drawing)
    system = [] if asked.system is None else [{"role": "system", "content": asked.system}]
    return chat(model, [*system, *said], **asked.drawing)


def _conversation(model: "Model", asked: Asked, converses: bool) -> None:
    """Line by line, until the input ends; a conversation remembers what was said, continuations do not."""
    messages.print("An empty line or Ctrl-D ends it.", style="dim")
    said: list[dict[str, str]] = []
    while True:
        try:
            line = input("> ")
        except EOFError:
            return
        if not line.strip():
            return
        said.append({"role": "user", "content": line})
        answer = _print(_answer(model, said, asked, converses))
        said.append({"role": "assistant", "content": answer})


def _print(pieces: Iterator[str]) -> str:
    """Print text as it is drawn; returns all of it."""
    said = []
    for piece in pieces:
        said.append(piece)
        print(piece, end="", flush=True)
    print()
    return "".join(said)


def embed(model: "Model", asked: Asked) -> None:
    """An encoder: the vectors of sentences, or on a terminal how alike they are."""
    from ..models.sentences import embed_sentences

    if not asked.sentences:
        raise ValueError("the model is an encoder: give it sentences with --sentences, once for each")
    vectors = embed_sentences(model, asked.sentences)
    cosines = vectors @ vectors.T
    if asked.json:
        return output_json({"sentences": asked.sentences, "vectors": vectors.tolist(), "cosines": cosines.tolist()})
    for number, (sentence, row) in enumerate(zip(asked.sentences, cosines, strict=True), start=1):
        alike = "  ".join(f"{cosine:6.3f}" for cosine in row)
        output.print(f"{number:>3}  {alike}  {sentence}", markup=False, highlight=False, soft_wrap=True)


def look(model: "Model", asked: Asked) -> None:
    """A Vision Transformer: the likeliest classes of a picture, and where it looked."""
    from ..models.seeing import drawn, see

    if asked.image is None:
        raise ValueError("the model looks at pictures: give it one with --image")
    classes, rollout = see(asked.path, model, asked.image)
    if asked.json:
        found = [{"class": name, "probability": p} for name, p in classes]
        return output_json({"image": str(asked.image), "classes": found, "rollout": rollout.tolist()})
    for name, p in classes:
        output.print(f"{p:6.1%}  {name}", markup=False, highlight=False)
    output.print(drawn(rollout), markup=False, highlight=False)


def listen(model: "Model", asked: Asked) -> None:
    """Whisper: what is said in a recording, line by line as it is heard."""
    from ..speech import read_wav, segments
    from ..speech.command import spoken

    if asked.audio is None:
        raise ValueError("the model writes down speech: give it a recording with --audio")
    if asked.json:
        heard = segments(model, read_wav(asked.audio, resample=True), **asked.hearing)
        lines = [{"start": s.start, "end": s.end, "text": s.text.strip()} for s in heard]
        return output_json({"audio": str(asked.audio), "segments": lines})
    for line in spoken(model, asked.audio, **asked.hearing):
        print(line, flush=True)


USES: dict[str, Use] = {
    "decoder": text,
    "encoder": embed,
    "whisper": listen,
    **dict.fromkeys(("vit", "deit", "dinov2", "dinov2_with_registers"), look),
}
"""By family, or by architecture."""
