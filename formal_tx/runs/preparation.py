"""From text to what a run trains on: a tokenizer, token files in the run's directory, and batches of them."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.buckets import Buckets
from ..data.files import STANDARD_INPUT
from ..data.token_file import PairFile, TokenFile
from ..data.tokenizer import Tokenizer
from ..data.windows import Windows
from .configuration import Configuration
from .sources import Sources, text_of

DATA, TOKENIZER = "data", "tokenizer.json"
TRAIN, HELD_OUT = "train", "held_out"


@dataclass(frozen=True)
class Prepared:
    """Data that are ready to be trained on.

    Attributes:
      tokenizer: of both files. train, held_out: the token files.
      batches: to train on, batch n for step n + 1. held_out_batches: to measure on.
    """

    tokenizer: Tokenizer
    train: TokenFile
    held_out: TokenFile
    batches: Windows | Buckets
    held_out_batches: Windows | Buckets

    @cached_property
    def held_out_tokens_per_character(self) -> float:
        """From nats a token to nats a character of the held-out text."""
        return self.held_out_batches.statistics()["tokens_per_character"]


def prepare(c: Configuration, sources: Sources, directory: Path) -> Prepared:
    """Trains the tokenizer and writes the token files; all of it is in `directory` afterwards.

    Raises:
      ValueError, OSError: the text cannot be read, is too short, or too poor for the vocabulary.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _readable(sources, directory) as sources:
        text = text_of(c.architecture, sources, c.l_max)
        tokenizer = Tokenizer.train(c.tokenizer, text.strings(), c.N_V)
        tokenizer.save(directory / TOKENIZER)
        train, held_out = text.split(c.held_out)
        text.write(train, tokenizer, directory / DATA, TRAIN)
        text.write(held_out, tokenizer, directory / DATA, HELD_OUT)
    return reopen(c, directory)


def reopen(c: Configuration, directory: Path) -> Prepared:
    """What `prepare` left in `directory`.

    Raises:
      ValueError, OSError: a file is missing or was altered, or the text is shorter than a sequence.
    """
    tokenizer = Tokenizer.load(directory / TOKENIZER)
    kind = PairFile if c.architecture == "encoder-decoder" else TokenFile
    train, held_out = (kind.open(directory / DATA, name, tokenizer) for name in (TRAIN, HELD_OUT))
    batches, held_out_batches = batches_of(c, train), batches_of(c, held_out)
    _ = batches.steps_per_epoch  # raises for a text without a batch
    return Prepared(tokenizer, train, held_out, batches, held_out_batches)


def batches_of(c: Configuration, tokens: Any) -> Windows | Buckets:
    """The batches that a configuration cuts a token file into."""
    if c.architecture == "encoder-decoder":
        size = c.batch_size * c.l_max
        return Buckets(tokens, tokens_per_batch=size, l_max=c.l_max, seed=c.seed, multiple=c.accumulate)
    # A decoder guesses all tokens of a sequence but the first, so the last of one is the first of the next.
    overlap = 1 if c.architecture == "decoder" else 0
    return Windows(tokens, length=c.l_max, batch_size=c.batch_size, seed=c.seed, overlap=overlap)


@contextmanager
def _readable(sources: Sources, directory: Path) -> Iterator[Sources]:
    """The same sources, all of which can be read more than once: standard input is kept in a file meanwhile."""
    if STANDARD_INPUT not in sources.files:
        yield sources
        return
    copy = directory / "standard_input"
    try:
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield replace(sources, files=tuple(str(copy) if name == STANDARD_INPUT else name for name in sources.files))
    except ValueError as error:  # names the copy
        raise ValueError(str(error).replace(str(copy), "standard input")) from None
    finally:
        copy.unlink(missing_ok=True)
