"""What variations change in Algorithm 4."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from .linear import aligned, softmax
from .tagging import line


@dataclass(frozen=True)
class Attending:
    """What variations change in Algorithm 4; as it stands, nothing.

    Attributes:
      rotate: (Q or K, t) -> the same shape: turns queries and keys (..., ℓ, d_attn) by their positions (RoPE).
      score: (S, t_x, t_z, W_r) -> S: changes the scaled scores (..., H, ℓ_x, ℓ_z) before the mask (ALiBi, T5, caps).
      scale: what scores are multiplied by; 1 / √d_attn unless given.
      normalise: (Q or K, gamma) -> the same shape: normalises queries and keys (QK-norm), before they turn.
      inner: (Y, gamma, beta) -> Y: normalises the stacked heads before W_o (sub-LN).
    """

    rotate: Callable[..., jax.Array] | None = None
    score: Callable[..., jax.Array] | None = None
    scale: float | None = None
    normalise: Callable[..., jax.Array] | None = None
    inner: Callable[..., jax.Array] | None = None

    def turned(self, A: jax.Array, gamma: jax.Array | None, t: jax.Array | None) -> jax.Array:
        """Queries or keys (..., heads, ℓ, d_attn) normalised and turned; t (..., ℓ), by default 0, 1, 2, …"""
        if self.normalise is not None:
            A = self.normalise(A, gamma)
        return A if self.rotate is None else self.rotate(A, _positions(t, A, A.shape[-2]))

    def scaled(self, S: jax.Array, d_attn: int) -> jax.Array:
        """S / √d_attn, or the scale that is given instead."""
        return S / root(d_attn, S) if self.scale is None else S * jnp.asarray(self.scale, S.dtype)

    def weights(self, S, mask, d_attn, t_x=None, t_z=None, W_r=None):
        """Lines 5 and 6 of Algorithm 4: S masked, and the softmax of what then is S / √d_attn."""
        if self.score is not None:
            t_x = jnp.arange(S.shape[-2]) if t_x is None else t_x
            t_z = jnp.arange(S.shape[-1]) if t_z is None else t_z
            S = self.score(self.scaled(S, d_attn), t_x, t_z, W_r)
        S = line(5, "S", jnp.where(aligned(mask, S), S, -jnp.inf))
        return line(6, "A", softmax(S if self.score is not None else self.scaled(S, d_attn)))


def root(d_attn: int, like: jax.Array) -> jax.Array:
    """√d_attn, in the type of `like`."""
    return jnp.sqrt(jnp.asarray(d_attn, like.dtype))


def _positions(t: jax.Array | None, A: jax.Array, length: int) -> jax.Array:
    """Positions (..., ℓ) with an axis for the heads of A (..., heads, ℓ, d) where they have axes for a batch."""
    if t is None:
        return jnp.arange(length)
    return t if t.ndim == 1 else t.reshape(*t.shape[:-1], *(1,) * (A.ndim - 1 - t.ndim), length)


AS_PRINTED = Attending()
"""Algorithm 4 as printed."""
