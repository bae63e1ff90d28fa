"""Tokenizers that come with published models: a tokenizer.json of the Hugging Face `tokenizers` library, as it is.

Those that are made here (`formal_tx.data.tokenizer`) know where their special tokens are, and keep text from becoming
one. These do what their files say.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HuggingFaceTokenizer

from ..data.tokenizer import require_text


class PretrainedTokenizer:
    """Turns text into token ids and back.

    Args:
      tokenizer: one of the `tokenizers` library. It neither pads nor cuts, whatever its file says.
      chat_template: how conversations are written for the model, in the language of Jinja2; None if it has none.
    """

    def __init__(self, tokenizer: HuggingFaceTokenizer, chat_template: str | None = None):
        self.chat_template = chat_template
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer = tokenizer
        self.N_V = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PretrainedTokenizer":
        """Reads a tokenizer.json.

        Raises:
          OSError: the file cannot be read. ValueError: it is none.
        """
        text = Path(path).read_bytes()
        try:
            json.loads(text)
            return cls(HuggingFaceTokenizer.from_buffer(text))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}, expected JSON") from None
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"{path} is no tokenizer.json of the tokenizers library: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one tokenizer.json. Raises `OSError` if it cannot be written."""
        Path(path).write_text(self.tokenizer.to_str(), encoding="utf-8")

    def encode(self, text: str, *, special: bool = True) -> npt.NDArray[np.int32]:
        """The ids (ℓ,) of the tokens of `text`, with those that the file puts around a text if `special`."""
        return self.encode_batch([text], special=special)[0]

    def encode_batch(self, texts: Sequence[str], *, special: bool = True) -> list[npt.NDArray[np.int32]]:
        """`encode` of each text.

        Raises:
          TypeError: a text is no string. ValueError: it is half of a surrogate pair, which is no character.
        """
        for text in texts:
            require_text(text)
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def decode(self, ids: npt.ArrayLike, *, show_special: bool = False) -> str:
        """The text of ids (ℓ,); special tokens are left out unless they are to be shown. Ids without a token are too.

        Raises:
          TypeError: the ids are not integers. ValueError: they have not one axis, or one of them is negative.
        """
        tokens = np.asarray(ids)
        if tokens.ndim != 1:
            raise ValueError(f"ids have shape {tokens.shape}, expected one axis (ℓ,)")
        if tokens.size and tokens.dtype.kind not in "iu":
            raise TypeError(f"ids have dtype {tokens.dtype}, expected integers")
        if tokens.size and tokens.min() < 0:
            raise ValueError(f"ids[{int(tokens.argmin())}] is {tokens.min()}, expected at least 0")
        return self.tokenizer.decode(tokens.tolist(), skip_special_tokens=not show_special)

    def id_of(self, token: str) -> int | None:
        """The id of a token, such as "<s>"; None if there is none."""
        return self.tokenizer.token_to_id(token)

    def __repr__(self) -> str:
        return f"PretrainedTokenizer(N_V={self.N_V})"
