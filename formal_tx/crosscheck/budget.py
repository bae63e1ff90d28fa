"""The error budget: what a type of fewer digits loses, line by line, against double precision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tagging import Reaped, line, plant, reap
from . import draws
from .catalog import Algorithm, find
from .draws import Case
from .editions import hyperparameters
from .tolerances import error

DTYPES = ("float32", "bfloat16", "float16")
_WIDE = {"d_e": 512, "H": 8, "d_attn": 64, "d_mid": 64, "d_mlp": 2048, "N_V": 1024}
_CASES: dict[int, tuple[Callable[..., Case], dict[str, int]]] = {
    3: (draws.single_query, {"T": 256, "d_in": 512, "d_attn": 64, "d_out": 64}),
    4: (draws.attention, {"l_x": 256, "l_z": 256, "d_x": 512, "d_z": 512, "d_attn": 64, "d_out": 64}),
    5: (
        draws.mh_attention,
        {"l_x": 256, "l_z": 256, "d_x": 512, "d_z": 512, "H": 8, "d_attn": 64, "d_mid": 64, "d_out": 512},
    ),
    6: (draws.layer_norm, {"d_e": 512}),
    7: (draws.unembedding, {"N_V": 1024, "d_e": 512}),
    8: (draws.ed_transformer, {"l_z": 256, "l_x": 256, "L_enc": 3, "L_dec": 3} | _WIDE),
    9: (draws.e_transformer, {"l": 256, "L": 4, "d_f": 512} | _WIDE),
    10: (draws.d_transformer, {"l": 256, "L": 4} | _WIDE),
}
_EPSILON = 1e-5


@dataclass(frozen=True)
class LineError:
    """How far a line is from double precision, relative to its largest value.

    Attributes:
      place: the functions that lead to the line, then the line: `mh_attention/attention/4.S`.
      layer: counted from 0, or None where there are none.
      adds: the error of the line alone, whose inputs are those of double precision, rounded to the type.
      total: the error if everything before it is computed in the type too. nan or overflow is infinite.
    """

    place: str
    layer: int | None
    adds: float
    total: float


@dataclass(frozen=True)
class Budget:
    """The errors of all lines of one run, in the order in which they run."""

    algorithm: Algorithm
    dtype: str
    sizes: Mapping[str, int]
    lines: tuple[LineError, ...]

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of rounding one number to the type."""
        return float(jnp.finfo(self.dtype).eps) / 2


