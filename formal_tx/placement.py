"""Where the norms of a layer stand, and whether its two sub-layers read one after the other.

A sub-layer f (attention, or the MLP) is added to the residual stream X in one of these ways:

    PRE      X + f(norm(X))               Algorithm 10, GPT-2, Llama
    POST     norm(X + f(X))               Algorithms 8 and 9, GPT-1, BERT
    SANDWICH X + norm'(f(norm(X)))        Gemma 2
    BRANCH   X + norm'(f(X))              OLMo 2
    SUB_LN   X + f(norm(X))               Magneto (2210.06423): f normalises what its last matrix reads

and two in which both sub-layers read the same X:

    PARALLEL           X + f(norm_1(X)) + g(norm_2(X))    GPT-NeoX
    PARALLEL_ONE_NORM  X + f(norm_1(X)) + g(norm_1(X))    GPT-J, PaLM
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax

from .parameters import BranchParameters

Norm = Callable[..., jax.Array]
"""(e, gamma, beta, *, epsilon) -> e_hat: `layer_norm`, `rms_norm`, `rms_norm_about_one`, or another."""


class Norms(NamedTuple):
    """The norms of a layer: functions of (X, gamma, beta) that are the identity where no norm stands.

    `branch` takes a sub-layer's output and its `BranchParameters`; `inner` what the last matrix of a sub-layer reads.
    """

    before: Callable[..., jax.Array]
    branch: Callable[..., jax.Array]
    after: Callable[..., jax.Array]
    inner: Callable[..., jax.Array]


@dataclass(frozen=True)
class Placement:
    """Where norms stand.

    Attributes:
      before: on what a sub-layer reads. branch: on what it returns. after: on the sum.
      inner: on what its last matrix reads.
      parallel: both sub-layers read the layer's input, instead of one after the other.
      one_norm: and share one norm.
    Raises:
      ValueError: if they share a norm that does not stand before, or one is shared by sub-layers in sequence.
    """

    before: bool = False
    branch: bool = False
    after: bool = False
    inner: bool = False
    parallel: bool = False
    one_norm: bool = False

    def __post_init__(self) -> None:
        if self.one_norm and not (self.parallel and self.before):
            raise ValueError("one norm is shared by sub-layers in parallel, and stands before them")
        if self.parallel and self.after:
            raise ValueError("sub-layers in parallel have one sum, and no norm after each")

    @property
    def has_norms(self) -> bool:
        """Whether a norm stands before or after a sub-layer: `gamma_1`, `gamma_2` and their like."""
        return self.before or self.after

    def norms(self, norm: Norm, epsilon: float) -> Norms:
        """The norms of a layer in these places."""
        normalise = Normalise(norm, epsilon)

        def here(stands: bool) -> Callable[..., jax.Array]:
            return normalise if stands else _unchanged

        return Norms(here(self.before), partial(_branch, here(self.branch)), here(self.after), here(self.inner))


@dataclass(frozen=True)
class Normalise:
    """A norm with its epsilon: a function of (X, gamma, beta)."""

    norm: Norm
    epsilon: float

    def __call__(self, X: jax.Array, gamma: jax.Array | None, beta: jax.Array | None) -> jax.Array:
        return self.norm(X, gamma, beta, epsilon=self.epsilon)


def _unchanged(X: jax.Array, gamma: Any, beta: Any) -> jax.Array:
    del gamma, beta
    return X


def _branch(norm: Callable[..., jax.Array], X: jax.Array, W: BranchParameters | None) -> jax.Array:
    """A sub-layer's output, normalised and scaled feature by feature (LayerScale, 2103.17239) where it is."""
    if W is None:
        return X
    X = norm(X, W.gamma, W.beta)
    return X if W.scale is None else X * W.scale.reshape((1,) * (X.ndim - 1) + W.scale.shape)


PRE = Placement(before=True)
POST = Placement(after=True)
SANDWICH = Placement(before=True, branch=True)
BRANCH = Placement(branch=True)
SUB_LN = Placement(before=True, inner=True)
PARALLEL = Placement(before=True, parallel=True)
PARALLEL_ONE_NORM = Placement(before=True, parallel=True, one_norm=True)
