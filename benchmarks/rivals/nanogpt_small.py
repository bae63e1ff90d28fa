"""nanoGPT's small configuration, for characters of Shakespeare, as all who train it here have it."""

L, H, D, LENGTH, N_V = 6, 6, 384, 256, 65
LEARNING_RATE, BETAS, WEIGHT_DECAY, CLIP = 1e-3, (0.9, 0.99), 0.1, 1.0


def operations(batch: int) -> float:
    """Floating-point operations of the products in a training step: 6 for each weight and token, and attention's.

    Attention is counted as if every token saw all, 12 ℓ d a token and layer, as nanoGPT counts it.
    """
    weights = 12 * L * D**2 + N_V * D
    return batch * LENGTH * (6.0 * weights + 12.0 * L * D * LENGTH)
