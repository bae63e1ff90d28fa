"""A character-level tokenizer: a token is a Unicode character.

The vocabulary is the characters of a text in code point order, then three special tokens at its end: the mask, the
beginning and the end of a sequence. That is the paper's `[N_V] = {1, …, N_V}` with `mask_token = N_V - 2`,
`bos_token = N_V - 1` and `eos_token = N_V`, counted from 0 here.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from ..vocabulary import Vocabulary

SPECIAL = ("<mask>", "<bos>", "<eos>")


@dataclass(frozen=True)
class CharacterTokenizer(Vocabulary):
    """Turns text into token ids and back.

    Args:
      characters: the ordinary tokens, each once, in code point order.
    Raises:
      ValueError: a character comes twice or out of order.
    """

    characters: str

    def __post_init__(self) -> None:
        if self.characters != "".join(sorted(set(self.characters))):
            raise ValueError(
                f"characters must be distinct and in code point order, not {self.characters!r}; "
                "CharacterTokenizer.from_text takes any text"
            )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The tokenizer whose ordinary tokens are the characters that occur in `text`."""
        return cls("".join(sorted(set(text))))

    @property
    def N_V(self) -> int:  # type: ignore[override]  # an attribute that follows from the characters
        """The size of the vocabulary, special tokens included."""
        return len(self.characters) + len(SPECIAL)

    @cached_property
    def _code_points(self) -> npt.NDArray[np.uint32]:
        return _code_points(self.characters)

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        """The ids of the characters of `text`, (ℓ,). No special token is added.

        Raises:
          ValueError: a character is not in the vocabulary.
        """
        wanted = _code_points(text)
        ids = np.searchsorted(self._code_points, wanted)
        known = np.isin(wanted, self._code_points)
        if not known.all():
            position = int(np.argmin(known))
            raise ValueError(
                f"the character {text[position]!r} (U+{ord(text[position]):04X}) at position {position} is not among "
                f"the {len(self.characters)} of this tokenizer"
            )
        return ids.astype(np.int32)

    def decode(self, ids: npt.ArrayLike, *, show_special: bool = False) -> str:
        """The text that token ids stand for.

        Args:
          ids: (ℓ,) integers.
          show_special: write the special tokens as `<mask>`, `<bos>` and `<eos>`, and not as nothing.
        Raises:
          TypeError: the ids are not integers.
          ValueError: an id is outside the vocabulary, or `ids` has not one axis.
        """
        tokens = np.asarray(ids)
        if tokens.ndim != 1:
            raise ValueError(f"ids must have one axis (ℓ,), not the shape {tokens.shape}")
        if tokens.size and tokens.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, not {tokens.dtype}")
        outside = (tokens < 0) | (tokens >= self.N_V)
        if outside.any():
            position = int(np.argmax(outside))
            raise ValueError(f"the id {tokens[position]} at position {position} is outside 0..{self.N_V - 1}")
        pieces = (*self.characters, *(SPECIAL if show_special else ("",) * len(SPECIAL)))
        return "".join(pieces[token] for token in tokens.tolist())


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
