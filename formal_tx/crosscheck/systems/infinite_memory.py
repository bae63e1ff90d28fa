"""The ∞-former: the fits, the points at which the past is sampled, where queries look, and a stream of segments."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...initialization import init_mh_attention
from ...long_context import infinite_decoder, infinite_memory
from ...long_context.infinite_memory import Density, MemoryHyperparameters, MemoryParameters
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_MODULE, _BESIDE = "formal_tx.long_context.infinite_memory", "long_context.infinite_memory"
_HP = MemoryHyperparameters(N=14, widths=(0.05, 0.1), ridge=0.5, tau=0.7, M=19, D=23, v_min=1e-3)
_D_E, _H, _D_ATTN, _D_MID, _L = 5, 3, 7, 2, 11


def _basis(hp: MemoryHyperparameters) -> tuple[np.ndarray, np.ndarray]:
    return hp.mu, hp.sigma


def _memory(rng: np.random.Generator, hp: MemoryHyperparameters = _HP) -> np.ndarray:
    """Coefficients as small as those of a fit."""
    return draws.exact(rng.standard_normal((hp.N, _D_E)) / hp.N)


def _density(rng: np.random.Generator, l: int = _L, v: float | None = None) -> Density:
    m: Any = draws.exact(rng.uniform(0, 1, (_H, l)))
    variance: Any = draws.exact(rng.uniform(0.02, 0.3, (_H, l)) ** 2)
    if v is not None:
        variance = np.full((_H, l), v)
    return Density(m, variance)


def _parameters(rng: np.random.Generator, hp: MemoryHyperparameters = _HP, d_out: int = _D_E) -> MemoryParameters:
    shapes: dict[str, tuple[int, ...]] = {
        "W_k": (_H, _D_ATTN, _D_E),
        "W_v": (_H, _D_MID, _D_E),
        "W_o": (d_out, _H * _D_MID),
    }
    shapes |= {"a_m": (hp.N,), "a_v": (hp.N,)}
    fields: dict[str, Any] = {name: draws.normal(rng, *shape) for name, shape in shapes.items()}
    return MemoryParameters(**fields)


def _paper_parameters(U: MemoryParameters) -> Any:
    fields = {"W_k": list(U.W_k), "W_v": list(U.W_v), "W_o": U.W_o, "a_m": U.a_m, "a_v": U.a_v}
    return pseudocode.module("notation").Parameters(**fields)


def _lines(f: Any, name: str, a: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The result of a function of the library and its own lines; what is no array among its arguments is static."""
    hp = a.pop("hyperparameters")
    result, lines = jax.jit(reap(lambda a: f(**a, hyperparameters=hp)))(a)
    return result, lines_of(lines, (name,))


def _basis_regression() -> Variation:
    def draw(L: int, hp: MemoryHyperparameters = _HP) -> Draw:
        return lambda rng: {"X": draws.normal(rng, L, _D_E), "hyperparameters": hp}

    one = MemoryHyperparameters(N=1, widths=(0.5,), ridge=0.1)
    return entry(
        "basis_regression",
        "a segment as a function of time",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(_L),
        paper=lambda a: (a["X"].T, *_basis(a["hyperparameters"]), a["hyperparameters"].ridge),
        library=lambda a: _lines(infinite_memory.basis_regression, "basis_regression", a),
        hard=(
            ("an even length", draw(8)),
            ("length 1", draw(1)),
            ("one basis function", draw(3, one)),
            ("more tokens than functions", draw(37)),
        ),
        functions=("basis_regression",),
    )


