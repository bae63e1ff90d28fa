"""What the memory of an ∞-former is made of: its hyperparameters, its parameters, and what its functions require."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from ..contracts import is_concrete
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_count,
    require_flags,
    require_floats,
    require_kind,
    require_positive,
    require_shapes,
)


@dataclass(frozen=True, kw_only=True)
class MemoryHyperparameters:
    """What the memory is made of. The defaults are those of the paper's sorting task.

    Attributes:
      N: basis functions; their centres are N / len(widths) equal steps of [0, 1].
      widths: the standard deviations that there are at each centre.
      ridge: λ, the penalty of the fits.
      tau: τ, the part of [0, 1] that is left to the past when a segment comes.
      M: at how many points the past is sampled then.
      sticky: whether these are drawn where the last segment looked; if not they are at equal distances.
      D: bins of [0, 1] from which they are drawn.
      v_min: the least variance of a density. sigma_0: the width that the regulariser prefers.
    Raises:
      ValueError, TypeError: names what is out of range.
    """

    N: int = 512
    widths: tuple[float, ...] = (0.01, 0.05)
    ridge: float = 1.0
    tau: float = 0.75
    M: int = 512
    sticky: bool = True
    D: int = 128
    v_min: float = 1e-6
    sigma_0: float = 0.05

    def __post_init__(self) -> None:
        name = "MemoryHyperparameters"
        for field in ("N", "M", "D"):
            require_count(name, field, getattr(self, field), at_least=1)
        widths: Any = self.widths
        if not isinstance(widths, tuple) or not widths:
            raise ValueError(f"{name}: widths is {self.widths!r}, expected a tuple of at least one number")
        require_positive(name, **{f"widths[{i}]": width for i, width in enumerate(self.widths)})
        if self.N % len(self.widths):
            raise ValueError(f"{name}: N is {self.N}, expected a multiple of {len(self.widths)}, the number of widths")
        require_positive(name, ridge=self.ridge, tau=self.tau, v_min=self.v_min, sigma_0=self.sigma_0)
        if self.tau >= 1:
            raise ValueError(f"{name}: tau is {self.tau}, expected a number between 0 and 1")
        require_flags(name, sticky=self.sticky)

    @property
    def mu(self) -> np.ndarray:
        """The centres (N,) of the basis functions."""
        return np.repeat(np.linspace(0, 1, self.N // len(self.widths)), len(self.widths))

    @property
    def sigma(self) -> np.ndarray:
        """Their standard deviations (N,)."""
        return np.tile(self.widths, self.N // len(self.widths))


@struct.dataclass
class MemoryParameters:
    """The attention to a memory: `W_k` (H, d_attn, d_e), `W_v` (H, d_mid, d_e), `W_o` (d_out, H·d_mid), no biases.

    `a_m`, `a_v` (N,), the same for all heads, read location and variance off a query's scores.
    """

    W_k: Float[Array, "*stack H d_attn d_e"]
    W_v: Float[Array, "*stack H d_mid d_e"]
    W_o: Float[Array, "*stack d_out H_d_mid"]
    a_m: Float[Array, "*stack N"]
    a_v: Float[Array, "*stack N"]


class Density(NamedTuple):
    """Where each query looks: at t ~ N(m, v), with `m` and `v` (..., H, ℓ)."""

    m: jax.Array
    v: jax.Array


_AXES = {"X": "... L d_e", "B": "... N d_e", "Q": "... H l d_attn", "m": "... H l", "v": "... H l"}
_AXES |= {"u": "... M", "r": "... M", "W_k": "H d_attn d_e", "W_v": "H d_mid d_e", "W_o": "d_out H·d_mid"}
_AXES |= {"a_m": "N", "a_v": "N"}


_NONE_ASKED = object()


def require(function: str, hyperparameters: Any, params: Any = _NONE_ASKED, **given: Any) -> dict[str, Any]:
    """The arguments in canonical form: finite, of sizes that fit each other and the hyperparameters.

    A pair called `density` is one; `B_old` has the axes of `B`. What is not finite is nan where it cannot be seen.
    """
    require_kind(function, "hyperparameters", hyperparameters, MemoryHyperparameters, made_by="its constructor")
    if params is not _NONE_ASKED:
        require_kind(function, "params", params, MemoryParameters, made_by="init_infinite_decoder")
        given = {f"params.{name}": getattr(params, name) for name in ("W_k", "W_v", "W_o", "a_m", "a_v")} | given
    if "density" in given:
        density = given.pop("density")
        if density is None:
            raise ValueError(f"{function}: density is None, expected that of a read before: nothing sticks without one")
        given |= {"density.m": density[0], "density.v": density[1]}
    arrays: dict[str, Any] = dict(zip(given, as_arrays(function, **given), strict=True))
    axes = {name: _AXES[name.split(".")[-1].removesuffix("_old")] for name in arrays}
    of_both = {"hyperparameters": (np.broadcast_to(0.0, (hyperparameters.N, hyperparameters.M)), "N M")}
    sizes = require_shapes(function, **of_both, **{name: (arrays[name], axes[name]) for name in arrays})
    require_floats(function, **arrays)
    require_at_least_one(function, **({"X": sizes["L"]} if "L" in sizes else {}))
    if params is not _NONE_ASKED and sizes["H·d_mid"] != sizes["H"] * sizes["d_mid"]:
        raise ValueError(
            f"{function}: params.W_o has shape {arrays['params.W_o'].shape}, expected (d_out, H·d_mid) with H·d_mid = "
            f"{sizes['H']} × {sizes['d_mid']}, which params.W_v gives it"
        )
    free = {name: A.shape[: 1 - len(axes[name].split())] for name, A in arrays.items() if axes[name].startswith("...")}
    require_batch(function, **free)
    checked = {name: where_right(function, name, A, ~jnp.isinf(A), "finite numbers") for name, A in arrays.items()}
    found: dict[str, Any] = {name: A for name, A in checked.items() if "." not in name}
    if params is not _NONE_ASKED:
        found["params"] = MemoryParameters(**{n.split(".")[1]: A for n, A in checked.items() if n[:7] == "params."})
    if "density.m" in checked:
        v = where_right(function, "density.v", checked["density.v"], ~(checked["density.v"] <= 0), "variances above 0")
        found["density"] = Density(checked["density.m"], v)
    return found


def where_right(function: str, name: str, A: Any, right: Any, expected: str) -> jax.Array:
    """`A`, all of which is right; where that cannot be seen, nan in the place of what is not."""
    if is_concrete(right) and not np.asarray(right).all():
        index = tuple(int(i) for i in np.argwhere(~np.asarray(right))[0])
        raise ValueError(f"{function}: {name} is {np.asarray(A)[index]} at index {list(index)}, expected {expected}")
    return jnp.asarray(A) if is_concrete(right) else jnp.where(right, A, jnp.nan)
