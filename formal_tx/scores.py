"""What is done to scores and to logits before a softmax: soft caps, and several changes in turn; and QK-norms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from .linear import aligned, wide
from .validation import require_flags, require_positive


@dataclass(frozen=True)
class SoftCap:
    """c · tanh(S / c), between -c and c: Gemma 2's attention (c = 50) and logits (c = 30).

    Raises:
      ValueError, TypeError: unless c is a finite number greater than 0.
    """

    cap: float

    def __post_init__(self) -> None:
        require_positive("SoftCap", cap=self.cap)

    @property
    def rows(self) -> int:
        """How many rows its learned table has: it has none."""
        return 0

    def __call__(self, S: jax.Array, t_x: object = None, t_z: object = None, W_r: object = None) -> jax.Array:
        """S of any shape; where it stands, and a table, change nothing."""
        del t_x, t_z, W_r
        return self.cap * jnp.tanh(S / self.cap)


def rows_of(score: Callable[..., jax.Array]) -> int:
    """How many rows the learned table of a score has; a function that does not say has none."""
    return getattr(score, "rows", 0)


@dataclass(frozen=True)
class InTurn:
    """Several scores, one after the other; at most one of them has a learned table.

    Raises:
      ValueError: if there is none, or more than one has a learned table. TypeError: for what is no function.
    """

    scores: tuple[Callable[..., jax.Array], ...]

    def __post_init__(self) -> None:
        scores: Any = self.scores
        if not isinstance(scores, tuple) or not scores:
            raise ValueError(f"InTurn: scores is {scores!r}, expected a tuple of at least one")
        for i, score in enumerate(self.scores):
            if not callable(score):
                raise TypeError(f"InTurn: scores[{i}] is {score!r}, expected a function")
        if sum(rows_of(score) > 0 for score in self.scores) > 1:
            raise ValueError("InTurn: more than one score has a learned table, and there is one table")

    @property
    def rows(self) -> int:
        """How many rows the learned table has."""
        return max(rows_of(score) for score in self.scores)

    def __call__(self, S: jax.Array, t_x: jax.Array, t_z: jax.Array, W_r: jax.Array | None) -> jax.Array:
        """S (..., H, ℓ_x, ℓ_z) changed by each."""
        for score in self.scores:
            S = score(S, t_x, t_z, W_r)
        return S


@dataclass(frozen=True)
class QKNorm:
    """RMSNorm of queries or keys, over the features of a head, or over those of all heads.

    Attributes:
      epsilon: added to the mean square.
      all_heads: one norm over all heads with a γ (H, d_attn) (OLMo 2), instead of one for each head with the same γ
        (d_attn,) (Qwen 3).
    Raises:
      ValueError, TypeError: unless epsilon is a finite number of at least 0.
    """

    epsilon: float = 1e-6
    all_heads: bool = False

    def __post_init__(self) -> None:
        require_flags("QKNorm", all_heads=self.all_heads)
        if self.epsilon != 0:
            require_positive("QKNorm", epsilon=self.epsilon)

    def __call__(self, A: jax.Array, gamma: jax.Array) -> jax.Array:
        """A (..., H, ℓ, d_attn), gamma (d_attn,) or (H, d_attn)."""
        B = wide(A)
        mean = jnp.mean(B**2, axis=(-3, -1) if self.all_heads else -1, keepdims=True)
        scale = wide(gamma)[:, None, :] if gamma.ndim > 1 else wide(gamma)
        return (B / jnp.sqrt(mean + self.epsilon) * aligned(scale, B)).astype(A.dtype)
