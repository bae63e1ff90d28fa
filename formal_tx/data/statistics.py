"""What is worth knowing of a corpus before training on it."""

from typing import Any

import numpy as np

from .token_file import PairFile, TokenFile

PERCENTILES = (1, 50, 99)


def statistics(tokens: TokenFile) -> dict[str, Any]:
    """The numbers to show, as a plain dict that JSON can hold.

    Of documents: `documents`, `tokens` (special ones included), `characters`, `bytes`, `tokens_per_character` (of the
    text alone), `vocabulary` and how many of it are `used`, and the `lengths` in tokens: percentiles and "max". Of
    pairs: `pairs`, `left_out`, and the lengths of both sides, `source_lengths` and `target_lengths`; characters and
    bytes are the targets'.
    """
    lengths = np.diff(tokens.starts)
    if isinstance(tokens, PairFile):
        scored = lengths[1::2]
        kind: dict[str, Any] = {"pairs": tokens.documents, "left_out": tokens.left_out}
        spread = {"source_lengths": _percentiles(lengths[::2]), "target_lengths": _percentiles(scored)}
    else:
        scored, kind, spread = lengths, {"documents": tokens.documents}, {"lengths": _percentiles(lengths)}
    text = int(scored.sum()) - 2 * len(scored)  # without bos_token and eos_token
    return {
        **kind,
        "tokens": len(tokens.ids),
        "characters": tokens.characters,
        "bytes": tokens.bytes,
        "tokens_per_character": text / tokens.characters if tokens.characters else 0.0,
        "vocabulary": tokens.N_V,
        "used": tokens.used,
        **spread,
    }


def _percentiles(lengths: np.ndarray) -> dict[str, int]:
    found = np.percentile(lengths, [*PERCENTILES, 100], method="inverted_cdf")
    return dict(zip((*map(str, PERCENTILES), "max"), map(int, found), strict=True))