def _memory_update() -> Variation:
    def draw(L: int, points: str = "drawn", hp: MemoryHyperparameters = _HP) -> Draw:
        def one(rng: np.random.Generator) -> dict[str, Any]:
            u = {"drawn": np.sort(rng.uniform(0, 1, hp.M)), "equal": np.arange(1, hp.M + 1) / hp.M}.get(points)
            u = np.repeat([0.0, 1.0], [hp.M // 2, hp.M - hp.M // 2]) if u is None else u
            given = {"B_old": _memory(rng, hp), "X": draws.normal(rng, L, _D_E)}
            return given | {"hyperparameters": hp, "u": draws.exact(u)}

        return one

    return entry(
        "memory_update",
        "the past squeezed, a segment behind it",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(_L),
        paper=lambda a: (
            *(a["B_old"].T, a["X"].T, a["u"]),
            *(*_basis(a["hyperparameters"]), a["hyperparameters"].ridge, a["hyperparameters"].tau),
        ),
        library=lambda a: _lines(infinite_memory.memory_update, "memory_update", a),
        hard=(
            ("points at equal distances", draw(8, "equal")),
            ("points at both ends alone", draw(_L, "ends")),
            ("length 1", draw(1)),
            ("one point", draw(4, hp=MemoryHyperparameters(N=6, widths=(0.1,), tau=0.1, M=1))),
        ),
        functions=("memory_update",),
    )


def _sticky_points() -> Variation:
    def draw(r: float | None = None, v: float | None = None, m: float | None = None, D: int = _HP.D) -> Draw:
        hp = MemoryHyperparameters(N=14, widths=_HP.widths, M=_HP.M, D=D)

        def one(rng: np.random.Generator) -> dict[str, Any]:
            density = _density(rng, v=v)
            if m is not None:
                where: Any = np.full(density.m.shape, m)
                density = density._replace(m=where)
            uniform = draws.exact(rng.uniform(0, 1 - 2.0**-23, hp.M)) if r is None else np.full(hp.M, r)
            return {"density": density, "r": uniform, "hyperparameters": hp}

        return one

    return entry(
        "sticky_points",
        "the past sampled where it was looked at",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(),
        paper=lambda a: (np.array(a["density"]), a["r"], a["hyperparameters"].D),
        library=lambda a: _lines(infinite_memory.sticky_points, "sticky_points", a),
        hard=(
            ("all of it in one place", draw(m=0.51, v=2.0**-20)),
            ("a look everywhere", draw(v=64.0)),
            ("the number 0", draw(r=0.0)),
            ("the largest number", draw(r=1 - 2.0**-23)),
            ("one bin", draw(D=1)),
        ),
        functions=("sticky_points",),
    )


def _read_density() -> Variation:
    def draw(l: int, scale: float = 1.0) -> Draw:
        return lambda rng: {
            "Q": scale * draws.normal(rng, _H, l, _D_ATTN),
            "B": _memory(rng),
            "params": _parameters(rng),
            "hyperparameters": _HP,
        }

    def library(a: dict[str, Any]) -> Any:
        density, lines = _lines(infinite_memory.read_density, "read_density", a)
        return jnp.stack(density), lines

    return entry(
        "read_density",
        "where a query looks in a memory",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(_L),
        paper=lambda a: ([Q.T for Q in a["Q"]], a["B"].T, _paper_parameters(a["params"]), a["hyperparameters"].v_min),
        library=library,
        hard=(("one query", draw(1)), ("large scores, the least variance", draw(_L, 64.0))),
        functions=("read_density",),
    )


def _continuous_attention() -> Variation:
    def draw(l: int, v: float | None = None) -> Draw:
        return lambda rng: {
            "B": _memory(rng),
            "density": _density(rng, l, v),
            "params": _parameters(rng, d_out=13),
            "hyperparameters": _HP,
        }

    return entry(
        "continuous_attention",
        "what a memory answers to densities over time",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(_L),
        paper=lambda a: (
            *(a["B"].T, np.array(a["density"]), _paper_parameters(a["params"])),
            *_basis(a["hyperparameters"]),
        ),
        library=lambda a: _lines(infinite_memory.continuous_attention, "continuous_attention", a),
        hard=(("one query", draw(1)), ("a point", draw(_L, 2.0**-30)), ("a look everywhere", draw(_L, 64.0))),
        functions=("continuous_attention",),
    )


def _kl_regulariser() -> Variation:
    def draw(sigma_0: float, same: bool = False) -> Draw:
        return lambda rng: {
            "v": np.full((3, 5), sigma_0**2) if same else draws.exact(rng.uniform(0.01, 2, (3, 5))),
            "sigma_0": sigma_0,
        }

    return entry(
        "kl_regulariser",
        "how far densities are from a width",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(0.25),
        paper=lambda a: (a["v"], a["sigma_0"]),
        library=lambda a: _by_name(reap(infinite_memory.kl_regulariser)(**a)),
        hard=(("all of that width", draw(0.5, same=True)),),
        functions=("kl_regulariser",),
    )


def _by_name(reaped: Any) -> tuple[Any, dict[str, Any]]:
    return reaped[0], lines_of(reaped[1], ("kl_regulariser",))


def _infinite_attention() -> Variation:
    def draw(segments: int, l: int, hp: MemoryHyperparameters = _HP) -> Draw:
        def one(rng: np.random.Generator) -> dict[str, Any]:
            shapes = {"d_x": _D_E, "d_z": _D_E, "d_attn": _D_ATTN, "d_mid": _D_MID, "d_out": _D_E, "H": _H}
            given: dict[str, Any] = {"segments": draws.normal(rng, segments, l, _D_E)}
            given["W"] = draws.fill(rng, draws.shapes_of(init_mh_attention, **shapes))
            given |= {"U": _parameters(rng, hp), "seed": int(rng.integers(1000))}
            return given | {"r": _uniform_numbers(given["seed"], segments, hp), "hyperparameters": hp}

        return one

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        hp, W = a["hyperparameters"], to_paper(a["W"])
        static = (hp.ridge, hp.tau, hp.M, hp.D, hp.v_min, hp.sticky)
        segments = [X.T for X in a["segments"]]
        return segments, W, _paper_parameters(a["U"]), list(a["r"]), *_basis(hp), *static

    def library(a: dict[str, Any]) -> Any:
        Y, lines = _streamed(a["hyperparameters"])(a["segments"], a["W"], a["U"], jax.random.key(a["seed"]))
        of_all = ("2.Y_X", "3.u", "12.B")  # the others are of a memory, and before the first segment there is none
        found = {path: value if path in of_all else value[1:] for path, value in lines.items() if "/" not in path}
        return Y, found | {"5.Q": jnp.swapaxes(found["5.Q"], -1, -2), "14.Y": Y}

    uniform = MemoryHyperparameters(N=14, widths=(0.05, 0.1), ridge=0.5, tau=0.7, M=19, sticky=False)
    return entry(
        "infinite_attention",
        "segments, each with the memory of all before",
        module="formal_tx.long_context.infinite_decoder",
        beside=_BESIDE,
        draw=draw(4, _L),
        paper=paper,
        library=library,
        hard=(
            ("points at equal distances", draw(4, _L, uniform)),
            ("segments of one token", draw(3, 1)),
        ),
        functions=("infinite_attend",),
    )


@cache
def _streamed(hp: MemoryHyperparameters) -> Any:
    """A layer over segments (S, l, d_e): the outputs side by side, and the lines, compiled once for all cases."""

    def run(segments: Any, W: Any, U: Any, key: Any) -> Any:
        S, l, d_e = segments.shape
        nowhere = Density(*(jnp.ones((_H, l), segments.dtype) for _ in range(2)))
        start = infinite_decoder.Memory(jnp.zeros((hp.N, d_e), segments.dtype), nowhere, jnp.zeros((), int), key)
        attend = infinite_decoder.infinite_attend(hp)
        run = reap(lambda X: jax.lax.scan(lambda memory, X: attend(X, W, (U, memory), None)[::-1], start, X)[1])
        Y, lines = run(segments)
        return Y.reshape(S * l, -1), lines

    return jax.jit(run)


def _uniform_numbers(seed: int, segments: int, hp: MemoryHyperparameters) -> np.ndarray:
    """The numbers (segments, M) that the library draws with a key."""
    key, drawn = jax.random.key(seed), []
    for _ in range(segments):
        key, of_this = jax.random.split(key)
        drawn.append(infinite_decoder.sticky_numbers(of_this, hp, jnp.float32))
    return np.asarray(drawn, float)


SYSTEMS = (
    System(
        name="infinite_memory",
        title="∞-former: a continuous memory of the whole past",
        heading="long_context",
        papers=("2109.00301",),
        checks=(
            _basis_regression(),
            _memory_update(),
            _sticky_points(),
            _read_density(),
            _continuous_attention(),
            _infinite_attention(),
            _kl_regulariser(),
        ),
    ),
)
