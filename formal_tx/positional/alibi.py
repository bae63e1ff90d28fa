"""ALiBi (2108.12409): a penalty for distance, with a slope of its own for each head."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..linear import aligned
from ..validation import require_count, require_positive


def slopes(H: int, largest_exponent: float = 8.0) -> np.ndarray:
    """The slopes (H,): 2^(-8h/H) for h = 1 … H if H is a power of two.

    Otherwise those of the next power of two, every second one of them first, as the released code has it.

    Raises:
      ValueError: unless H is an integer of at least 1.
    """
    require_count("slopes", "H", H, at_least=1)
    P = 1 << (H - 1).bit_length()
    all_of_them = 2.0 ** (-largest_exponent * np.arange(1, P + 1) / P)
    return all_of_them if P == H else np.concatenate([all_of_them[1::2], all_of_them[::2]])[:H]


@dataclass(frozen=True)
class Alibi:
    """A score: S[h, t_x, t_z] - slope_h · |t_x - t_z|, as a `score` of hyperparameters.

    Raises:
      ValueError, TypeError: unless the exponent of the smallest slope is a finite number greater than 0.
    """

    largest_exponent: float = 8.0

    def __post_init__(self) -> None:
        require_positive("Alibi", largest_exponent=self.largest_exponent)

    @property
    def rows(self) -> int:
        """How many rows its learned table has: it has none."""
        return 0

    def __call__(self, S: jax.Array, t_x: jax.Array, t_z: jax.Array, W_r: None = None) -> jax.Array:
        """S (..., H, ℓ_x, ℓ_z) with the penalty; positions t_x (..., ℓ_x) and t_z (..., ℓ_z)."""
        del W_r
        distance = jnp.abs(t_x[..., None, :, None] - t_z[..., None, None, :]).astype(S.dtype)
        slope = jnp.asarray(slopes(S.shape[-3], self.largest_exponent), S.dtype)[:, None, None]
        return S - aligned(distance * aligned(slope, distance), S)
