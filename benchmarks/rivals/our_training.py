"""A step of the same training as `formal-tx train decoder` makes it: its optimiser, its compiled step."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from formal_tx.runs.configuration import Configuration
from formal_tx.runs.reporting import Reporter
from formal_tx.runs.trainer import Trainer

from .nanogpt_small import BETAS, CLIP, LEARNING_RATE, LENGTH, N_V, WEIGHT_DECAY, D, H, L


def configuration(batch: int) -> Configuration:
    """What a user would write into a file for `formal-tx train`."""
    return Configuration(
        architecture="decoder",
        L=L,
        H=H,
        d_e=D,
        d_mlp=4 * D,
        l_max=LENGTH,
        tied_embeddings=True,
        batch_size=batch,
        learning_rate=LEARNING_RATE,
        b1=BETAS[0],
        b2=BETAS[1],
        weight_decay=WEIGHT_DECAY,
        clip=CLIP,
    )


class Steps(Trainer):
    """A trainer that is given its batches, and only trains."""

    def step(self, n: int, batch: dict[str, Any]) -> jax.Array:
        """Step n, counted from 0; gives the loss."""
        self.state, measured = self.update(self.state, self._placed(batch), n)
        return measured["loss"]


def step(batch: int) -> Callable[[], object]:
    """Forward and backward pass, clipping and AdamW, the schedule and what the log says of the gradient."""
    characters: Any = SimpleNamespace(tokenizer=SimpleNamespace(N_V=N_V))
    with tempfile.TemporaryDirectory() as directory:
        steps = Steps(configuration(batch), Path(directory), characters, Reporter())
    x = np.random.default_rng(0).integers(N_V, size=(batch, LENGTH)).astype(np.int32)
    data = {"x": x, "segments": np.zeros_like(x)}
    return lambda: steps.step(0, data).block_until_ready()
