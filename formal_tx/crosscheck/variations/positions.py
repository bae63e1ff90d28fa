"""The variations of positions: rotations, what they do to a longer context, scores of distances, tables."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ... import positional
from ...positional import Alibi, LinearScaling, Llama3Scaling, NTKScaling, RelativeBuckets, Rotary, YaRNScaling
from ...positional.alibi import slopes
from .. import draws, pseudocode
from ..catalog import Variation
from . import functions
from .entry import entry

_NO_ORDER = np.array([0, 61, 7, 7, 31])


def _rotary(name: str, purpose: str, rotary: Rotary) -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        theta = functions.frequencies(rotary, a["X"].shape[1] if rotary.size is None else rotary.size)
        return a["X"].T, a["t"], theta, rotary.neighbours, functions.size(rotary)

    return entry(
        name,
        purpose,
        module="formal_tx.positional.rotary",
        beside="positional.rotary",
        pseudocode_name="rotary",
        draw=lambda rng: {"X": draws.normal(rng, 11, 14), "t": np.arange(11)},
        paper=paper,
        library=lambda a: (rotary(a["X"], a["t"]), {}),
        hard=(
            (
                "in no order",
                lambda rng: {"X": draws.normal(rng, 5, 14), "t": _NO_ORDER},
            ),
        ),
    )


def _scaling(name: str, purpose: str, scaling: Any, paper: Callable[[np.ndarray], tuple[Any, ...]]) -> Variation:
    def draw(base: float) -> Callable[..., dict[str, Any]]:
        return lambda rng: {"r": 2 * int(rng.integers(2, 33)), "base": base}

    def theta(a: dict[str, Any]) -> np.ndarray:
        return pseudocode.module("positional.rotary").frequencies(a["r"], a["base"])

    def library(a: dict[str, Any]) -> Any:
        return Rotary(base=a["base"], scaling=scaling).frequencies(a["r"]), {}

    return entry(
        name,
        purpose,
        module="formal_tx.positional.rotary",
        beside="positional.rotary",
        draw=draw(10000.0),
        paper=lambda a: paper(theta(a)) if name != "ntk_scaling" else (a["r"], scaling.factor, a["base"]),
        library=library,
        hard=(("another base", draw(10000.0 if isinstance(scaling, YaRNScaling) else 500000.0)),),
    )


def _score(name: str, purpose: str, score: Any, N_B: int = 0, l: int = 13) -> Variation:
    """A score of three heads' scores S (3, l_x, l_z), of which the pseudocode has the last."""
    H = 3

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        table = {"W_r": draws.normal(rng, N_B, H)} if N_B else {}
        return {"S": draws.normal(rng, H, l, l + 2), **table}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        S = a["S"][-1].T
        if isinstance(score, RelativeBuckets):
            return S, a["W_r"][:, -1], score.furthest, score.bidirectional
        return S, pseudocode.module("positional.alibi").slopes(H, score.largest_exponent)[-1]

    def library(a: dict[str, Any]) -> Any:
        return score(a["S"], jnp.arange(l), jnp.arange(l + 2), a.get("W_r"))[-1], {}

    return entry(
        name,
        purpose,
        module=f"formal_tx.positional.{'relative_buckets' if N_B else 'alibi'}",
        beside=f"positional.{'relative_buckets' if N_B else 'alibi'}",
        pseudocode_name="relative_buckets" if N_B else "alibi",
        draw=draw,
        paper=paper,
        library=library,
    )


def _table(name: str, purpose: str) -> Variation:
    return entry(
        name,
        purpose,
        module="formal_tx.positional.tables",
        beside="positional.sinusoidal",
        draw=lambda rng: {"d_e": 2 * int(rng.integers(2, 20)), "l_max": int(rng.integers(2, 20))},
        paper=lambda a: (a["d_e"], a["l_max"]),
        library=lambda a: (getattr(positional, name)(a["l_max"], a["d_e"]), {}),
        functions=(name,),
    )


def _slopes() -> Variation:
    return entry(
        "slopes",
        "ALiBi's slopes of any number of heads",
        module="formal_tx.positional.alibi",
        beside="positional.alibi",
        draw=lambda rng: {"H": int(rng.integers(1, 130)), "a": 8.0},
        paper=lambda a: (a["H"], a["a"]),
        library=lambda a: (slopes(a["H"], a["a"]), {}),
        hard=(
            *((f"{H} heads", lambda rng, H=H: {"H": H, "a": 8.0}) for H in (1, 8, 12, 112)),
            ("another exponent", lambda rng: {"H": 12, "a": 6.0}),
        ),
        functions=("slopes",),
    )


_LLAMA_3, _YARN = Llama3Scaling(8.0, 8192), YaRNScaling(4.0, 2048)

PARTS: tuple[Variation, ...] = (
    _rotary("rotary", "queries and keys turn by their positions, halves paired", Rotary()),
    _rotary("rotary_neighbours", "neighbours paired", Rotary(neighbours=True)),
    _rotary("rotary_partial", "part of each head turns", Rotary(base=500000.0, size=6)),
    _rotary("rotary_yarn", "as YaRN scales it", Rotary(scaling=_YARN)),
    _scaling("linear_scaling", "positions divided by a factor", LinearScaling(4.0), lambda theta: (theta, 4.0)),
    _scaling("ntk_scaling", "a larger base", NTKScaling(4.0), lambda theta: ()),
    _scaling("llama3_scaling", "slow pairs slowed down", _LLAMA_3, lambda theta: (theta, 8.0, 8192)),
    _scaling("yarn_scaling", "a ramp over the pairs", _YARN, lambda theta: (theta, 4.0, 2048)),
    _score("alibi", "a penalty for distance", Alibi()),
    _slopes(),
    _score("relative_buckets", "a learned score of distance, T5's encoder", RelativeBuckets(), 32, 137),
    _score("relative_buckets_causal", "T5's decoder", RelativeBuckets(bidirectional=False), 32, 137),
    _score("relative_buckets_few", "of other numbers", RelativeBuckets(10, 37), 10, 43),
    _table("interleaved_sinusoids", "the table of 1706.03762"),
    _table("sinusoid_halves", "sines before cosines"),
    _table("whisper_sinusoids", "another exponent"),
)
