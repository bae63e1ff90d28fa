"""nanoGPT's training loop in PyTorch: AdamW on matrices only, clipping, warm-up and cosine, the weights copied over."""

import math

import jax
import numpy as np

from tests.oracles.torch_models import free_d_logits, next_token_loss, tensors, torch


class Twin:
    """A decoder in PyTorch with the same initial weights, trained by `torch.optim.AdamW`.

    Args:
      params: the initial weights. hp: the hyperparameters. c: the configuration of the run whose twin it is.
    """

    def __init__(self, params, hp, c):
        self.hp, self.c, self.updates = hp, c, 0
        self.theta = tensors(params, requires_grad=True)
        leaves = jax.tree_util.tree_leaves_with_path(self.theta)
        decayed = [W for path, W in leaves if path[-1].name.startswith("W_")]
        others = [W for path, W in leaves if not path[-1].name.startswith("W_")]
        groups = [{"params": decayed, "weight_decay": c.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.leaves = [W for _, W in leaves]
        self.optimizer = torch.optim.AdamW(groups, lr=c.learning_rate, betas=(c.b1, c.b2), eps=1e-8)

    def learning_rate(self):
        """nanoGPT's get_lr: up in a line, down in a cosine to a share of the peak."""
        c, t = self.c, self.updates
        if t < c.warmup:
            return c.learning_rate * t / c.warmup
        share = (1 + math.cos(math.pi * (t - c.warmup) / (c.steps - c.warmup))) / 2
        return c.learning_rate * (c.final + (1 - c.final) * share)

    def update(self, x):
        """One step on sequences x (B, ℓ) of one document; gives the mean loss and the norm of the gradient."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        x = torch.tensor(np.asarray(x), dtype=torch.long)
        self.optimizer.zero_grad()
        loss = next_token_loss(free_d_logits(self.theta, x, self.hp), x) / x[:, 1:].numel()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.leaves, self.c.clip)
        self.optimizer.step()
        self.updates += 1
        return loss.item(), norm.item()
