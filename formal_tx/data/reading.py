"""Reading text to train on from files: documents in pieces, or pairs; never a whole file in memory."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .cutting import PART, cut
from .files import STANDARD_INPUT, decoded, lines, name_of, require_readable

Paths = str | Path | Iterable[str | Path]

_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv"}


class Piece(NamedTuple):
    """Some text of a document, and whether the document ends with it."""

    text: str
    ends_document: bool


def pieces(paths: Paths, format: str | None = None) -> Iterator[Piece]:
    """The documents of files, in pieces.

    Plain text is one document a file, in UTF-8, as it is (line ends included), in pieces of at most `PART` characters
    cut as `cutting.cut` says. JSON lines are objects with the text of a document under "text", each one piece; empty
    documents are left out.

    Args:
      paths: files, `-` for standard input; those whose names end in .gz or .xz are decompressed.
      format: "text" or "jsonl"; without it .jsonl and .ndjson are JSON lines and all others text.
    Raises:
      OSError: a file cannot be read. ValueError: it does not hold what it should; file and line are named. Either
        may come when the pieces are asked for.
    """
    read = {"text": _text_pieces, "jsonl": _json_pieces}
    files = _files(paths, format, allowed=tuple(read), otherwise="text")
    return (piece for path, format in files for piece in read[format](path))


def pairs(paths: Paths, format: str | None = None) -> Iterator[tuple[str, str]]:
    """The pairs (source, target) of files: tab-separated, two columns; or JSON lines with "source" and "target".

    Empty lines are left out. Args and raises as in `pieces`, with the formats "tsv" and "jsonl"; without a format
    .jsonl and .ndjson are JSON lines and all others tab-separated.
    """
    read = {"tsv": _tab_separated, "jsonl": _json_pairs}
    files = _files(paths, format, allowed=tuple(read), otherwise="tsv")
    return (pair for path, format in files for pair in read[format](path))


def _files(paths: Paths, format: str | None, allowed: tuple[str, ...], otherwise: str) -> list[tuple[str | Path, str]]:
    """Each file with its format, once all of them can be opened."""
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if not paths:
        raise ValueError("there is no file to read")
    if [str(path) for path in paths].count(STANDARD_INPUT) > 1:
        raise ValueError("- is given twice, but standard input can be read once")
    if format is not None and format not in allowed:
        raise ValueError(f"the format is {format!r}, expected one of {', '.join(map(repr, allowed))} here")
    files = [(path, format or _FORMATS.get(_suffix(path), otherwise)) for path in paths]
    for path, guessed in files:
        require_readable(path)
        if guessed not in allowed:
            raise ValueError(f"{path} holds pairs, expected text or JSON lines; say format='text' to read it as text")
    return files


def _suffix(path: str | Path) -> str:
    path = Path(str(path).lower())
    return Path(path.stem).suffix if path.suffix in (".gz", ".xz") else path.suffix


def _text_pieces(path: str | Path) -> Iterator[Piece]:
    rest = ""
    for text in decoded(path):
        rest += text
        while len(rest) > PART:
            end = cut(rest, PART)
            yield Piece(rest[:end], False)
            rest = rest[end:]
    yield Piece(rest, True)


def _json_pieces(path: str | Path) -> Iterator[Piece]:
    return (Piece(text, True) for _, (text,) in _json_lines(path, ("text",)) if text)


def _json_pairs(path: str | Path) -> Iterator[tuple[str, str]]:
    for number, (source, target) in _json_lines(path, ("source", "target")):
        yield _pair(path, number, source, target)


def _tab_separated(path: str | Path) -> Iterator[tuple[str, str]]:
    for number, line in lines(path):
        columns = line.split("\t")
        if len(columns) != 2:
            count = f"{len(columns)} column{'s' * (len(columns) != 1)}"
            raise ValueError(f"{name_of(path)}, line {number} has {count}, expected 2: source, tab, target")
        yield _pair(path, number, *columns)


def _pair(path: str | Path, number: int, source: str, target: str) -> tuple[str, str]:
    for side, text in (("source", source), ("target", target)):
        if not text.strip():
            raise ValueError(f"{name_of(path)}, line {number}: the {side} is empty, expected text on both sides")
    return source, target


def _json_lines(path: str | Path, keys: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """The number of each line and its texts under the keys."""
    for number, line in lines(path):
        where = f"{name_of(path)}, line {number}"
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}, column {error.colno} is broken JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
            raise ValueError(f"{where} cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise ValueError(f"{where} is a JSON {type(found).__name__}, expected an object with {_quoted(keys)}")
        yield number, [_text(where, found, key) for key in keys]


def _text(where: str, found: dict[str, Any], key: str) -> str:
    if key not in found:
        has = f"its keys are {_quoted(tuple(found))}" if found else "it is empty"
        raise ValueError(f'{where} has no "{key}"; {has}')
    text = found[key]
    if not isinstance(text, str):
        raise ValueError(f'{where}: "{key}" is of type {type(text).__name__}, expected a string')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'{where}: "{key}" has half of a surrogate pair at position {error.start}') from None
    return text


def _quoted(keys: tuple[str, ...]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
