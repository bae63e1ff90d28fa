"""The ∞-former (2109.00301): a memory of the whole past whose size and cost do not depend on its length.

The past is a function of time, x(t) = ψ(t) B for t in [0, 1], of N basis functions ψ, Gaussians of unit area. A segment
that is done is put behind it: what was remembered is squeezed into [0, τ], and the coefficients B are fitted anew. A
query looks at the memory with a Gaussian density over t, and is answered with the expectation of the values under it.

The matrices G of the fits depend on sizes alone. They are computed once, in float64, by Cholesky's decomposition.
"""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from ..attending import root
from ..contracts import algorithm
from ..linear import affine, aligned
from ..tagging import line
from ..validation import as_arrays, require_floats, require_positive
from .infinite_contracts import Density, MemoryHyperparameters, MemoryParameters, require, where_right

__all__ = [
    "Density",
    "MemoryHyperparameters",
    "MemoryParameters",
    "basis",
    "basis_regression",
    "continuous_attention",
    "kl_regulariser",
    "memory_update",
    "read_density",
    "sticky_points",
    "uniform_points",
]


def normal_density(distance: Any, variance: Any) -> Any:
    """The density of N(0, variance) at a distance from 0, of NumPy's arrays or of JAX's."""
    xp: Any = np if isinstance(distance, np.ndarray) else jnp
    return xp.exp(-(distance**2) / (2 * variance)) / xp.sqrt(2 * np.pi * variance)


def basis(t: jax.Array, hyperparameters: MemoryHyperparameters) -> jax.Array:
    """ψ (..., n, N) at the times t (..., n)."""
    mu, sigma = (aligned(jnp.asarray(a, t.dtype), t[..., None]) for a in (hyperparameters.mu, hyperparameters.sigma))
    return normal_density(t[..., None] - mu, sigma**2)


class _Fit(NamedTuple):
    """Times t (n,), ψ there F (n, N), and G (n, N), which takes values X (n, d) to the coefficients GᵀX."""

    t: np.ndarray
    F: np.ndarray
    G: np.ndarray


def _fit(t: np.ndarray, hp: MemoryHyperparameters) -> _Fit:
    F = normal_density(t[:, None] - hp.mu, hp.sigma**2)
    C = np.linalg.cholesky(F.T @ F + hp.ridge * np.eye(hp.N))
    return _Fit(t, F, np.linalg.solve(C.T, np.linalg.solve(C, F.T)).T)


