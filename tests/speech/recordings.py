"""Recorded prompts with their texts, and how many words of a transcript are wrong.

They are those of Debian's asterisk-core-sounds-en-wav (8 kHz). FORMAL_TX_PROMPTS names another directory of WAV files
and a `core-sounds-en.txt`.
"""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
HOW_MANY = 100


def prompts() -> list[tuple[Path, str]]:
    """Recordings of at least two words, spread over the alphabet, and what is said in them."""
    sounds = Path(os.environ.get("FORMAL_TX_PROMPTS", SOUNDS))
    texts = sounds / "core-sounds-en.txt" if "FORMAL_TX_PROMPTS" in os.environ else TEXTS
    if not texts.exists():
        pytest.skip("the recorded prompts are not installed: Debian's asterisk-core-sounds-en-wav")
    content = texts.read_bytes()
    lines = (gzip.decompress(content) if texts.suffix == ".gz" else content).decode("latin-1").splitlines()
    entries = [line.split(":", 1) for line in lines if ":" in line and not line.startswith(";")]
    found = [(sounds / f"{name}.wav", text.strip()) for name, text in entries]
    spoken = [(file, text) for file, text in found if len(words(text)) > 1 and "[" not in text and file.exists()]
    return [spoken[i * len(spoken) // HOW_MANY] for i in range(HOW_MANY)]


def words(text: str) -> list[str]:
    """The words of a text, without marks and capitals."""
    return re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()


def wrong_words(found: list[str], expected: list[str]) -> int:
    """How many words have to be put in, left out or changed."""
    row = np.arange(len(expected) + 1)
    for word in found:
        change = row[:-1] + np.array([word != other for other in expected])
        new = np.concatenate([[row[0] + 1], np.minimum(change, row[1:] + 1)])
        for i in range(1, len(new)):
            new[i] = min(new[i], new[i - 1] + 1)
        row = new
    return int(row[-1])
