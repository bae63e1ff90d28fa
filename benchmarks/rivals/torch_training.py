"""A step of nanoGPT's training in PyTorch, eager or compiled."""

from collections.abc import Callable

import numpy as np
import torch

from .nanogpt_small import BETAS, CLIP, LEARNING_RATE, LENGTH, N_V, WEIGHT_DECAY, D, H, L
from .torch_gpt import GPT, loss


def step(batch: int, compiled: bool = False) -> Callable[[], object]:
    """Forward and backward pass, clipping and AdamW, of which only matrices decay."""
    torch.manual_seed(0)
    model = GPT(L, H, D, LENGTH, N_V)
    matrices = [W for W in model.parameters() if W.dim() > 1]
    others = [W for W in model.parameters() if W.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS)
    trained = torch.compile(model) if compiled else model
    x = torch.tensor(np.random.default_rng(0).integers(N_V, size=(batch, LENGTH)))

    def run() -> float:
        value = loss(trained, x)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return value.item()

    return run