def _outside(n: int) -> np.ndarray:
    """The middles of as many cells of width 1/n as fit into half a unit before 0, and into half a unit after 1."""
    cells = np.arange(n // 2)
    return (np.concatenate([cells - n // 2, cells + n]) + 1 / 2) / n


@cache
def _first_fit(hp: MemoryHyperparameters, L: int) -> _Fit:
    before, after = np.split(_outside(L), 2)
    return _fit(np.concatenate([before, (np.arange(L) + 1 / 2) / L, after]), hp)


@cache
def _later_fit(hp: MemoryHyperparameters, L: int) -> _Fit:
    t_old = hp.tau * np.arange(1, hp.M + 1) / hp.M
    t_new = hp.tau + (1 - hp.tau) * np.arange(1, L + 1) / L
    return _fit(np.concatenate([t_old, t_new, _outside(hp.M + L)]), hp)


def _regression_requires(X, hyperparameters):
    return require("basis_regression", hyperparameters, X=X)


@algorithm(_regression_requires, static=("hyperparameters",))
def basis_regression(
    X: Float[Array, "*batch L d_e"], hyperparameters: MemoryHyperparameters
) -> Float[Array, "*batch N d_e"]:
    """The function of time that is nearest to a first segment, with a ridge penalty.

    Rows stand in the middle of L equal cells of [0, 1]. Cells of value 0 on both sides make the function go to 0 there.

    Args:
      X: (..., L, d_e) the segment.
    Returns:
      B (..., N, d_e): x(t) = ψ(t) B.
    Raises:
      TypeError, ValueError: for a segment that is empty or not finite.
    """
    t, F, G = (jnp.asarray(a, X.dtype) for a in _first_fit(hyperparameters, X.shape[-2]))
    line(1, "t", t)
    line(2, "F", F)
    G = line(3, "G", G)
    G = line(4, "G", G[X.shape[-2] // 2 : X.shape[-2] // 2 + X.shape[-2]])
    return line(5, "B", G.mT @ X)


def _update_requires(B_old, X, hyperparameters, u=None):
    name = "memory_update"
    given = {key: value for key, value in (("B_old", B_old), ("X", X), ("u", u)) if value is not None}
    found = require(name, hyperparameters, **given)
    if B_old is not None and found["B_old"].shape[:-2] != found["X"].shape[:-2]:
        shapes = f"B_old has shape {found['B_old'].shape} and X {found['X'].shape}"
        raise ValueError(f"{name}: {shapes}, expected the same leading axes")
    if u is not None:
        u = where_right(name, "u", found["u"], (found["u"] >= 0) & (found["u"] <= 1), "times in [0, 1]")
        later = jnp.pad(jnp.diff(u), [*[(0, 0)] * (u.ndim - 1), (1, 0)])
        found["u"] = where_right(name, "u", u, ~(later < 0), "times that do not decrease")
    return found


def uniform_points(hyperparameters: MemoryHyperparameters, dtype: Any = float) -> Float[Array, " M"]:
    """M times at equal distances, of which the last is 1."""
    return jnp.arange(1, hyperparameters.M + 1).astype(dtype) / hyperparameters.M


@algorithm(_update_requires, static=("hyperparameters",))
def memory_update(
    B_old: Float[Array, "*batch N d_e"] | None,
    X: Float[Array, "*batch L d_e"],
    hyperparameters: MemoryHyperparameters,
    u: Float[Array, "*#batch M"] | None = None,
) -> Float[Array, "*batch N d_e"]:
    """The memory after a segment: the past, squeezed into [0, τ], and the segment in (τ, 1], fitted together.

    Args:
      B_old: (..., N, d_e) the memory before it; None where there is none, and the result is `basis_regression`'s.
      X: (..., L, d_e) the segment.
      u: (..., M) or (M,) the times at which the past is sampled, from 0 to 1 in order; `uniform_points` unless given.
        Where there are more of them the past keeps more of its detail.
    Returns:
      B (..., N, d_e).
    Raises:
      TypeError, ValueError: for a memory of another size, times that go back, or what is not finite.
    """
    hp, L = hyperparameters, X.shape[-2]
    if B_old is None:
        return basis_regression(X, hp)
    u = uniform_points(hp, X.dtype) if u is None else u
    t, F, G = (jnp.asarray(a, X.dtype) for a in _later_fit(hp, L))
    X_old = line(4, "X_old", basis(u, hp) @ B_old)
    line(5, "t_old", t[: hp.M])
    line(6, "t_new", t[hp.M : hp.M + L])
    line(7, "t_out", t[hp.M + L :])
    line(8, "F", F)
    G = line(9, "G", G)
    G = line(10, "G", G[: hp.M + L])
    return line(11, "B", G[: hp.M].mT @ X_old + G[hp.M :].mT @ X)


def _sticky_requires(density, r, hyperparameters):
    found = require("sticky_points", hyperparameters, density=density, r=r)
    return found | {
        "r": where_right("sticky_points", "r", found["r"], (found["r"] >= 0) & (found["r"] < 1), "one of [0, 1)")
    }


@algorithm(_sticky_requires, static=("hyperparameters",))
def sticky_points(
    density: Density, r: Float[Array, "*#batch M"], hyperparameters: MemoryHyperparameters
) -> Float[Array, "*batch M"]:
    """Sticky memories: times drawn from where the queries of the last segment looked, in proportion.

    Args:
      density: `Density` of that read, (..., H, ℓ).
      r: (..., M) or (M,) uniform numbers from [0, 1), `jax.random.uniform(key, (M,))`.
    Returns:
      u (..., M), left edges of D bins of [0, 1], in order.
    Raises:
      ValueError: there is no read before, or the numbers are not from [0, 1).
    """
    D = hyperparameters.D
    m, v = (a.reshape(*a.shape[:-2], -1, 1) for a in density)
    edges = line(1, "edges", jnp.linspace(0, 1, D + 1, dtype=m.dtype))
    wider = line(2, "wider", edges.at[0].add(-1e-6).at[-1].add(1e-6))
    below = ndtr((aligned(wider, m) - m) / jnp.sqrt(v))
    p = line(3, "p", jnp.diff(below, axis=-1).sum(axis=-2))
    p = line(4, "p", p / p.sum(axis=-1, keepdims=True))
    r = jnp.broadcast_to(r, (*p.shape[:-1], r.shape[-1]))
    b = jnp.minimum((jnp.cumsum(p, axis=-1)[..., None, :] <= r[..., None]).sum(axis=-1), D - 1)
    b = line(5, "b", b)
    known = ~jnp.isnan(r) & ~jnp.isnan(p).any(axis=-1, keepdims=True)
    return line(6, "u", jnp.sort(jnp.where(known, edges[b], jnp.nan), axis=-1))


def _read_requires(Q, B, params, hyperparameters):
    return require("read_density", hyperparameters, params, Q=Q, B=B)


@algorithm(_read_requires, static=("hyperparameters",))
def read_density(
    Q: Float[Array, "*#batch H l d_attn"],
    B: Float[Array, "*#batch N d_e"],
    params: MemoryParameters,
    hyperparameters: MemoryHyperparameters,
) -> Density:
    """Where queries look in a memory.

    Args:
      Q: (..., H, ℓ, d_attn) queries, those of the attention within the segment.
      B: (..., N, d_e) the memory.
    Returns:
      `Density`: locations in (0, 1) and variances of at least v_min (..., H, ℓ).
    """
    K = line(2, "K", affine(B, params.W_k))
    S = line(3, "S", Q @ K.mT / root(Q.shape[-1], Q))
    m = line(4, "m_h", jax.nn.sigmoid(S @ params.a_m))
    return Density(m, line(5, "v_h", jnp.maximum(jax.nn.softplus(S @ params.a_v), hyperparameters.v_min)))


def _continuous_requires(B, density, params, hyperparameters):
    return require("continuous_attention", hyperparameters, params, B=B, density=density)


@algorithm(_continuous_requires, static=("hyperparameters",))
def continuous_attention(
    B: Float[Array, "*#batch N d_e"],
    density: Density,
    params: MemoryParameters,
    hyperparameters: MemoryHyperparameters,
) -> Float[Array, "*batch l d_out"]:
    """The expectation of the values of a memory, each query's under its density: E[ψ(t)] V, exactly.

    Args:
      B: (..., N, d_e) the memory. density: `Density`, (..., H, ℓ).
    Returns:
      Z (..., ℓ, d_out).
    """
    m, v = (a[..., None] for a in density)
    V = line(2, "V", affine(B, params.W_v))
    mu, sigma = (aligned(jnp.asarray(a, m.dtype), m) for a in (hyperparameters.mu, hyperparameters.sigma))
    R = line(3, "R", normal_density(m - mu, sigma**2 + v))
    Z = jnp.moveaxis(line(4, "Z_h", R @ V), -3, -2)
    Z = line(6, "Z", Z.reshape(*Z.shape[:-2], -1))
    return line(7, "Z", affine(Z, params.W_o))


def _kl_requires(v, sigma_0):
    name = "kl_regulariser"
    (v,) = as_arrays(name, v=v)
    require_floats(name, v=v)
    require_positive(name, v.dtype, sigma_0=sigma_0)
    return {"v": where_right(name, "v", v, ~(v <= 0), "variances above 0"), "sigma_0": jnp.asarray(sigma_0, v.dtype)}


@algorithm(_kl_requires)
def kl_regulariser(v: Float[Array, "*any"], sigma_0: Float[Array, ""] | float = 0.05) -> Float[Array, ""]:
    """The mean divergence of densities of the variances `v` from those of the width σ_0 at the same places."""
    ratio = v / sigma_0**2
    return line(1, "R", jnp.mean((ratio - jnp.log(ratio) - 1) / 2))
