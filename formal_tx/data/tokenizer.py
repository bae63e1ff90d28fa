"""Text to token ids and back: one class for every kind, over a tokenizer of the Hugging Face `tokenizers` library.

The vocabulary ends as the paper's does: the ordinary tokens (and the unknown one, where the kind has one), then
mask_token, bos_token and eos_token. Text never becomes one of these three, not even the text `<bos>`.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HuggingFaceTokenizer

from ..vocabulary import Vocabulary
from . import cutting, tokenizer_training
from .byte_level import to_bytes

SPECIAL = tokenizer_training.SPECIAL


def require_text(text: object) -> None:
    """Raise `TypeError` unless this is a string, and `ValueError` unless all of it is characters."""
    if not isinstance(text, str):
        raise TypeError(f"a text is of type {type(text).__name__}, expected str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"U+{ord(text[error.start]):04X} at position {error.start}"
        raise ValueError(f"{found} is half of a surrogate pair, which is no character") from None


@dataclass(frozen=True, repr=False)
class Tokenizer(Vocabulary):
    """Turns text into token ids and back.

    Args:
      json: a tokenizer.json of the `tokenizers` library whose vocabulary ends in <mask>, <bos>, <eos>.
    Raises:
      ValueError: it is something else.
    """

    json: str

    def __post_init__(self) -> None:
        size, added = self._tokenizer.get_vocab_size(), self._tokenizer.get_added_tokens_decoder()
        last = [added[i].content if i in added and added[i].special else None for i in range(size - 3, size)]
        if last != list(SPECIAL):
            found = [self._tokenizer.id_to_token(i) for i in range(max(size - 3, 0), size)]
            raise ValueError(f"the vocabulary of {size} ends in {found}, expected the special tokens {list(SPECIAL)}")

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], N_V: int | None = None) -> Self:
        """A tokenizer with a vocabulary made from text; the same text makes the same one, bit for bit.

        Args:
          kind: "characters" (those of the text, in code point order) or "bytes" (of UTF-8), from which N_V follows;
            "words" (lower-case words and punctuation marks, the most frequent first), "bpe" (of bytes),
            "wordpiece" or "unigram".
          texts: may be an iterator, which is read once; no more of it is in memory than its different words.
          N_V: size of the vocabulary, special tokens included.
        Raises:
          ValueError: no such kind, no text, or a text that has too little for N_V, or too much for it.
          TypeError: `texts` is one string, or N_V is missing.
        """
        return cls(tokenizer_training.train(kind, texts, N_V))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
          OSError: the file cannot be read. ValueError: it is no tokenizer, or has other special tokens.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such tokenizer") from None
        except ValueError as error:  # UnicodeDecodeError is one
            raise ValueError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes one tokenizer.json, which `tokenizers.Tokenizer.from_file` reads too; whole or not at all."""
        partial = Path(f"{path}.partial")
        partial.write_text(self.json, encoding="utf-8")
        os.replace(partial, path)

    @cached_property
    def _tokenizer(self) -> HuggingFaceTokenizer:
        try:
            json.loads(self.json)
        except json.JSONDecodeError as error:
            raise ValueError(f"broken JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
        try:
            tokenizer = HuggingFaceTokenizer.from_str(self.json)
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"not a tokenizer.json of the tokenizers library: {error}") from error
        tokenizer.encode_special_tokens = True  # as ordinary text; the file does not say so
        return tokenizer

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        return json.loads(self.json)

    @cached_property
    def N_V(self) -> int:  # type: ignore[override]  # an attribute that follows from the file
        """The size of the vocabulary, special tokens included."""
        return self._tokenizer.get_vocab_size()

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the file, in hexadecimal digits."""
        return hashlib.sha256(self.json.encode()).hexdigest()

    @cached_property
    def kind(self) -> str:
        """The kind that `train` was asked for."""
        model, splitting = self._parsed["model"]["type"], self._parsed["pre_tokenizer"]
        if model == "BPE":
            return "characters" if splitting is None else "bpe" if splitting.get("use_regex", True) else "bytes"
        return {"WordLevel": "words", "WordPiece": "wordpiece", "Unigram": "unigram"}[model]

    @cached_property
    def unknown_token(self) -> int | None:
        """The id of what has no token of its own; None where everything has one or is refused."""
        model = self._parsed["model"]
        return model.get("unk_id") if model["type"] == "Unigram" else model["vocab"].get(model["unk_token"])

    @property
    def has_unknown(self) -> bool:
        """Whether there is an `unknown_token`."""
        return self.unknown_token is not None

    @cached_property
    def _characters(self) -> frozenset[str] | None:
        """The only characters that can be encoded; None if all can be."""
        return frozenset(self._parsed["model"]["vocab"]) if self.kind == "characters" else None

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        """The ids of the tokens of `text`, (ℓ,). No special token is added.

        Raises:
          ValueError: a character has no token, which happens with kind "characters", or is half of a surrogate pair.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """`encode` of each text, several at once, on all cores. Raises what `encode` raises."""
        for text in texts:
            self._require_tokens(text)
        found: list[list[npt.NDArray[np.int32]]] = [[] for _ in texts]
        for group in cutting.groups(texts):
            encodings = self._tokenizer.encode_batch_fast([part for _, part in group], add_special_tokens=False)
            for (n, _), encoding in zip(group, encodings, strict=True):
                found[n].append(np.array(encoding.ids, np.int32))
        return [arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in found]

    def encode_with_spans(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The ids (ℓ,), and where in the text each token begins and ends, (ℓ, 2). Raises what `encode` raises."""
        self._require_tokens(text)
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return np.array(encoding.ids, np.int32), np.array(encoding.offsets, np.int32).reshape(-1, 2)

    def _require_tokens(self, text: str) -> None:
        require_text(text)
        if self._characters is not None and (unknown := set(text) - self._characters):
            position = min(map(text.index, unknown))
            raise ValueError(
                f"the character {text[position]!r} (U+{ord(text[position]):04X}) at position {position} is not among "
                f"the {len(self._characters)} of this tokenizer"
            )

    def decode(self, ids: npt.ArrayLike, *, show_special: bool = False) -> str:
        """The text that token ids stand for.

        Args:
          ids: (ℓ,) integers.
          show_special: write the special tokens as `<mask>`, `<bos>` and `<eos>`, and not as nothing.
        Raises:
          TypeError: the ids are not integers.
          ValueError: an id is outside the vocabulary, or `ids` has not one axis.
        """
        return self._tokenizer.decode(self._require_ids(ids), skip_special_tokens=not show_special)

    def _require_ids(self, ids: npt.ArrayLike) -> list[int]:
        tokens = np.asarray(ids)
        if tokens.ndim != 1:
            raise ValueError(f"ids must have one axis (ℓ,), not the shape {tokens.shape}")
        if tokens.size and tokens.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, not {tokens.dtype}")
        outside = (tokens < 0) | (tokens >= self.N_V)
        if outside.any():
            position = int(np.argmax(outside))
            raise ValueError(f"the id {tokens[position]} at position {position} is outside 0..{self.N_V - 1}")
        return tokens.tolist()

    def bytes_of(self, token: int) -> bytes | None:
        """What a token of kind "bytes" or "bpe" stands for, nothing for a special one; None for the other kinds."""
        (token,) = self._require_ids([token])
        if self.kind not in ("bytes", "bpe"):
            return None
        return b"" if token >= self.mask_token else self._bytes[token]

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        return {token: to_bytes(written) for written, token in self._parsed["model"]["vocab"].items()}

    def piece(self, token: int) -> str:
        """One token for display: bytes that are no whole characters as `<E2><80>`, special tokens as `<bos>`."""
        raw = self.bytes_of(token)
        try:
            return raw.decode() if raw else self._tokenizer.decode([int(token)], skip_special_tokens=False)
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in raw or b"")

    def __repr__(self) -> str:
        return f"Tokenizer(kind={self.kind!r}, N_V={self.N_V})"
