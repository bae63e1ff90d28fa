"""The loss of a small decoder and its gradient, for sizes of which one grows."""

from collections.abc import Callable

import jax
import numpy as np

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.losses import d_loss


def gradients(l: int, L: int, batch: int) -> Callable[[], object]:
    """Forward and backward pass of Algorithm 13 for `batch` sequences of `l` tokens, through L layers."""
    hp = DTransformerHyperparameters(l_max=l, L=L, H=4, d_e=256, d_mlp=1024, N_V=256, tied_embeddings=True)
    params = jax.jit(lambda key: init_d_transformer(key, hp))(jax.random.key(0))
    x = np.random.default_rng(0).integers(hp.N_V, size=(batch, l)).astype(np.int32)
    gradient = jax.jit(jax.grad(lambda params, x: d_loss(params, x, hp, mean=True)))
    return lambda: jax.block_until_ready(gradient(params, x))
