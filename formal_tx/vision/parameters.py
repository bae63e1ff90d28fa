"""What a Vision Transformer has beside the layers of Algorithm 9."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from ..hyperparameters import ETransformerHyperparameters
from ..initialization import init_e_transformer
from ..parameters import ETransformerParameters


@dataclass(frozen=True, kw_only=True)
class VisionTransformerHyperparameters:
    """How an image becomes a sequence, and what reads it.

    Attributes:
      encoder: those of Algorithm 9's layers; an encoder of vectors (`N_V=0`, `head=False`, `table=None`).
      P: side of a patch, in pixels. C: channels.
      grid: rows and columns of patches in the images that it was trained on.
      N_cls: how many tokens stand before the patches (two in a DeiT that was distilled).
      N_r: how many registers stand between them and the patches (2309.16588).
      antialias, offset: how positions are resized to another grid, as in `interpolate_positions`.
    Raises:
      ValueError: names the hyperparameter, its value and what was expected.
    """

    encoder: ETransformerHyperparameters
    P: int
    grid: tuple[int, int]
    C: int = 3
    N_cls: int = 1
    N_r: int = 0
    antialias: bool = False
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name, at_least in (("P", 1), ("C", 1), ("N_cls", 1), ("N_r", 0)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
                raise ValueError(f"{name} is {value!r}, expected an integer of at least {at_least}")
        grid: Any = self.grid
        if not isinstance(grid, tuple) or len(grid) != 2 or not all(isinstance(n, int) and n > 0 for n in grid):
            raise ValueError(f"grid is {grid!r}, expected the numbers of rows and columns")
        if self.encoder.N_V or self.encoder.head or self.encoder.table is not None:
            raise ValueError(
                f"encoder is {self.encoder!r}, expected one that reads vectors: N_V=0, head=False, table=None"
            )


@struct.dataclass
class VisionTransformerParameters:
    """θ: `W_e` (d_e, C·P·P), `b_e` (d_e,), the first tokens `X_cls` (N_cls, d_e), positions `W_p` (N_cls + n, d_e).

    `X_r` (N_r, d_e) are registers, None without them; `encoder` is what Algorithm 9 has for its layers.
    """

    W_e: Float[Array, "d_e C_P_P"]
    b_e: Float[Array, "d_e"]
    X_cls: Float[Array, "N_cls d_e"]
    W_p: Float[Array, "positions d_e"]
    encoder: ETransformerParameters
    X_r: Float[Array, "N_r d_e"] | None = None


def init_vision_transformer(
    key: PRNGKeyArray, hyperparameters: VisionTransformerHyperparameters
) -> VisionTransformerParameters:
    """Random parameters: matrices of N(0, 1/d_in), tokens and positions of N(0, 0.02²), b_e at 0."""
    hp = hyperparameters
    d_e, patch, n = hp.encoder.d_e, hp.C * hp.P**2, hp.grid[0] * hp.grid[1]
    of_patches, of_tokens, of_positions, of_registers, of_encoder = jax.random.split(key, 5)
    return VisionTransformerParameters(
        W_e=jax.random.normal(of_patches, (d_e, patch)) / patch**0.5,
        b_e=jnp.zeros(d_e),
        X_cls=0.02 * jax.random.normal(of_tokens, (hp.N_cls, d_e)),
        W_p=0.02 * jax.random.normal(of_positions, (hp.N_cls + n, d_e)),
        encoder=init_e_transformer(of_encoder, hp.encoder),
        X_r=0.02 * jax.random.normal(of_registers, (hp.N_r, d_e)) if hp.N_r else None,
    )
