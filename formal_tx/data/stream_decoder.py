"""Showing tokens as text while they are drawn."""

import codecs

from .tokenizer import Tokenizer


class StreamDecoder:
    """Decodes token ids as they come: all that `push` and `flush` return, joined, is `tokenizer.decode` of the ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._last: list[int] = []  # the ordinary token before
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that is complete with this token: the bytes of a character wait for its last one."""
        raw = self._tokenizer.bytes_of(token)
        if raw is not None:
            return self._bytes.decode(raw)
        if token >= self._tokenizer.mask_token:
            return ""
        before = self._tokenizer.decode(self._last)  # whether a space comes first depends on no more than this
        together = self._tokenizer.decode([*self._last, token])
        self._last = [int(token)]
        return together[len(before) :]

    def flush(self) -> str:
        """What is left when no token follows: � for a character that remains incomplete."""
        return self._bytes.decode(b"", final=True)
