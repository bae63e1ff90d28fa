"""From Whisper's features of sound to the embeddings of a context: two convolutions, and positions."""

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Float

from ..activations import gelu
from ..linear import aligned
from ..tagging import line


@struct.dataclass
class FrontParameters:
    """`W_1` (d_e, n_mels, 3), `b_1` (d_e,); `W_2` (d_e, d_e, 3), `b_2` (d_e,)."""

    W_1: Float[Array, "d_e n_mels 3"]
    b_1: Float[Array, "d_e"]
    W_2: Float[Array, "d_e d_e 3"]
    b_2: Float[Array, "d_e"]


def whisper_front(
    M: Float[Array, "*batch n_mels l"], params: FrontParameters, W_p: Float[Array, "l_max d_e"]
) -> Float[Array, "*batch l_z d_e"]:
    """What takes the place of lines 1 and 2 of Algorithm 8, as `algorithms/speech/whisper_front.py`.

    Args:
      M: (..., n_mels, ℓ), `log_mel`. A window of 30 s has ℓ = 3000.
      params: `FrontParameters`. W_p: the context's positional table.
    Returns:
      (..., ⌈ℓ/2⌉, d_e), for `encode_embedded`.
    Raises:
      ValueError: the bins of M are not those of W_1, or its windows are longer than the table.
    """
    n_mels, l_z = params.W_1.shape[1], -(-M.shape[-1] // 2)
    if M.ndim < 2 or M.shape[-2] != n_mels:
        raise ValueError(f"whisper_front: M has shape {M.shape}, expected (..., {n_mels}, ℓ), as W_1 has it")
    if not 1 <= l_z <= W_p.shape[0]:
        raise ValueError(f"whisper_front: M has {M.shape[-1]} frames, expected 1 to {2 * W_p.shape[0]}")
    X = line(1, "X", gelu(_convolution(M, params.W_1, params.b_1, stride=1)))
    X = line(2, "X", gelu(_convolution(X, params.W_2, params.b_2, stride=2)))
    X = X.mT
    return line(4, "e_z", X + aligned(W_p[:l_z], X))


def _convolution(X: jax.Array, W: jax.Array, b: jax.Array, stride: int) -> jax.Array:
    """A convolution of width 3 in time, of X (..., d_in, ℓ), with zeros beyond its ends: (..., d_out, ⌈ℓ/stride⌉)."""
    Y = lax.conv_general_dilated(
        X.reshape(-1, *X.shape[-2:]), W, (stride,), [(1, 1)], dimension_numbers=("NCH", "OIH", "NCH")
    )
    Y = Y + b[None, :, None]
    return jnp.reshape(Y, (*X.shape[:-2], *Y.shape[-2:]))
