"""What a model is to the laws: a few functions with a common layout. What is None is what the model does not offer.

Rows are tokens, masks are boolean and true where a query may attend to a key, and all functions take and give arrays of
the model's framework. A model that has other conventions is wrapped in functions that have these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..draws import normal
from ..tolerances import FOREIGN, tolerance
from .frameworks import FRAMEWORKS, Framework

Array = Any


def causal(l_x: int, l_z: int) -> np.ndarray:
    """The unidirectional mask (ℓ_x, ℓ_z)."""
    return np.arange(l_z) <= np.arange(l_x)[:, None]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What every adapter says.

    Attributes:
      name: of the model, for the report.
      framework: numpy, jax or torch, which is what its arrays are. dtype: float64 or float32, of what goes in.
      rounding: the type of its least precise step, if that is not `dtype`: a softmax that is always in float32, say.
      watched: arrays that the model holds (its parameters), which no call may change.
    Raises:
      ValueError: for another framework or dtype.
    """

    name: str
    framework: str = "numpy"
    dtype: str = "float64"
    rounding: str | None = None
    watched: Any = None

    def __post_init__(self) -> None:
        for field, known in (("framework", FRAMEWORKS), ("dtype", FOREIGN), ("rounding", FOREIGN)):
            value = getattr(self, field)
            if value not in known and not (field == "rounding" and value is None):
                raise ValueError(f"{self.name}: {field} is {value!r}, expected one of {', '.join(known)}")

    @property
    def tools(self) -> Framework:
        return FRAMEWORKS[self.framework]

    def run(self, function: Callable[..., Array], *arrays: Any) -> np.ndarray:
        """`function` of these NumPy arrays, as NumPy."""
        return self.tools.numpy(function(*(self.tools.array(a, self.dtype) for a in arrays)))

    def allowed(self, terms: int = 64) -> float:
        """How far two results may differ that are equal but for rounding."""
        return tolerance(self.rounding or self.dtype, terms, foreign=True)

    def example(self, rng: np.random.Generator) -> tuple[Callable[..., Array], tuple[Any, ...]]:
        """A function of the model and NumPy arguments for it, of the same shapes each time."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AttentionModel(Model):
    """Attention with one head or several.

    Attributes:
      call: (X (ℓ_x, d_x), Z (ℓ_z, d_z), mask (ℓ_x, ℓ_z)) → (ℓ_x, d_out), for any ℓ_x and ℓ_z.
      masked: whether it looks at `mask`. causal: whether it hides later keys by itself, whatever the mask says.
      crosses: whether X and Z may differ; if not, X is Z.
      batched: the same with a leading axis on all of its arrays.
      weights: (X, Z, mask) → (..., ℓ_x, ℓ_z), what it attends to.
      reordered: (an order of the heads) → a `call` of the model with its heads, and W_o's blocks, in that order.
      heads: how many there are, which `reordered` needs.
      shifted: a `call` of the model with another key bias, which adds a constant to all scores of each query.
      prefill: (X (ℓ, d_x)) → cache, ℓ ≥ 0. step: (x (d_x,), cache) → (answer (d_out,), cache). Of causal attention.
      room: how many tokens the cache has room for, 7 at least; None if there is no end.
    """

    call: Callable[[Array, Array, Array], Array]
    d_x: int
    d_z: int
    masked: bool = True
    causal: bool = False
    crosses: bool = True
    batched: Callable[[Array, Array, Array], Array] | None = None
    weights: Callable[[Array, Array, Array], Array] | None = None
    reordered: Callable[[np.ndarray], Callable[[Array, Array, Array], Array]] | None = None
    heads: int | None = None
    shifted: Callable[[Array, Array, Array], Array] | None = None
    prefill: Callable[[Array], Any] | None = None
    step: Callable[[Array, Any], tuple[Array, Any]] | None = None
    room: int | None = None

    def inputs(self, rng: np.random.Generator, l_x: int = 5, l_z: int = 7) -> tuple[np.ndarray, ...]:
        """X, Z and a mask that lets every query see a key; causal or self-attention has ℓ_x = ℓ_z."""
        l_x = l_x if self.crosses and not self.causal else l_z
        X, Z = normal(rng, l_x, self.d_x), normal(rng, l_z, self.d_z)
        mask = rng.random((l_x, l_z)) < 0.5
        mask[np.arange(l_x), np.arange(l_x) % l_z] = True
        return X, Z if self.crosses else X, mask if self.masked else np.ones_like(mask)

    def seen(self, mask: np.ndarray) -> np.ndarray:
        """The mask that has an effect."""
        return mask & causal(*mask.shape) if self.causal else mask

    def example(self, rng):
        return self.call, self.inputs(rng)


@dataclass(frozen=True, kw_only=True)
class SequenceModel(Model):
    """A row for each token of a sequence: an encoder, a decoder, or the decoder's side of Algorithm 8.

    Attributes:
      rows: (ids (ℓ,)) → (ℓ, n), for 1 ≤ ℓ ≤ l_max. N_V: ids are less than it.
      causal: whether row t depends on tokens up to t alone. distributions: whether rows are probabilities.
      batched: (ids (batch, ℓ)) → (batch, ℓ, n).
      padded: (ids (batch, ℓ), real (batch, ℓ)) → (batch, ℓ, n), `real` boolean and false in the padding.
      padded_left: whether `padded` takes padding before a sequence too.
      embed: (ids) → (ℓ, d), and embedded: (ℓ, d) → (ℓ, n), the model from there on, for gradients.
      without_positions: `rows` of the model with its positions taken out.
      weights: (ids) → (..., ℓ, ℓ), what it attends to.
      prefill: (ids (ℓ,)) → cache, ℓ ≥ 1. step: (id, position, cache) → (row (n,), cache).
      hyperparameters: the library's, where it has them.
    """

    rows: Callable[[Array], Array]
    N_V: int
    l_max: int
    causal: bool
    distributions: bool = False
    batched: Callable[[Array], Array] | None = None
    padded: Callable[[Array, Array], Array] | None = None
    padded_left: bool = False
    embed: Callable[[Array], Array] | None = None
    embedded: Callable[[Array], Array] | None = None
    without_positions: Callable[[Array], Array] | None = None
    weights: Callable[[Array], Array] | None = None
    prefill: Callable[[Array], Any] | None = None
    step: Callable[[int, int, Any], tuple[Array, Any]] | None = None
    hyperparameters: Any = None

    def ids(self, rng: np.random.Generator, length: int = 7) -> np.ndarray:
        """Token ids, no two of which are the same."""
        return rng.permutation(self.N_V)[: min(length, self.l_max)]

    def example(self, rng):
        return self.rows, (self.ids(rng),)


@dataclass(frozen=True, kw_only=True)
class ContextModel(Model):
    """An encoder-decoder as a function of its context `z`, with `x` kept.

    Attributes:
      rows: (ids of z (ℓ_z,)) → (ℓ_x, n). N_V: ids are less than it.
      padded: (z (batch, ℓ_z), real (batch, ℓ_z)) → (batch, ℓ_x, n), padding on the right.
      without_positions: `rows` of the model with its positions taken out.
    """

    rows: Callable[[Array], Array]
    N_V: int
    padded: Callable[[Array, Array], Array] | None = None
    without_positions: Callable[[Array], Array] | None = None
    hyperparameters: Any = None

    def ids(self, rng: np.random.Generator, length: int = 7) -> np.ndarray:
        return rng.permutation(self.N_V)[:length]

    def example(self, rng):
        return self.rows, (self.ids(rng),)
