"""RoPE (2104.09864): queries and keys are turned by angles proportional to their positions.

A score then depends on the difference of the two positions alone. There are two ways to pair the features that turn
together: neighbours, (0, 1), (2, 3), … (the paper, GPT-J, Meta's Llama, GGUF files of Llama), or halves, (0, r/2),
(1, r/2 + 1), … (GPT-NeoX, Hugging Face's Llama). Weights made for one give nonsense with the other, quietly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi

import jax
import jax.numpy as jnp
import numpy as np

from ..linear import aligned, wide
from ..validation import require_count, require_flags, require_positive

Scaling = Callable[[np.ndarray], np.ndarray]
"""The frequencies (r/2,) of a longer context, from those of the one trained with."""


@dataclass(frozen=True)
class Rotary:
    """A `rotate` of hyperparameters.

    Attributes:
      base: the frequency of pair i is base^(-2i/r).
      size: r, how many features turn, the first ones; all of them (None) unless given.
      neighbours: whether neighbours are paired instead of halves.
      scaling: changes the frequencies for contexts longer than the one trained with.
    Raises:
      ValueError, TypeError: if an odd number of features should turn, the base is not greater than 1, or the scaling is
        no function.
    """

    base: float = 10000.0
    size: int | None = None
    neighbours: bool = False
    scaling: Scaling | None = None

    def __post_init__(self) -> None:
        if self.size is not None and require_count("Rotary", "size", self.size, at_least=2) % 2:
            raise ValueError(f"Rotary: size is {self.size}, expected an even number of features to turn")
        require_positive("Rotary", base=self.base)
        if self.base <= 1:
            raise ValueError(f"Rotary: base is {self.base}, expected a number greater than 1")
        require_flags("Rotary", neighbours=self.neighbours)
        if self.scaling is not None and not callable(self.scaling):
            raise TypeError(f"Rotary: scaling is {self.scaling!r}, expected a function of frequencies")

    def frequencies(self, r: int) -> np.ndarray:
        """The frequencies (r/2,) in float64."""
        frequencies = self.base ** (-2.0 * np.arange(r // 2) / r)
        return frequencies if self.scaling is None else self.scaling(frequencies)

    def __call__(self, X: jax.Array, t: jax.Array) -> jax.Array:
        """Queries or keys X (..., ℓ, d_attn) turned by their positions t, integers that broadcast to (..., ℓ).

        Raises:
          ValueError: if `size` is more than d_attn, or d_attn, all of which should turn, is odd.
        """
        r = X.shape[-1] if self.size is None else self.size
        if r % 2 or r > X.shape[-1]:
            raise ValueError(f"Rotary: {r} of d_attn = {X.shape[-1]} features cannot turn in pairs")
        turning = wide(X[..., :r])
        angle = t[..., None].astype(turning.dtype)
        angle = angle * aligned(jnp.asarray(self.frequencies(r), turning.dtype), angle)
        size = 1.0 if self.scaling is None else getattr(self.scaling, "size", 1.0)
        cos, sin = aligned(size * jnp.cos(angle), X), aligned(size * jnp.sin(angle), X)
        if self.neighbours:
            a, b = turning[..., 0::2], turning[..., 1::2]
            turned = jnp.stack([a * cos - b * sin, a * sin + b * cos], axis=-1).reshape(turning.shape)
        else:
            a, b = turning[..., : r // 2], turning[..., r // 2 :]
            turned = jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
        return jnp.concatenate([turned.astype(X.dtype), X[..., r:]], axis=-1)


@dataclass(frozen=True)
class LinearScaling:
    """Position interpolation (2306.15595): positions are divided by a factor."""

    factor: float

    def __post_init__(self) -> None:
        require_positive("LinearScaling", factor=self.factor)

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        return frequencies / self.factor


@dataclass(frozen=True)
class NTKScaling:
    """NTK-aware scaling: the base grows so that the slowest pair is interpolated and the fastest is left alone."""

    factor: float

    def __post_init__(self) -> None:
        require_positive("NTKScaling", factor=self.factor)

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        pairs = len(frequencies)
        return frequencies * self.factor ** (-np.arange(pairs) / max(pairs - 1, 1))


@dataclass(frozen=True)
class Llama3Scaling:
    """Llama 3.1: slow pairs are interpolated, fast ones are not, and those between are blended.

    Attributes:
      factor: by which slow pairs slow down. context: the length trained with.
      low, high: how many turns within the context make a pair slow, and fast.
    """

    factor: float
    context: int
    low: float = 1.0
    high: float = 4.0

    def __post_init__(self) -> None:
        name = "Llama3Scaling"
        require_positive(name, factor=self.factor, context=self.context, low=self.low, high=self.high)
        if self.low >= self.high:
            raise ValueError(f"{name}: low is {self.low}, expected less than high = {self.high}")

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        turns = self.context * frequencies / (2 * pi)
        blend = np.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return blend * frequencies + (1 - blend) * frequencies / self.factor


@dataclass(frozen=True)
class YaRNScaling:
    """YaRN (2309.00071): a ramp over the pairs, and a size by which queries and keys grow.

    Attributes:
      factor: by which slow pairs slow down. context: the length trained with. base: of the frequencies.
      slow, fast: how many turns within the context make a pair slow, and fast.
      attention: the size; 0.1 ln(factor) + 1 unless given.
    """

    factor: float
    context: int
    base: float = 10000.0
    slow: float = 1.0
    fast: float = 32.0
    attention: float | None = None

    def __post_init__(self) -> None:
        name, numbers = "YaRNScaling", {"factor": self.factor, "context": self.context, "base": self.base}
        require_positive(name, **numbers, slow=self.slow, fast=self.fast)
        if self.attention is not None:
            require_positive(name, attention=self.attention)
        if self.base <= 1:
            raise ValueError(f"{name}: base is {self.base}, expected a number greater than 1")
        if self.slow >= self.fast:
            raise ValueError(f"{name}: slow is {self.slow}, expected less than fast = {self.fast}")

    @property
    def size(self) -> float:
        """By how much queries and keys grow."""
        return 0.1 * log(self.factor) + 1 if self.attention is None else self.attention

    def __call__(self, frequencies: np.ndarray) -> np.ndarray:
        pairs = len(frequencies)

        def pair(turns: float) -> float:
            return pairs * log(self.context / (turns * 2 * pi)) / log(self.base)

        first, last = max(np.floor(pair(self.fast)), 0), min(np.ceil(pair(self.slow)), 2 * pairs - 1)
        ramp = np.clip((np.arange(pairs) - first) / max(last - first, 0.001), 0, 1)
        return frequencies * (1 - ramp) + frequencies / self.factor * ramp
