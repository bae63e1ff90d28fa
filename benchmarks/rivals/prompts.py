"""What is to be continued: the same random tokens for everybody."""

import numpy as np


def prompts(batch: int, length: int, N_V: int) -> np.ndarray:
    """(batch, length) token ids, int32; the last three, which may be special, are not among them."""
    return np.random.default_rng(0).integers(N_V - 3, size=(batch, length)).astype(np.int32)
