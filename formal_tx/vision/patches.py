"""An image as a sequence of patches, and back."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..contracts import algorithm
from ..tagging import line
from ..validation import as_arrays, require_count, require_shapes


def require_patches(function: str, I, P: int) -> None:
    """Raise `ValueError` unless an image (..., H, W, C) divides into patches of P × P."""
    require_count(function, "P", P, 1)
    sizes = require_shapes(function, I=(I, "... H W C"))
    if not sizes["H"] or not sizes["W"] or sizes["H"] % P or sizes["W"] % P:
        raise ValueError(
            f"{function}: I has shape {I.shape}, expected (..., H, W, C) with H and W multiples of P = {P}"
        )


def _patchify_requires(I, P):
    (I,) = as_arrays("patchify", I=I)
    require_patches("patchify", I, P)
    return {"I": jnp.asarray(I)}


@algorithm(_patchify_requires, static=("P",))
def patchify(I: Float[Array, "*batch H W C"], P: int) -> Float[Array, "*batch n C_P_P"]:
    """The patches of images, row by row of the image.

    Args:
      I: (..., H, W, C) images. P: side of a patch, which divides H and W.
    Returns:
      (..., n, C·P·P): each patch channel by channel, and each channel row by row, so that a matrix after it is a
      convolution of stride P, and PyTorch's weights (d_e, C, P, P) are that matrix, flattened.
    Raises:
      ValueError: if P does not divide the image.
    """
    *batch, H, W, C = I.shape
    X = jnp.einsum("...irjsc->...ijcrs", I.reshape(*batch, H // P, P, W // P, P, C))
    return line(5, "X", X.reshape(*batch, H // P * (W // P), C * P * P))


def unpatchify(X: Float[Array, "*batch n C_P_P"], P: int, grid: tuple[int, int]) -> Float[Array, "*batch H W C"]:
    """The images (..., H, W, C) of patches (..., n, C·P·P): the inverse of `patchify`; `grid` is (H/P, W/P)."""
    *batch, _, width = X.shape
    parts = X.reshape(*batch, *grid, width // P**2, P, P)
    return jnp.einsum("...ijcrs->...irjsc", parts).reshape(*batch, grid[0] * P, grid[1] * P, width // P**2)
