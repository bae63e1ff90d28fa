"""Feature maps φ, of which φ(q)·φ(k) is a weight: elu + 1 (2006.16236), and random features (2009.14794).

The authors' code draws new directions at every call; here they are an argument, drawn by `random_directions`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from ..attending import root
from ..contracts import is_concrete
from ..linear import affine, wide
from ..tagging import line
from ..validation import (
    as_arrays,
    require_count,
    require_flags,
    require_floats,
    require_key,
    require_number,
    require_positive,
    require_shapes,
)


@struct.dataclass
class FeatureMap:
    """A function of queries or keys (..., ℓ, E) to features (..., ℓ, n), with the arrays it needs.

    `phi(X, *arguments)` is static under `jit`: use a module-level function. Its features may not be negative: sums of
    what is no weight are no averages.
    """

    phi: Callable = struct.field(pytree_node=False)
    arguments: tuple = ()

    def __call__(self, X: jax.Array) -> jax.Array:
        """The features of X, in at least float32; nan where one is negative that may not be."""
        features = self.phi(wide(X), *self.arguments)
        if self.phi in _NO_NEGATIVE_WEIGHT:
            return features
        return jnp.where(features < 0, jnp.nan, features)


def _elu_plus_one(X):
    # exp of what is not taken is finite, and so is its derivative.
    return line(1, "X_prime", jnp.where(X > 0, X + 1, jnp.exp(jnp.minimum(X, 0))))


def _favor(X, Omega, t):
    X = line(1, "X", _tempered(X, t))
    U = line(2, "U", affine(X, Omega.T.astype(X.dtype)))
    r = line(3, "r", (X * X).sum(axis=-1) / 2)[..., None]
    features = jnp.concatenate([jnp.exp(U - r), jnp.exp(-U - r)], axis=-1)
    return line(4, "X_prime", features / root(features.shape[-1], features))


def _fourier(X, Omega, t, s):
    X = line(1, "X", _tempered(X, t))
    U = line(2, "U", affine(X, Omega.T.astype(X.dtype)))
    waves = jnp.concatenate([jnp.cos(U), jnp.sin(U)], axis=-1) / root(U.shape[-1], U)
    constant = jnp.broadcast_to(jnp.sqrt(s.astype(U.dtype)), (*U.shape[:-1], 1))
    return line(3, "X_prime", jnp.concatenate([waves, constant], axis=-1))


def _relu(X, Omega):
    return line(1, "X_prime", jnp.maximum(affine(X, Omega.T.astype(X.dtype)), 0))


def _tempered(X, t):
    """√t x, of a temperature that makes nan of everything unless it is positive."""
    return X * jnp.where(t > 0, jnp.sqrt(t), jnp.nan).astype(X.dtype)


_NO_NEGATIVE_WEIGHT = (_elu_plus_one, _favor, _fourier, _relu)

elu_plus_one = FeatureMap(_elu_plus_one)
"""φ(x) = elu(x) + 1, entry by entry: equation 7 of 2006.16236. No scale is needed: E does not change what it means."""


def favor(Omega: Float[Array, "E m"], temperature: Any = None) -> FeatureMap:
    """FAVOR+: φ(q)·φ(k) has the expectation exp(t q·k), so that the softmax is approximated (2009.14794, lemma 1).

    φ(x) = exp(±√t Ωᵀx - t‖x‖²/2) / √(2m). The variance grows with exp(t‖q + k‖²): for small queries and keys.

    Args:
      Omega: (E, m) random directions, as `random_directions` makes them; there are 2m features.
      temperature: t, 1/√E unless given.
    Raises:
      TypeError, ValueError: for directions that are no matrix, and a temperature that is not greater than 0.
    """
    return FeatureMap(_favor, _directions("favor", Omega, temperature))


def fourier(Omega: Float[Array, "E m"], smoothing: Any = 1.0, temperature: Any = None) -> FeatureMap:
    """Random Fourier features: φ(q)·φ(k) has the expectation exp(-t‖q - k‖²/2) + s.

    Cosines may be negative. With s ≥ 1 no weight is, whatever the directions.

    Args:
      Omega, temperature: as for `favor`; there are 2m + 1 features. smoothing: s, at least 1.
    Raises:
      TypeError, ValueError: as `favor`, and for a smoothing of less than 1.
    """
    require_number("fourier", "smoothing", smoothing)
    if is_concrete(smoothing) and not np.asarray(smoothing) >= 1:
        raise ValueError(f"fourier: smoothing is {smoothing}, expected at least 1: a weight might be negative")
    smoothing = jnp.asarray(smoothing, float)
    smoothing = jnp.where(smoothing >= 1, smoothing, jnp.nan)
    return FeatureMap(_fourier, (*_directions("fourier", Omega, temperature), smoothing))


def relu(Omega: Float[Array, "E m"]) -> FeatureMap:
    """The positive part of m random projections, generalised attention of 2009.14794.

    Args:
      Omega: (E, m).
    Raises:
      TypeError, ValueError: for directions that are no matrix.
    """
    return FeatureMap(_relu, _directions("relu", Omega, 1.0)[:1])


def _directions(function: str, Omega: Any, temperature: Any) -> tuple[jax.Array, jax.Array]:
    (Omega,) = as_arrays(function, Omega=Omega)
    E = require_shapes(function, Omega=(Omega, "E m"))["E"]
    require_floats(function, Omega=Omega)
    if temperature is not None:  # 0 is no "as usual"
        require_positive(function, temperature=temperature)
    return jnp.asarray(Omega), jnp.asarray(E**-0.5 if temperature is None else temperature, float)


def random_directions(key: PRNGKeyArray, E: int, m: int, *, orthogonal: bool = True) -> Float[Array, "E m"]:
    """Ω (E, m), of which each column has the distribution N(0, 1)^E.

    Args:
      orthogonal: whether columns are orthogonal to each other, E of them at a time, which makes the variance of what is
        approximated smaller.
    Raises:
      TypeError, ValueError: for what is no key, and sizes of less than 1.
    """
    name = "random_directions"
    key = require_key(name, key)
    E, m = require_count(name, "E", E, at_least=1), require_count(name, "m", m, at_least=1)
    require_flags(name, orthogonal=orthogonal)
    return _random_directions(key, E, m, orthogonal)


@partial(jax.jit, static_argnames=("E", "m", "orthogonal"))
def _random_directions(key, E, m, orthogonal):
    if not orthogonal:
        return jax.random.normal(key, (E, m))
    of_directions, of_lengths = jax.random.split(key)
    G = jax.random.normal(of_directions, (-(-m // E), E, E))
    r = jnp.linalg.norm(jax.random.normal(of_lengths, (m, E)), axis=-1)
    return orthogonal_directions(G, r)


def orthogonal_directions(G: Float[Array, "groups E E"], r: Float[Array, " m"]) -> Float[Array, "E m"]:
    """Ω (E, m) of random matrices G and lengths r, both normal: columns of one group are orthogonal to each other."""
    Q, R = jnp.linalg.qr(G)
    # The decomposition is unique, and Q uniformly distributed, if the diagonal of R is positive.
    Q = Q * jnp.where(jnp.diagonal(R, axis1=-2, axis2=-1) < 0, -1, 1).astype(Q.dtype)[..., None, :]
    Q = line(1, "Q", jnp.moveaxis(Q, 0, 1).reshape(Q.shape[-2], -1))
    return line(2, "Omega", Q[:, : len(r)] * r[None, :])


def as_feature_map(function: str, feature_map: Any) -> FeatureMap:
    """A `FeatureMap` from one, or from a function of queries or keys (..., ℓ, E).

    Raises:
      TypeError: for anything else.
    """
    if isinstance(feature_map, FeatureMap):
        return feature_map
    if callable(feature_map):
        return FeatureMap(feature_map)
    raise TypeError(f"{function}: feature_map is a {type(feature_map).__name__}, expected a FeatureMap or a function")


def require_features(function: str, feature_map: FeatureMap, **inputs: Any) -> int:
    """How many features a map makes, n, of each of the inputs (..., ℓ, E).

    Raises:
      ValueError: if it makes something else than (..., ℓ, n), or a feature that can be seen is negative.
    """
    n = 0
    for name, X in inputs.items():
        X = jax.ShapeDtypeStruct(X.shape, X.dtype) if not is_concrete(X, feature_map) else jnp.asarray(X)
        try:
            made = jax.eval_shape(feature_map, X)
        except TypeError as error:
            raise ValueError(f"{function}: the feature map does not take {name} of shape {X.shape}: {error}") from None
        n = made.shape[-1] if made.ndim else 0
        if made.shape != (*X.shape[:-1], n):
            raise ValueError(
                f"{function}: the feature map makes shape {made.shape} of {name} of shape {X.shape}, expected "
                f"{(*X.shape[:-1], 'n')}"
            )
        if isinstance(X, jax.Array) and feature_map.phi not in _NO_NEGATIVE_WEIGHT:
            features = np.asarray(feature_map.phi(wide(X), *feature_map.arguments))
            if (features < 0).any():
                index = [int(i) for i in np.argwhere(features < 0)[0]]
                raise ValueError(
                    f"{function}: the feature map makes {features[tuple(index)]:.3g} of {name} at index {index}, "
                    "expected numbers of at least 0: with negative weights there is no average"
                )
    return n
