"""The same attention by PyTorch's fused kernel."""

from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention

H, D = 6, 64


def _inputs(l: int, differentiated: bool) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, H, l, D, generator=generator, requires_grad=differentiated) for _ in range(3)]


def forward(l: int) -> Callable[[], object]:
    """The answers to `l` tokens, each of which sees the tokens up to itself."""
    Q, K, V = _inputs(l, differentiated=False)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return scaled_dot_product_attention(Q, K, V, is_causal=True)

    return run


def gradients(l: int) -> Callable[[], object]:
    """The answers and the gradients of queries, keys and values."""
    inputs = _inputs(l, differentiated=True)
    G = torch.randn(1, H, l, D)
    return lambda: torch.autograd.grad(scaled_dot_product_attention(*inputs, is_causal=True), inputs, G)
