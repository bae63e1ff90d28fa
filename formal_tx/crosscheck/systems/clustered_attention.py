"""Clustered attention: hashes, k-means among them, and the two forms."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ...initialization import init_mh_attention
from ...long_context import clustered_attention
from ...long_context.clustered_attention import Clustering
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_FILE = "long_context.clustered_attention"
_LIBRARY = "formal_tx.long_context.clustered_attention"


def _run(f: Callable[..., Any], *arguments: Any, own: tuple[str, ...], **options: Any) -> tuple[Any, dict[str, Any]]:
    """The result of a function, and the lines that are tagged in it and not in what it calls."""
    result, lines = jax.jit(reap(lambda *arguments: f(*arguments, **options)))(*arguments)
    return result, lines_of(lines, own)


def _numbers(rng: np.random.Generator, E: int, l: int, C: int, bits: int, iterations: int) -> dict[str, Any]:
    """The random numbers of a clustering, with centroids for empty clusters in the library's layout."""
    numbers: dict[str, Any] = {"iterations": iterations, "planes": draws.normal(rng, bits, E + 1)}
    numbers |= {"first": rng.permutation(l)[:C], "other": rng.random((iterations - 1, C, bits)) < 0.5}
    return numbers


def _clustering(a: dict[str, Any]) -> Clustering:
    return Clustering(a["planes"], a["first"], a["other"])


def _of_paper(a: dict[str, Any]) -> tuple[Any, ...]:
    return a["planes"], a["first"], np.swapaxes(a["other"], 1, 2)


