"""Where the text of a run comes from: the user's files, or the embedded corpus; and which part of it is held out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from ..data import corpus
from ..data.files import STANDARD_INPUT
from ..data.reading import Piece, pairs, pieces
from ..data.token_file import TokenFile
from ..data.token_writing import write_documents, write_pairs
from ..data.tokenizer import Tokenizer

EMBEDDED = "the embedded corpus"  # what files call it


@dataclass(frozen=True)
class Sources:
    """What a user names.

    Attributes:
      files: of the text to train on, `-` for standard input; none is the embedded corpus.
      held_out: files of the text to measure on; none is the end of the other, or held-out books of the corpus.
      format: "text", "jsonl" or "tsv"; None goes by the files' names.
    Raises:
      ValueError: held-out text without text to train on.
    """

    files: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    format: str | None = None

    def __post_init__(self) -> None:
        if self.held_out and not self.files:
            raise ValueError("there are files of held-out text, and none to train on: name both, or neither")
        if STANDARD_INPUT in self.held_out:
            raise ValueError("held-out text cannot come from standard input")


@dataclass(frozen=True)
class Documents:
    """Text for a decoder or an encoder. The embedded corpus has a document for each book."""

    sources: Sources
    l_max: int

    def _all(self) -> Iterator[Piece]:
        return pieces(self.sources.files, self.sources.format) if self.sources.files else _books("train")

    def strings(self) -> Iterator[str]:
        """All that is not held out by name, for a tokenizer to be made of."""
        return (piece.text for piece in self._all())

    def split(self, share: float) -> tuple[Iterator[Piece], Iterator[Piece]]:
        """What to train on and what is held out: files of its own, or the last `share` of the characters."""
        if not self.sources.files:
            return self._all(), _books("validation")
        if self.sources.held_out:
            return self._all(), pieces(self.sources.held_out, self.sources.format)
        characters = sum(len(text) for text in self.strings())
        first = _first(characters, share, "characters")
        return until(self._all(), first), since(self._all(), first)

    def test(self) -> Iterator[Piece]:
        """All of the files, or the test books of the embedded corpus: text for a model that is finished."""
        return self._all() if self.sources.files else _books("test")

    def write(self, part: Iterable[Piece], tokenizer: Tokenizer, directory: Path, name: str) -> TokenFile:
        """Tokenises a part of it."""
        return write_documents(part, tokenizer, directory, name)


@dataclass(frozen=True)
class Pairs:
    """Pairs for an encoder-decoder; those with a side of more than `l_max` tokens are left out."""

    sources: Sources
    l_max: int

    def _all(self) -> Iterator[tuple[str, str]]:
        return pairs(self.sources.files, self.sources.format) if self.sources.files else iter(corpus.pairs("train"))

    def strings(self) -> Iterator[str]:
        """All that is not held out by name, for one tokenizer of both sides to be made of."""
        return (text for pair in self._all() for text in pair)

    def split(self, share: float) -> tuple[Iterator[tuple[str, str]], Iterator[tuple[str, str]]]:
        """What to train on and what is held out: files of its own, or the last `share` of the pairs."""
        if not self.sources.files:
            return self._all(), iter(corpus.pairs("validation"))
        if self.sources.held_out:
            return self._all(), pairs(self.sources.held_out, self.sources.format)
        count = sum(1 for _ in self._all())
        first = _first(count, share, "pairs")
        return islice(self._all(), first), islice(self._all(), first, None)

    def test(self) -> Iterator[tuple[str, str]]:
        """All of the files, or the test books of the embedded corpus: pairs for a model that is finished."""
        return self._all() if self.sources.files else iter(corpus.pairs("test"))

    def write(self, part: Iterable[tuple[str, str]], tokenizer: Tokenizer, directory: Path, name: str) -> TokenFile:
        """Tokenises a part of it."""
        return write_pairs(part, tokenizer, directory, name, self.l_max)


def text_of(architecture: str, sources: Sources, l_max: int) -> Any:
    """The text of sources as this architecture takes it: `Pairs` for an encoder-decoder, else `Documents`."""
    return (Pairs if architecture == "encoder-decoder" else Documents)(sources, l_max)


def _first(count: int, share: float, what: str) -> int:
    """How many of `count` are to train on, if the last `share` is held out, but at least one.

    Raises:
      ValueError: that leaves none.
    """
    first = count - max(round(count * share), 1)
    if first < 1:
        raise ValueError(
            f"there are too few {what} ({count}) to hold some of them out: give more, or files to hold out by name"
        )
    return first


def _books(split: str) -> Iterator[Piece]:
    for _, verses in groupby(corpus.verses(split), key=lambda verse: verse.book):
        yield Piece("".join(f"{verse.english}\n" for verse in verses), True)


def until(text: Iterable[Piece], characters: int) -> Iterator[Piece]:
    """The first `characters` of a text; the document that they end in ends there."""
    for piece in text:
        if len(piece.text) >= characters:
            if characters:
                yield Piece(piece.text[:characters], True)
            return
        characters -= len(piece.text)
        yield piece


def since(text: Iterable[Piece], characters: int) -> Iterator[Piece]:
    """What comes after the first `characters` of a text."""
    for piece in text:
        rest = piece.text[characters:]
        characters = max(characters - len(piece.text), 0)
        if rest:
            yield Piece(rest, piece.ends_document)
