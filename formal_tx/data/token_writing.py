"""Writing tokenised corpora: in constant memory, whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from .cutting import GROUP
from .token_file import FORMAT, START_TYPE, PairFile, TokenFile, fingerprint, id_type
from .tokenizer import Tokenizer

Item = TypeVar("Item")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_documents(
    pieces: Iterable[tuple[str, bool]], tokenizer: Tokenizer, directory: str | Path, name: str
) -> TokenFile:
    """Tokenises documents into `directory/name`. They come in pieces: (text, whether the document ends with it).

    Raises:
      ValueError: there is no document, or a character has no token.
      OSError: the files cannot be written. Nothing is left of them then, nor after any other error.
    """
    bos, eos, nothing = _special(tokenizer)
    with _writing(TokenFile, tokenizer, Path(directory, name)) as out:
        for batch in _batches(pieces, lambda piece: len(piece[0])):
            number = out.sequences + 1 + np.cumsum([0, *(ends for _, ends in batch)])
            names = [f"document {n}" for n in number]
            for (text, ends), ids in zip(batch, _encoded(tokenizer, [text for text, _ in batch], names), strict=True):
                out.write(np.concatenate([nothing if out.length else bos, ids, eos if ends else nothing]), text, ends)
        if out.length:
            out.write(eos, "", ends=True)
        if not out.sequences:
            raise ValueError(f"{name}: there is no document to write")
        out.header["documents"] = out.sequences
    return TokenFile.open(directory, name)


def write_pairs(
    pairs: Iterable[tuple[str, str]], tokenizer: Tokenizer, directory: str | Path, name: str, l_max: int
) -> PairFile:
    """Tokenises pairs into `directory/name`. Those with more than `l_max` tokens on a side, special ones included, are
    left out and counted.

    Raises:
      ValueError: there is no pair, or all have more than `l_max` tokens, or a character has no token.
      OSError: the files cannot be written. Nothing is left of them then, nor after any other error.
    """
    bos, eos, _ = _special(tokenizer)
    done = left_out = 0
    with _writing(PairFile, tokenizer, Path(directory, name)) as out:
        for batch in _batches(pairs, lambda pair: len(pair[0]) + len(pair[1])):
            names = [f"pair {done + 1 + i}, {side}" for i in range(len(batch)) for side in ("source", "target")]
            encoded = _encoded(tokenizer, [text for pair in batch for text in pair], names)
            for (_, target), z, x in zip(batch, encoded[::2], encoded[1::2], strict=True):
                if max(len(z) + 1, len(x) + 2) > l_max:
                    left_out += 1
                    continue
                out.write(np.concatenate([z, eos]), "", ends=True)
                out.write(np.concatenate([bos, x, eos]), target, ends=True)
            done += len(batch)
        if not out.sequences:
            longer = f"each of the {done:,} pairs has more than l_max = {l_max} tokens on a side"
            raise ValueError(f"{name}: {longer if done else 'there is no pair to write'}")
        out.header |= {"documents": out.sequences // 2, "l_max": l_max, "left_out": left_out}
    return PairFile.open(directory, name)


def _special(tokenizer: Tokenizer) -> tuple[npt.NDArray[np.int32], ...]:
    """What comes before and after a text, and what does if it goes on."""
    return tuple(np.array(ids, np.int32) for ids in ([tokenizer.bos_token], [tokenizer.eos_token], []))


class _Writer:
    """Appends sequences to `ids` and `starts` and counts what the header says."""

    def __init__(self, tokenizer: Tokenizer, ids: BinaryIO, starts: BinaryIO) -> None:
        self._type, self._files = id_type(tokenizer.N_V), {"ids": ids, "starts": starts}
        self._hashes = {part: hashlib.sha256() for part in self._files}
        self._tokenizer, self._used = tokenizer, np.zeros(tokenizer.N_V, bool)
        self.sequences = self.tokens = self.length = self.longest = self.characters = self.bytes = 0
        self.header: dict[str, Any] = {}

    def write(self, ids: npt.NDArray[Any], text: str, ends: bool) -> None:
        """Appends token ids to the sequence, which ends with them or goes on. `text` is what they stand for."""
        if not self.length:
            self._append("starts", np.array([self.tokens], START_TYPE))
        ids = ids.astype(self._type)
        self._append("ids", ids)
        self._used[ids] = True
        self.tokens, self.length = self.tokens + len(ids), self.length + len(ids)
        self.characters, self.bytes = self.characters + len(text), self.bytes + len(text.encode())
        if ends:
            self.sequences, self.longest, self.length = self.sequences + 1, max(self.longest, self.length), 0

    def _append(self, part: str, array: npt.NDArray[Any]) -> None:
        data = array.tobytes()
        self._hashes[part].update(data)
        self._files[part].write(data)

    def finish(self, kind: type[TokenFile]) -> str:
        """Brings everything to the disk; gives the header."""
        self._append("starts", np.array([self.tokens], START_TYPE))
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        counts = ("tokens", "sequences", "longest", "characters", "bytes")
        digests = (self._hashes[part].digest() for part in ("ids", "starts"))
        header = self.header | {
            "format": FORMAT,
            "kind": kind.__name__,
            "N_V": self._tokenizer.N_V,
            "used": int(self._used.sum()),
            **{name: getattr(self, name) for name in counts},
            "tokenizer": self._tokenizer.fingerprint,
            "fingerprint": fingerprint(self._tokenizer.fingerprint, *digests),
        }
        return json.dumps(header, indent=1) + "\n"


@contextmanager
def _writing(kind: type[TokenFile], tokenizer: Tokenizer, path: Path) -> Iterator[_Writer]:
    """A writer to a directory beside `path`, which takes its place at the end and is gone after an error."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        partial.mkdir(parents=True)
        with open(partial / "ids", "wb") as ids, open(partial / "starts", "wb") as starts:
            out = _Writer(tokenizer, ids, starts)
            yield out
            header = out.finish(kind)
        (partial / "header.json").write_text(header, encoding="utf-8")
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:  # which does not say where
            raise OSError(error.errno, f"{path} cannot be written: {error.strerror}") from error
        raise


def _batches(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in lists of about `GROUP` characters."""
    batch: list[Item] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size(item)
        if total >= GROUP or len(batch) >= GROUP:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], names: Sequence[str]) -> list[npt.NDArray[np.int32]]:
    """The ids of the texts; an error names the text."""
    try:
        return tokenizer.encode_batch(texts)
    except ValueError:
        for text, name in zip(texts, names, strict=True):
            try:
                tokenizer.encode(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        raise
