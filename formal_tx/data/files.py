"""Opening users' files and decoding them piece by piece, with errors that say where and what to do."""

import codecs
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

STANDARD_INPUT = "-"
CHUNK = 1 << 16  # bytes read at once
LONGEST_LINE = 1 << 24  # bytes of a line that has to be in memory whole

_UTF16 = {codecs.BOM_UTF16_LE: "FF FE", codecs.BOM_UTF16_BE: "FE FF"}
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


def require_readable(path: str | Path) -> None:
    """Raises the error that opening the file would give, before hours are spent on the files before it."""
    if str(path) != STANDARD_INPUT:
        if Path(path).is_dir():
            raise IsADirectoryError(f"{path} is a directory, expected a file")
        if not Path(path).exists():
            raise FileNotFoundError(f"{path}: there is no such file")
        if not os.access(path, os.R_OK):  # opening a pipe would be noticed at its other end
            raise PermissionError(f"{path} may not be read by this user")


def name_of(path: str | Path) -> str:
    """What errors call the file."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a file, of standard input, or inside a .gz or .xz."""
    opens: dict[str, Callable] = {".gz": gzip.open, ".xz": lzma.open}
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        with opens.get(Path(path).suffix.lower(), open)(path, "rb") as file:
            yield file
    except _DAMAGE as error:
        raise ValueError(f"{path} cannot be decompressed: {error}") from error


def decoded(path: str | Path) -> Iterator[str]:
    """The text of a file in pieces of at most `CHUNK` characters, without a byte order mark.

    Raises:
      ValueError: it is not UTF-8, or not text, or nothing but white space.
    """
    name, offset, line, blank = name_of(path), 0, 1, True
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as file:
        while True:
            chunk = file.read(CHUNK)
            _require_text(name, chunk, offset)
            pending, _ = decoder.getstate()
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise _other_encoding(name, error, offset - len(pending), line) from None
            if offset == 0:
                text = text.removeprefix("\ufeff")
            offset, line, blank = offset + len(chunk), line + chunk.count(b"\n"), blank and not text.strip()
            if not chunk:
                break
            yield text
    _require_some(name, offset, blank)


def lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a file and their numbers, from 1, without line ends and without the empty ones.

    Raises:
      ValueError: what `decoded` raises, or a line is longer than `LONGEST_LINE`.
    """
    name, offset, blank = name_of(path), 0, True
    with _opened(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
            _require_text(name, line, offset)
            if len(line) > LONGEST_LINE:
                raise ValueError(f"{name}, line {number} is longer than {LONGEST_LINE >> 20} MiB")
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise _other_encoding(name, error, offset, number) from None
            text = (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
            offset, blank = offset + len(line), blank and not text.strip()
            if text:
                yield number, text
    _require_some(name, offset, blank)


def _require_text(name: str, chunk: bytes, offset: int) -> None:
    if offset == 0 and chunk[:2] in _UTF16:
        raise ValueError(
            f"{name} is UTF-16 (it begins with the bytes {_UTF16[chunk[:2]]}), expected UTF-8; convert it with "
            f"`iconv -f UTF-16 -t UTF-8`"
        )
    if (nul := chunk.find(b"\0")) >= 0:
        raise ValueError(f"{name}: byte {offset + nul} is NUL, so this is a binary file, expected text in UTF-8")


def _other_encoding(name: str, error: UnicodeDecodeError, offset: int, line: int) -> ValueError:
    byte = error.object[error.start]
    found = f"{name}, line {line}: byte {offset + error.start} (0x{byte:02X}) is not UTF-8"
    if "end of data" in error.reason:
        return ValueError(f"{found}: the file ends inside a character; is it cut short?")
    return ValueError(f"{found}; if the file is in Latin-1, convert it with `iconv -f LATIN1 -t UTF-8`")


def _require_some(name: str, size: int, blank: bool) -> None:
    if size == 0:
        raise ValueError(f"{name} is empty")
    if blank:
        raise ValueError(f"{name} has nothing but white space")
