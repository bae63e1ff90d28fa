"""nanoGPT's model in PyTorch, written anew from its description: GPT-2 with fused attention and tied embeddings."""

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Causal attention of several heads: queries, keys and values by one product, then PyTorch's fused kernel."""

    def __init__(self, d: int, H: int) -> None:
        super().__init__()
        self.H = H
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        batch, l, d = X.shape
        Q, K, V = (A.view(batch, l, self.H, d // self.H).transpose(1, 2) for A in self.qkv(X).split(d, dim=2))
        Y = functional.scaled_dot_product_attention(Q, K, V, is_causal=True)
        return self.out(Y.transpose(1, 2).contiguous().view(batch, l, d))


class Block(nn.Module):
    """A layer: norms before attention and MLP."""

    def __init__(self, d: int, H: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = Attention(d, H)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = X + self.attention(self.norm_1(X))
        return X + self.mlp(self.norm_2(X))


class GPT(nn.Module):
    """Logits of the next token; the unembedding is the embedding."""

    def __init__(self, L: int, H: int, d: int, l_max: int, N_V: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(N_V, d), nn.Embedding(l_max, d)
        self.blocks = nn.ModuleList(Block(d, H) for _ in range(L))
        self.norm = nn.LayerNorm(d)
        for W in self.parameters():
            if W.dim() > 1:
                nn.init.normal_(W, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        X = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            X = block(X)
        return self.norm(X) @ self.tokens.weight.T


def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The mean - log p of each token of `x` (batch, ℓ) after the first."""
    logits = model(x)[:, :-1]
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), x[:, 1:].reshape(-1))
