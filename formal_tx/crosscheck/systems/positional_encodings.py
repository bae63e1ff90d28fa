"""How positions enter a transformer: seven systems of the reading list, and the entries that compare their editions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...activations import gelu, relu, tanh
from ...embedding import positional_embedding
from ...positional.learnable_sinusoids import (
    LearnableSinusoidsParameters,
    learnable_sinusoids,
    sinusoid_frequencies,
)
from ...positional.no_positions import ProbeParameters, count_from_start, fit_probe, read_positions
from ...positional.relative_buckets import RelativeBuckets
from ...positional.rotary import Rotary
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..variations.entry import Draw, entry
from ..variations.functions import function
from ..variations.positions import PARTS
from .system import System

_PARTS = {part.name: part for part in PARTS}


def _reaped(f: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The library's result, and the lines of this function alone."""
    result, lines = jax.jit(reap(lambda *traced: f(*traced, **options)))(*arguments)
    return result, lines_of(lines, (f.__name__,))


# Learned positions


def _positions(*t: int, l_max: int = 13) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"t": np.array(t or rng.integers(0, l_max, 11)), "W_p": draws.normal(rng, l_max, 7)}

    return draw


LEARNED = entry(
    "learned_positions",
    "rows of a learned table, Algorithm 2",
    module="formal_tx.embedding",
    beside="algorithm_02_positional_embedding",
    pseudocode_name="positional_embedding",
    draw=_positions(),
    paper=lambda a: (a["t"], a["W_p"].T),
    library=lambda a: _reaped(positional_embedding, a["t"], a["W_p"]),
    hard=(
        ("the first and the last", _positions(0, 12)),
        ("a table of one position", _positions(0, l_max=1)),
        ("a position twice", _positions(5, 5)),
    ),
    functions=("positional_embedding",),
)

# LSPE


