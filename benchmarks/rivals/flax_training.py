"""A step of the same training in Flax, as a tutorial would write it."""

from collections.abc import Callable

import jax
import numpy as np
import optax
from flax import nnx

from .flax_gpt import GPT, loss
from .nanogpt_small import BETAS, CLIP, LEARNING_RATE, LENGTH, N_V, WEIGHT_DECAY, D, H, L


def step(batch: int) -> Callable[[], object]:
    """Forward and backward pass, clipping and AdamW."""
    model = GPT(L, H, D, LENGTH, N_V, nnx.Rngs(0))
    adamw = optax.adamw(LEARNING_RATE, *BETAS, weight_decay=WEIGHT_DECAY)
    optimizer = nnx.Optimizer(model, optax.chain(optax.clip_by_global_norm(CLIP), adamw), wrt=nnx.Param)
    x = jax.numpy.asarray(np.random.default_rng(0).integers(N_V, size=(batch, LENGTH)))

    @nnx.jit
    def update(model: GPT, optimizer: nnx.Optimizer, x: jax.Array) -> jax.Array:
        value, gradient = nnx.value_and_grad(loss)(model, x)
        optimizer.update(model, gradient)
        return value

    return lambda: update(model, optimizer, x).block_until_ready()
