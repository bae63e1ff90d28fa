"""Tokenised corpora on disk, memory-mapped: nothing here grows with the size of a corpus.

A corpus is a directory of three files: `ids` (the token ids, one after the other), `starts` (where each sequence
begins, and where the last one ends) and `header.json`. `token_writing.py` writes it.
"""

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from .tokenizer import Tokenizer

FORMAT = 1
START_TYPE = np.dtype("<i8")
HASHED_TOGETHER = 1 << 22  # numbers


def id_type(N_V: int) -> np.dtype:
    """Two bytes a token where they are enough, else four."""
    return np.dtype("<u2" if N_V <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class TokenFile:
    """Documents as token ids; each is bos_token, its tokens, eos_token.

    Attributes:
      ids: (tokens,) uint16 if N_V ≤ 65,536 else uint32, memory-mapped.
      starts: (sequences + 1,) int64, memory-mapped: sequence i is `ids[starts[i]:starts[i + 1]]`.
      N_V: size of the vocabulary. used: how many of its tokens occur.
      documents: how many there are. longest: tokens of the longest one.
      characters, bytes: of the text, in UTF-8; for bits per character and per byte.
      tokenizer: fingerprint of the tokenizer. fingerprint: SHA-256 of that and of all ids and starts.
    """

    ids: np.ndarray = field(repr=False, compare=False)
    starts: np.ndarray = field(repr=False, compare=False)
    N_V: int
    used: int
    documents: int
    longest: int
    characters: int
    bytes: int
    tokenizer: str
    fingerprint: str

    @classmethod
    def open(cls, directory: str | Path, name: str, tokenizer: Tokenizer | None = None) -> Self:
        """Opens what was written to `directory/name`.

        Raises:
          FileNotFoundError: one of the files is missing.
          ValueError: the header is broken, a file is shorter or longer than it says, or, if a tokenizer is given,
            another one made the tokens.
        """
        path = Path(directory, name)
        header = _header(path, cls)
        if tokenizer is not None and header["tokenizer"] != tokenizer.fingerprint:
            raise ValueError(
                f"{path} was made with another tokenizer, of {header['N_V']} tokens: its fingerprint is "
                f"{header['tokenizer'][:12]}…, that of the tokenizer given {tokenizer.fingerprint[:12]}…"
            )
        ids = _mapped(path / "ids", id_type(header["N_V"]), header["tokens"])
        starts = _mapped(path / "starts", START_TYPE, header["sequences"] + 1)
        if starts[0] != 0 or starts[-1] != len(ids):
            found = f"from {starts[0]} to {starts[-1]}"
            raise ValueError(f"{path / 'starts'} is altered: it goes {found}, expected from 0 to {len(ids)}")
        return cls(ids=ids, starts=starts, **{name: header[name] for name in _numbers(cls)})

    def verify(self) -> None:
        """Reads everything once.

        Raises:
          ValueError: it is not what was written.
        """
        found = fingerprint(self.tokenizer, *(_sha256(array) for array in (self.ids, self.starts)))
        if found != self.fingerprint:
            raise ValueError(f"the tokens are altered: their fingerprint is {found}, expected {self.fingerprint}")


@dataclass(frozen=True)
class PairFile(TokenFile):
    """Pairs as token ids: sequence 2i is the context of pair i, its tokens and eos_token; sequence 2i + 1 is what is to
    be predicted, bos_token, its tokens and eos_token, since Algorithm 15 begins with bos_token and ends with eos_token.

    The context has an eos_token too, as in practice (T5, Marian): it marks a text cut short as such. It needs no
    bos_token, since nothing in it is predicted.

    Attributes:
      documents: how many pairs there are. longest: tokens of the longest side.
      characters, bytes: of the second sides, which are scored.
      l_max: how many tokens a side was allowed. left_out: how many pairs had more.
    """

    l_max: int
    left_out: int


def fingerprint(tokenizer: str, ids: bytes, starts: bytes) -> str:
    """The fingerprint of a corpus from that of its tokenizer and the SHA-256 of the two arrays."""
    return hashlib.sha256(tokenizer.encode() + ids + starts).hexdigest()


def _sha256(array: np.ndarray) -> bytes:
    digest = hashlib.sha256()
    for begin in range(0, len(array), HASHED_TOGETHER):
        digest.update(np.ascontiguousarray(array[begin : begin + HASHED_TOGETHER]).data)
    return digest.digest()


def _numbers(kind: type[TokenFile]) -> list[str]:
    """The attributes that the header has."""
    return [f.name for f in fields(kind) if f.name not in ("ids", "starts")]


def _header(path: Path, kind: type[TokenFile]) -> dict[str, Any]:
    file = path / "header.json"
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is no tokenised corpus: it has no header.json") from None
    except ValueError as error:
        raise ValueError(f"{file} is broken: {error}") from None
    if not isinstance(header, dict) or (header.get("format"), header.get("kind")) != (FORMAT, kind.__name__):
        found = [header.get("kind"), header.get("format")] if isinstance(header, dict) else type(header).__name__
        raise ValueError(f"{file} is of kind and format {found}, expected {[kind.__name__, FORMAT]}")
    missing = [name for name in ("tokens", "sequences", *_numbers(kind)) if name not in header]
    if missing:
        raise ValueError(f"{file} is broken: it has no {', '.join(missing)}")
    return header


def _mapped(file: Path, dtype: np.dtype, count: int) -> np.ndarray:
    try:
        found = file.stat().st_size
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} is missing; the corpus has to be tokenised again") from None
    if found != count * dtype.itemsize:
        raise ValueError(f"{file} is cut short or altered: it has {found:,} bytes, expected {count * dtype.itemsize:,}")
    return np.memmap(file, dtype, mode="r")