def budget(algorithm: Algorithm | int = 10, dtype: str = "bfloat16", *, seed: int = 0, **sizes: int) -> Budget:
    """Run an algorithm of the library in `dtype` and in float64 and compare every line that it runs, of every layer.

    Parameters, inputs and tokens are random, as those of a check, with logits of about 1; layer norm has an epsilon of
    1e-5. They are given in float32, so that rounding them to `dtype` is part of the errors.

    Args:
      algorithm: one of 3 to 10. dtype: float32, bfloat16 or float16.
      sizes: of its axes, by name, where they are not to be the usual ones (d_e = 512, 256 tokens, …).
    Raises:
      ValueError: for another algorithm or type, or a size that the algorithm does not have or that is not positive.
    """
    algorithm = _algorithm(algorithm)
    if dtype not in DTYPES:
        raise ValueError(f"budget: dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    case, sizes = _case(algorithm, seed, sizes)
    with jax.enable_x64(True):
        exact = _run(algorithm, case, "float64")
    expected = {path: np.asarray(value) for path, value in exact.items() if _is_real(value)}
    with jax.enable_x64(False):
        found = _run(algorithm, case, dtype)
        with np.errstate(over="ignore"):  # what the type cannot hold becomes infinite, and its error too
            references = {path: value.astype(found[path].dtype) for path, value in expected.items()}
        alone = _run_alone(algorithm, case, dtype, references)
    errors = []
    for path, value in expected.items():
        selector = exact.selectors[path].split("/")
        place = _place(algorithm, selector)
        three = [np.asarray(v, dtype=float) for v in (value, alone[path], found[path])]
        layers = zip(*three, strict=True) if "layers" in selector else [three]
        for i, (wanted, own, total) in enumerate(layers):
            layer = i if "layers" in selector else None
            errors.append(LineError(place, layer, error(own, wanted), error(total, wanted)))
    return Budget(algorithm, dtype, sizes, tuple(errors))


def _place(algorithm: Algorithm, selector: list[str]) -> str:
    """A line's selector without what goes without saying."""
    names = [name for name in selector if name not in (*algorithm.functions, "layers", "heads")]
    if {"encoder", "self_attention", "cross_attention"} & set(names):  # there is one attention in each
        names = [name.partition("#")[0] if name.startswith("mh_attention#") else name for name in names]
    return "/".join(names)


def _algorithm(algorithm: Any) -> Algorithm:
    found = find(algorithm) if isinstance(algorithm, int) and algorithm in _CASES else algorithm
    number = getattr(found, "number", repr(found))
    if number not in _CASES:
        raise ValueError(f"budget: algorithm is {number}, expected one of {', '.join(map(str, _CASES))}")
    return found


def _case(algorithm: Algorithm, seed: int, sizes: dict[str, Any]) -> tuple[Case, dict[str, int]]:
    """A random case with these sizes, and all of its sizes."""
    draw, usual = _CASES[algorithm.number]
    known = [*usual, "l_max"] if algorithm.number >= 8 else [*usual]
    for name, size in sizes.items():
        if name not in known:
            raise ValueError(f"budget: Algorithm {algorithm.number} has no size {name}, it has {', '.join(known)}")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"budget: {name} is {size!r}, expected a positive integer")
    chosen = usual | sizes
    if algorithm.number >= 8:
        longest = max(chosen[name] for name in ("l", "l_x", "l_z") if name in chosen)
        chosen = {"l_max": longest} | chosen
    options = {"epsilon": _EPSILON} if algorithm.number >= 6 and algorithm.number != 7 else {}
    case = draw(np.random.default_rng([seed, algorithm.number]), "budget", **chosen, **options)
    return _with_moderate_logits(case), chosen


def _with_moderate_logits(case: Case) -> Case:
    """W_u scaled to logits of about 1, as models have them; those of a check are larger, and drown what came before."""
    a = case.arguments
    if "W_u" in a:
        a["W_u"] = draws.exact(a["W_u"] / a["W_u"].shape[-1] ** 0.5)
    elif hasattr(a.get("params"), "W_u"):
        W_u = a["params"].W_u
        a["params"] = a["params"].replace(W_u=draws.exact(W_u / W_u.shape[-1] ** 0.5))
    return case


def _run(algorithm: Algorithm, case: Case, dtype: str) -> Reaped:
    """Every line of the library's run in a type."""
    call, traced = _call(algorithm, case, dtype)
    return jax.jit(lambda traced: reap(call)(traced)[1])(traced)


def _run_alone(algorithm: Algorithm, case: Case, dtype: str, references: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """Every line's value when those before it are the references: each is noted, and then replaced by its reference."""
    call, traced = _call(algorithm, case, dtype)
    names = {path: f"alone{n}" for n, path in enumerate(references)}
    noting = plant(call, {path: lambda value, name=name: line(0, name, value) for path, name in names.items()})

    @jax.jit
    def run(traced: Any, references: dict[str, jax.Array]) -> dict[str, jax.Array]:
        _, lines = reap(plant(noting, references))(traced)
        noted = {path.rsplit("/", 1)[-1]: value for path, value in lines.items()}
        return {path: noted[f"0.{name}"] for path, name in names.items()}

    return run(traced, {path: jnp.asarray(value) for path, value in references.items()})


def _call(algorithm: Algorithm, case: Case, dtype: str) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """The library's function of the arrays among its arguments, and these arrays in a type."""
    static = {"epsilon": case.epsilon} if algorithm.number == 6 else {}
    if "hyperparameters" in case.arguments:
        static["hyperparameters"] = hyperparameters(case)
    arrays = {name: value for name, value in case.arguments.items() if name not in static}

    def cast(value: np.ndarray) -> jax.Array:
        return jnp.asarray(value, {"f": dtype, "i": jnp.int32}.get(value.dtype.kind, value.dtype))

    return lambda traced: algorithm.library(**traced, **static), jax.tree.map(cast, arrays)


def _is_real(value: jax.Array) -> bool:
    return jnp.issubdtype(value.dtype, jnp.floating)
