"""The same by CTranslate2, in float32."""

import os
from collections.abc import Callable

import ctranslate2
import numpy as np

PROMPT = ["<|startoftranscript|>", "<|notimestamps|>"]


def transcriptions(model: str, features: str) -> Callable[[], list[list[int]]]:
    """The tokens of each recording, greedy and without timestamps."""
    threads = len(os.sched_getaffinity(0))
    whisper = ctranslate2.models.Whisper(model, device="cpu", compute_type="float32", intra_threads=threads)
    mels = np.load(features)

    def tokens(mel: np.ndarray) -> list[int]:
        heard = ctranslate2.StorageView.from_array(mel[None])
        return whisper.generate(heard, [PROMPT], beam_size=1, max_length=448)[0].sequences_ids[0]

    return lambda: [tokens(mel) for mel in mels]
