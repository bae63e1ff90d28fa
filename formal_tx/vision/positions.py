"""Positions of a grid of patches that was not trained on, from those of one that was, by cubic convolution."""

from functools import cache
from math import floor

import jax
import jax.numpy as jnp
import numpy as np

from ..tagging import line


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The kernel of cubic convolution."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@cache
def resampling_matrix(m: int, n: int, offset: float = 0.0, antialias: bool = False) -> np.ndarray:
    """The matrix (n, m) that resizes m numbers to n, as PyTorch's `interpolate(mode="bicubic")` does.

    Args:
      offset: added to n where the scale (n + offset) / m is computed.
      antialias: the kernel is as wide as the scale asks for, and has a = -0.5 in place of -0.75.
    """
    ratio = m / (n + offset)
    R = np.zeros((n, m))
    for i in range(n):
        center = (i + 0.5) * ratio
        if antialias:
            stretch = max(ratio, 1.0)
            taps = np.arange(max(int(center - 2 * stretch + 0.5), 0), min(int(center + 2 * stretch + 0.5), m))
            weights = _cubic((taps + 0.5 - center) / stretch, -0.5)
            R[i, taps] = weights / weights.sum()
        else:
            taps = floor(center - 0.5) + np.arange(-1, 3)
            np.add.at(R[i], np.clip(taps, 0, m - 1), _cubic(center - 0.5 - taps, -0.75))
    R.flags.writeable = False
    return R


def interpolate_positions(
    W_p: jax.Array, M: tuple[int, int], grid: tuple[int, int], offset: float = 0.0, antialias: bool = False
) -> jax.Array:
    """The positions (k + grid₀·grid₁, d_e) of another grid of patches.

    Args:
      W_p: (k + M₀·M₁, d_e): those of k first tokens, which stay as they are, and of a grid of M₀ × M₁ patches.
      offset: 0.1 in DINOv2 as it was published, 0 in Hugging Face's. antialias: as DINOv2 with registers has it.
    Raises:
      ValueError: if the table has fewer rows than the grid has patches.
    """
    k = len(W_p) - M[0] * M[1]
    if k < 0:
        raise ValueError(f"interpolate_positions: W_p has {len(W_p)} rows, fewer than the {M[0]} × {M[1]} patches of M")
    if grid == M:
        return W_p
    rows, columns = (
        jnp.asarray(resampling_matrix(m, n, offset, antialias), W_p.dtype) for m, n in zip(M, grid, strict=True)
    )
    patches = jnp.einsum("ia,jb,abd->ijd", rows, columns, W_p[k:].reshape(*M, -1))
    return line(7, "W", jnp.concatenate([W_p[:k], patches.reshape(-1, W_p.shape[-1])]))