def _network(
    t: Callable[[np.random.Generator], np.ndarray] = lambda rng: np.arange(11),
    *,
    d_e: int = 14,
    d_ff: int = 5,
    learned: bool = False,
) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        shapes = {"W_1": (d_ff, d_e), "b_1": (d_ff,), "W_2": (d_e, d_ff), "b_2": (d_e,)}
        fields: dict[str, Any] = {name: draws.normal(rng, *shape) for name, shape in shapes.items()}
        omega: Any = draws.exact(rng.uniform(0, 1, d_e // 2)) if learned else None
        return {"t": t(rng), "params": LearnableSinusoidsParameters(**fields, omega=omega)}

    return draw


_BETWEEN = np.array([0.0, 0.5, 17.25, 61.0])


def _learnable_sinusoids(
    name: str, purpose: str, activation: Any = gelu, residual: bool = False, base: float = 10000.0
) -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        W = a["params"]
        frequencies = pseudocode.module("positional.learnable_sinusoids").sinusoid_frequencies
        omega = frequencies(len(W.b_2), base) if W.omega is None else W.omega
        return a["t"], pseudocode.module("notation").Parameters(**vars(W)), omega, function(activation), residual

    def library(a: dict[str, Any]) -> Any:
        options = {"activation": activation, "residual": residual, "base": base}
        return _reaped(learnable_sinusoids, a["t"], a["params"], **options)

    return entry(
        name,
        purpose,
        module="formal_tx.positional.learnable_sinusoids",
        beside="positional.learnable_sinusoids",
        pseudocode_name="learnable_sinusoids",
        draw=_network(),
        paper=paper,
        library=library,
        hard=(
            ("learned frequencies", _network(learned=True)),
            ("one position", _network(lambda rng: np.array([0]))),
            ("two features", _network(d_e=2, d_ff=1)),
            ("in no order", _network(lambda rng: np.array([0, 61, 7, 7, 31]))),
            ("between positions", _network(lambda rng: _BETWEEN)),
        ),
        functions=("learnable_sinusoids",),
    )


LSPE = (
    _learnable_sinusoids("learnable_sinusoids", "a table that a network makes of sinusoids"),
    _learnable_sinusoids("learnable_sinusoids_residual", "and the sinusoids added, tanh", tanh, residual=True),
    _learnable_sinusoids("learnable_sinusoids_relu", "ReLU, another base", relu, base=100.0),
)


def _frequencies(
    name: str, purpose: str, *, size: str, module: str, pseudocode_name: str, source: str, ours: Any
) -> Variation:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {size: 2 * int(rng.integers(1, 33)), "base": float(rng.integers(2, 100_000))}

    return entry(
        name,
        purpose,
        module=f"formal_tx.{module}",
        beside=module,
        pseudocode_name=pseudocode_name,
        draw=draw,
        paper=lambda a: (a[size], a["base"]),
        library=lambda a: (ours(a[size], a["base"]), {}),
        hard=(("one pair", lambda rng: {size: 2, "base": 10000.0}),),
        functions=(source,),
    )


OF_LSPE = _frequencies(
    "sinusoid_frequencies",
    "how fast each pair of sinusoids turns",
    size="d_e",
    module="positional.learnable_sinusoids",
    pseudocode_name="sinusoid_frequencies",
    source="sinusoid_frequencies",
    ours=sinusoid_frequencies,
)
OF_ROTARY = _frequencies(
    "rotary_frequencies",
    "how fast each pair of features turns",
    size="r",
    module="positional.rotary",
    pseudocode_name="frequencies",
    source="Rotary.frequencies",
    ours=lambda r, base: Rotary(base=base).frequencies(r),
)

# T5


def _distance(*distances: int, N_B: int = 32, furthest: int = 128, bidirectional: bool = True) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        distance = int(rng.choice(distances) if distances else rng.integers(-150, 150))
        return {"distance": distance, "N_B": N_B, "furthest": furthest, "bidirectional": bidirectional}

    return draw


_EDGES = (0, 1, -1, 7, -7, 8, -8, 11, -12, 15, -16, 22, 23, 63, -64, 90, -91, 127, -128, 1000, -1000)
BUCKET = entry(
    "bucket",
    "which bucket a distance falls into",
    module="formal_tx.positional.relative_buckets",
    beside="positional.relative_buckets",
    draw=_distance(),
    paper=lambda a: tuple(a.values()),
    library=lambda a: (
        RelativeBuckets(a["N_B"], a["furthest"], a["bidirectional"]).bucket(jnp.asarray(a["distance"])),
        {},
    ),
    hard=(
        *((f"distance {d}", _distance(d)) for d in _EDGES),
        *((f"distance {d}, causal", _distance(d, bidirectional=False)) for d in _EDGES),
        ("ten buckets", _distance(-30, N_B=10, furthest=43)),
    ),
    functions=("RelativeBuckets.bucket",),
)

# NoPE


def _counted(l: int = 13, d_x: int = 5) -> Draw:
    """Tokens that have 0 in the direction e_1 of the last feature, but for the first, which has 1."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        X, v = draws.normal(rng, l, d_x), np.eye(d_x)[-1]
        X[:, -1] = np.arange(l) == 0
        return {"X": X, "v": v}

    return draw


COUNT = entry(
    "count_from_start",
    "a causal head without positions counts",
    module="formal_tx.positional.no_positions",
    beside="positional.no_positions",
    draw=_counted(),
    paper=lambda a: (a["X"].T, a["v"]),
    library=lambda a: _reaped(count_from_start, a["X"], a["v"]),
    hard=(("the first token alone", _counted(1)), ("far", _counted(997)), ("one feature", _counted(d_x=1))),
    functions=("count_from_start",),
)


def _states(n: int = 101, d_e: int = 7, d_f: int = 13, penalty: float = 0.5) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        X = draws.normal(rng, n, d_e)
        of_features = {"R": draws.normal(rng, d_f, d_e), "c": draws.normal(rng, d_f)}
        return {"X": X, "t": rng.integers(0, 64, n).astype(float)} | of_features | {"penalty": penalty}

    return draw


FIT = entry(
    "fit_probe",
    "ridge regression of positions on hidden states",
    module="formal_tx.positional.no_positions",
    beside="positional.no_positions",
    draw=_states(),
    paper=lambda a: (a["X"].T, a["t"], a["R"], a["c"], a["penalty"]),
    library=lambda a: _reaped(fit_probe, a["X"], a["t"], a["R"], a["c"], penalty=a["penalty"]),
    hard=(
        ("one token", _states(n=1)),
        ("fewer tokens than features", _states(n=5)),
        ("a small penalty", _states(penalty=2.0**-10)),
        ("one feature", _states(d_f=1)),
    ),
    functions=("fit_probe",),
)


def _probe(rng: np.random.Generator) -> dict[str, Any]:
    d_e, d_f = 7, 13
    shapes: dict[str, tuple[int, ...]] = {"R": (d_f, d_e), "c": (d_f,), "w": (d_f,), "b": ()}
    fields: dict[str, Any] = {name: draws.normal(rng, *shape) for name, shape in shapes.items()}
    return {"X": draws.normal(rng, 11, d_e), "params": ProbeParameters(**fields)}


READ = entry(
    "read_positions",
    "a probe says where tokens stand",
    module="formal_tx.positional.no_positions",
    beside="positional.no_positions",
    draw=_probe,
    paper=lambda a: (a["X"].T, pseudocode.module("notation").Parameters(**vars(a["params"]))),
    library=lambda a: _reaped(read_positions, a["X"], a["params"]),
    functions=("read_positions",),
)

# The systems

_SHARED = {
    "check": "formal_tx/crosscheck/systems/positional_encodings.py",
    "property": "tests/systems/positional_encodings/test_properties.py",
    "oracle": "tests/systems/positional_encodings/test_oracle.py",
    "bad_input": "tests/systems/positional_encodings/test_bad_input.py",
    "example": "examples/positional_encodings.py",
    "claim": "benchmarks/claims/positional_encodings.py",
    "spec": "docs/systems/positional_encodings.md",
}
_CHECKED_WITH_VARIATIONS = _SHARED | {"check": "formal_tx/crosscheck/variations/positions.py"}


def _existing(*names: str) -> tuple[Variation, ...]:
    return tuple(_PARTS[name] for name in names)


SYSTEMS = (
    System(
        name="sinusoidal_positions",
        title="Sinusoidal positions",
        heading="positional",
        papers=("1706.03762",),
        checks=_existing("interleaved_sinusoids", "sinusoid_halves", "whisper_sinusoids"),
        elsewhere=_CHECKED_WITH_VARIATIONS
        | {"pseudocode": "algorithms/positional/sinusoidal.py", "function": "formal_tx/positional/tables.py"},
    ),
    System(
        name="learned_positions",
        title="Learned positions",
        heading="positional",
        papers=("2207.09238",),
        checks=(LEARNED,),
        elsewhere=_SHARED
        | {
            "pseudocode": "algorithms/algorithm_02_positional_embedding.py",
            "function": "formal_tx/embedding.py",
        },
    ),
    System(
        name="no_positions",
        title="No positions (NoPE)",
        heading="positional",
        papers=("2203.16634",),
        checks=(COUNT, FIT, READ),
        elsewhere=_SHARED,
    ),
    System(
        name="learnable_sinusoids",
        title="Learnable sinusoids (LSPE)",
        heading="positional",
        papers=("2022.findings-aacl.42",),
        checks=(*LSPE, OF_LSPE),
        elsewhere=_SHARED,
    ),
    System(
        name="rotary",
        title="Rotary positions (RoPE)",
        heading="positional",
        papers=("2104.09864",),
        checks=(
            *_existing("rotary", "rotary_neighbours", "rotary_partial", "rotary_yarn"),
            OF_ROTARY,
            *_existing("linear_scaling", "ntk_scaling", "llama3_scaling", "yarn_scaling"),
        ),
        elsewhere=_CHECKED_WITH_VARIATIONS,
    ),
    System(
        name="alibi",
        title="Attention with linear biases (ALiBi)",
        heading="positional",
        papers=("2108.12409",),
        checks=_existing("alibi", "slopes"),
        elsewhere=_CHECKED_WITH_VARIATIONS,
    ),
    System(
        name="relative_buckets",
        title="Relative positions in buckets (T5)",
        heading="positional",
        papers=("1910.10683",),
        checks=(*_existing("relative_buckets", "relative_buckets_causal", "relative_buckets_few"), BUCKET),
        elsewhere=_CHECKED_WITH_VARIATIONS,
    ),
)