def _qkv(
    l_x: int = 13, l_z: int = 11, C: int = 3, bits: int = 19, iterations: int = 5, k: int | None = None, alike: int = 0
) -> Draw:
    """Queries, keys and values and the numbers of a clustering; of the queries each stands there `alike` times."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        E, D = 5, 7
        Q = draws.normal(rng, l_x, E)
        if alike:
            Q = Q[np.arange(l_x) % alike]
        a: dict[str, Any] = {"Q": Q, "K": draws.normal(rng, l_z, E), "V": draws.normal(rng, l_z, D)}
        return a | ({} if k is None else {"k": k}) | _numbers(rng, E, l_x, C, bits, iterations)

    return draw


def _hashes() -> Variation:
    def draw(rng: np.random.Generator, l: int = 11, zeros: bool = False) -> dict[str, Any]:
        a = {"Q": draws.normal(rng, l, 5), "planes": draws.normal(rng, 7, 6)}
        if zeros:  # on every plane, so on the side of none
            a["Q"][:], a["planes"][:, -1] = 0, 0
        return a

    def library(a: dict[str, Any]) -> Any:
        return _run(clustered_attention.query_hashes, a["Q"], a["planes"], own=("query_hashes",))

    return entry(
        "query_hashes",
        "on which side of each plane a query is",
        module=_LIBRARY,
        beside=_FILE,
        draw=draw,
        paper=lambda a: (a["Q"].T, a["planes"]),
        library=library,
        hard=(("one query", lambda rng: draw(rng, l=1)), ("on every plane", lambda rng: draw(rng, zeros=True))),
        functions=("query_hashes",),
    )


def _k_means() -> Variation:
    def draw(
        rng: np.random.Generator, l: int = 23, C: int = 5, bits: int = 11, iterations: int = 7, kinds: int = 0
    ) -> dict[str, Any]:
        B = rng.random((l, bits)) < 0.5
        if kinds:
            B = B[np.arange(l) % kinds]
        return {"B": B} | _numbers(rng, 1, l, C, bits, iterations)

    def library(a: dict[str, Any]) -> Any:
        f = clustered_attention.hamming_k_means
        return _run(f, a["B"], a["first"], a["other"], own=("hamming_k_means",))

    return entry(
        "hamming_k_means",
        "clusters of hashes, by the bits that differ",
        module=_LIBRARY,
        beside=_FILE,
        draw=draw,
        paper=lambda a: (a["B"].T, a["iterations"], a["first"], np.swapaxes(a["other"], 1, 2)),
        library=library,
        hard=(
            ("one iteration", lambda rng: draw(rng, iterations=1)),
            ("one cluster", lambda rng: draw(rng, C=1)),
            ("a cluster for each", lambda rng: draw(rng, l=7, C=7)),
            ("few kinds of hashes, empty clusters", lambda rng: draw(rng, kinds=2)),
            ("one bit, ties", lambda rng: draw(rng, bits=1)),
            ("three bits, empty clusters that find members", lambda rng: draw(rng, C=6, bits=3)),
        ),
        functions=("hamming_k_means",),
    )


def _clustered() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f = clustered_attention.clustered_attention
        return _run(f, a["Q"], a["K"], a["V"], _clustering(a), own=("clustered_attention",))

    return entry(
        "clustered_attention",
        "the mean of a cluster asks for its members",
        module=_LIBRARY,
        beside=_FILE,
        draw=_qkv(),
        paper=lambda a: (a["Q"].T, a["K"].T, a["V"].T, a["iterations"], *_of_paper(a)),
        library=library,
        hard=(
            ("one query, one key", _qkv(1, 1, C=1)),
            ("one cluster", _qkv(C=1)),
            ("a cluster for each query", _qkv(7, 11, C=7, bits=64)),
            ("queries that are the same, empty clusters", _qkv(12, C=5, alike=2)),
        ),
        functions=("_clusters", "clustered_attention"),
    )


def _improved() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f, own = clustered_attention.improved_clustered_attention, ("improved_clustered_attention",)
        return _run(f, a["Q"], a["K"], a["V"], _clustering(a), own=own, k=a["k"])

    return entry(
        "improved_clustered_attention",
        "members ask the best keys for themselves",
        module=_LIBRARY,
        beside=_FILE,
        draw=_qkv(k=2),
        paper=lambda a: (a["Q"].T, a["K"].T, a["V"].T, a["iterations"], a["k"], *_of_paper(a)),
        library=library,
        hard=(
            ("one query, one key", _qkv(1, 1, C=1, k=1)),
            ("all keys", _qkv(k=11)),
            ("one key", _qkv(k=1)),
            ("queries that are the same, empty clusters", _qkv(12, C=5, alike=2, k=2)),
        ),
        functions=("_clusters", "improved_clustered_attention"),
    )


def _mh() -> Variation:
    def draw(rng: np.random.Generator, k: int | None = None) -> dict[str, Any]:
        sizes = {"d_x": 7, "d_z": 13, "d_attn": 5, "d_mid": 2, "d_out": 17, "H": 3}
        params = draws.fill(rng, draws.shapes_of(init_mh_attention, **sizes))
        a = {"X": draws.normal(rng, 11, 7), "Z": draws.normal(rng, 19, 13), "params": params}
        return a | _numbers(rng, 5, 11, 2, 23, 5) | {"k": k}

    def library(a: dict[str, Any]) -> Any:
        f, own = clustered_attention.clustered_mh_attention, ("clustered_mh_attention",)
        V_tilde, lines = _run(f, a["X"], a["Z"], a["params"], _clustering(a), own=own, k=a["k"])
        return V_tilde, lines | {"10.Y": lines["3.Y"]}

    return entry(
        "clustered_mh_attention",
        "Algorithm 5 with clustered heads",
        module=_LIBRARY,
        beside=_FILE,
        draw=draw,
        paper=lambda a: (a["X"].T, a["Z"].T, to_paper(a["params"]), a["iterations"], *_of_paper(a), a["k"]),
        library=library,
        hard=(("improved", lambda rng: draw(rng, k=3)),),
        functions=("clustered_mh_attention", "formal_tx.long_context.linear_transformer:projections"),
    )


SYSTEMS = (
    System(
        name="clustered_attention",
        title="Clustered attention",
        heading="long_context",
        papers=("2007.04825",),
        checks=(_hashes(), _k_means(), _clustered(), _improved(), _mh()),
    ),
)
