"""What the parts are to the laws: layer norm, unembedding, embeddings, training, generation. As in `adapters.py`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..draws import normal
from .models import Array, Model


@dataclass(frozen=True, kw_only=True)
class NormalizationModel(Model):
    """Layer norm: `call` is (e (d,), gamma (d,), beta (d,), epsilon) → (d,), for epsilon 0 too."""

    call: Callable[[Array, Array, Array, float], Array]
    d: int = 7

    def inputs(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return normal(rng, self.d), 1 + 0.25 * normal(rng, self.d), normal(rng, self.d)

    def example(self, rng):
        return (lambda e, gamma, beta: self.call(e, gamma, beta, 0.0)), self.inputs(rng)


@dataclass(frozen=True, kw_only=True)
class UnembeddingModel(Model):
    """From a token's encoding to probabilities: `call` is (e (d,), W_u (N_V, d)) → (N_V,)."""

    call: Callable[[Array, Array], Array]

    def example(self, rng):
        return self.call, (normal(rng, 7), normal(rng, 13, 7))


@dataclass(frozen=True, kw_only=True)
class LookupModel(Model):
    """A row of a table: `call` is (index, table (n, d)) → (d,)."""

    call: Callable[[int, Array], Array]

    def example(self, rng):
        index = int(rng.integers(7))
        return (lambda table: self.call(index, table)), (normal(rng, 7, 5),)


@dataclass(frozen=True, kw_only=True)
class TrainingModel(Model):
    """Training: `train` is (parameters, epochs) → parameters, each as one vector of all their numbers.

    Attributes:
      parameters: (n,) NumPy, what training starts from. continues: whether two epochs are one, and then another.
    """

    train: Callable[[Array, int], Array]
    parameters: np.ndarray
    continues: bool = True

    def example(self, rng):
        del rng  # the data are the adapter's
        return (lambda theta: self.train(theta, 1)), (self.parameters,)


@dataclass(frozen=True, kw_only=True)
class GenerationModel(Model):
    """Generation: `generate` is (prompt, length) → the tokens after it, with the same random numbers at each position.

    Attributes:
      prompt: ids. continues: whether its own answer may be appended to the prompt, as with a decoder.
    """

    generate: Callable[[list[int], int], Array]
    prompt: list[int]
    continues: bool = True

    def example(self, rng):
        del rng
        return (lambda: self.generate(list(self.prompt), 5)), ()
