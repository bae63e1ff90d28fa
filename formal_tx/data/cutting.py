"""Cutting a long text where no tokenizer of this library looks across."""

import re
from collections.abc import Iterator, Sequence

PART = 1 << 14  # characters
GROUP = 1 << 16  # characters encoded at once, on all cores; their tokens take about a hundred times as many bytes

# A single line end or a single space between two other characters. Byte-level BPE's pattern looks one character past
# a run of white space, so longer runs are left whole; a space belongs to the word that follows it.
_LAST_BORDER = re.compile(r".*(?:\S\n(?=\S)|\S(?= \S))", re.DOTALL)


def cut(text: str, most: int) -> int:
    """Where to cut a text of more than `most` characters so that its first part has no more than that.

    It is the last place where the tokens of both parts are those of the whole. If there is none, which takes a word or
    a gap of nearly `most` characters, it is after exactly `most`.
    """
    border = _LAST_BORDER.match(text, 0, most + 1)
    return border.end() if border else most


def parts(text: str, most: int) -> Iterator[str]:
    """The text in parts of at most `most` characters, cut as `cut` says."""
    begin = 0
    while len(text) - begin > most:
        end = begin + cut(text[begin : begin + most + 1], most)
        yield text[begin:end]
        begin = end
    yield text[begin:]


def groups(texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """Parts of the texts, each with the number of its text, in groups to be encoded together: memory stays bounded."""
    group: list[tuple[int, str]] = []
    size = 0
    for n, text in enumerate(texts):
        for part in parts(text, PART):
            group.append((n, part))
            size += len(part)
            if size >= GROUP:
                yield group
                group, size = [], 0
    yield group
