"""The same by CTranslate2, in the type of the weights that were converted."""

import os
from collections.abc import Callable

import ctranslate2
import numpy as np

from .prompts import prompts


def generate(directory: str, batch: int, prompt: int, tokens: int, N_V: int) -> Callable[[], np.ndarray]:
    """Of a converted model whose tokens are the texts of their ids, the tokens (batch, tokens) that follow."""
    threads = len(os.sched_getaffinity(0))
    generator = ctranslate2.Generator(directory, device="cpu", compute_type="int8", intra_threads=threads)
    x = [[str(token) for token in row] for row in prompts(batch, prompt, N_V)]
    options = {"min_length": tokens, "max_length": tokens, "sampling_topk": 1, "include_prompt_in_result": False}

    def run() -> np.ndarray:
        found = generator.generate_batch(x, beam_size=1, **options)
        return np.array([result.sequences_ids[0] for result in found])

    return run
