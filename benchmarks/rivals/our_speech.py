"""What is said in recordings, by Algorithm 8 with Whisper's weights."""

from collections.abc import Callable

import numpy as np

from formal_tx.models import load
from formal_tx.speech import Whisper, decode_window, hear


def transcriptions(model: str, features: str) -> Callable[[], list[list[int]]]:
    """The tokens of each recording, greedy and without timestamps."""
    whisper, mels = Whisper.of(load(model)), np.load(features)
    prompt = [whisper.tokens.start, whisper.tokens.no_timestamps]

    def tokens(mel: np.ndarray) -> list[int]:
        heard = hear(mel, whisper.params, whisper.hyperparameters)
        decoded = decode_window(whisper, heard, prompt, timestamps=False)
        return np.asarray(decoded.tokens)[: int(decoded.count)].tolist()

    return lambda: [tokens(mel) for mel in mels]
