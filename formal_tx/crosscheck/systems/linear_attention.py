"""Linear attention: its feature maps, and its four forms, which are one function."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ...initialization import init_mh_attention
from ...long_context import feature_maps, linear_attention, linear_transformer
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_FILE = "long_context.linear_attention"
_LIBRARY = "formal_tx.long_context.linear_attention"


def _paper(name: str) -> Callable[..., Any]:
    return getattr(pseudocode.module(_FILE), name)


def _run(f: Callable[..., Any], *arguments: Any, own: tuple[str, ...], **options: Any) -> tuple[Any, dict[str, Any]]:
    """The result of a jitted function, and the lines that are tagged in it and not in what it calls."""
    result, lines = jax.jit(reap(lambda *arguments: f(*arguments, **options)))(*arguments)
    return result, lines_of(lines, own)


# The feature maps


def _features(
    name: str, purpose: str, m: int, make: Callable[[dict[str, Any]], Any], *more: str, hard: tuple[Any, ...] = ()
) -> Variation:
    def draw(rng: np.random.Generator, l: int = 11, E: int = 5, scale: float = 1.0) -> dict[str, Any]:
        a = {"X": scale * draws.normal(rng, l, E)}
        if m:
            a["Omega"] = draws.normal(rng, E, m)
        return a | {name: {"s": 1.25, "t": 0.375}[name] for name in more}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        return (a["X"].T, *([a["Omega"]] if m else []), *(a[n] for n in more))

    def library(a: dict[str, Any]) -> Any:
        X_prime, lines = reap(make(a))(a["X"])
        return X_prime, dict(lines)

    return entry(
        name,
        purpose,
        module="formal_tx.long_context.feature_maps",
        beside=_FILE,
        draw=draw,
        paper=paper,
        library=library,
        hard=(("one token", lambda rng: draw(rng, l=1)), ("width one", lambda rng: draw(rng, E=1)), *hard),
        functions=({"elu_plus_one": "_elu_plus_one"}.get(name, "_" + name.partition("_")[0]),),
    )


def _orthogonal_directions() -> Variation:
    def draw(rng: np.random.Generator, E: int = 5, m: int = 13) -> dict[str, Any]:
        return {"G": draws.normal(rng, -(-m // E), E, E), "r": np.abs(draws.normal(rng, m)) + 1}

    def library(a: dict[str, Any]) -> Any:
        Omega, lines = reap(feature_maps.orthogonal_directions)(a["G"], a["r"])
        # A matrix of parameters is the paper's own; the comparison takes it for one of tokens.
        return Omega.T, {name: value.T for name, value in lines.items()}

    return entry(
        "orthogonal_directions",
        "random directions, orthogonal in groups",
        module="formal_tx.long_context.feature_maps",
        beside=_FILE,
        draw=draw,
        paper=lambda a: (list(a["G"]), a["r"]),
        library=library,
        hard=(("a whole group", lambda rng: draw(rng, m=5)), ("one direction", lambda rng: draw(rng, m=1))),
        functions=("orthogonal_directions",),
    )


# The four forms


def _qkv(l_x: int = 11, l_z: int | None = None, change: Callable[..., Any] = lambda a: None, **more: Any) -> Draw:
    """Queries, keys and values; elu + 1 is the feature map, the others have entries of their own."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        E, D, keys = 5, 7, l_x if l_z is None else l_z
        a: dict[str, Any] = {"Q": draws.normal(rng, l_x, E), "K": draws.normal(rng, keys, E)}
        a |= {"V": draws.normal(rng, keys, D)} | more | {"epsilon": 1e-6}
        change(a)
        return a

    return draw


def _of(a: dict[str, Any]) -> tuple[np.ndarray, ...]:
    return a["Q"].T, a["K"].T, a["V"].T


def _far_below(a: dict[str, Any]) -> None:
    """Features so small that their sums are about ε."""
    a["Q"] -= 8
    a["K"] -= 8


def _bidirectional() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f, own = linear_attention.linear_attention, ("linear_attention",)
        return _run(f, a["Q"], a["K"], a["V"], own=own, epsilon=a["epsilon"], lengths=a["l_real"])

    return entry(
        "linear_attention",
        "keys and values summed before a query asks",
        module=_LIBRARY,
        beside=_FILE,
        draw=_qkv(11, 13, l_real=13),
        paper=lambda a: (*_of(a), _paper("elu_plus_one"), a["epsilon"], a["l_real"]),
        library=library,
        hard=(
            ("one query, one key", _qkv(1, 1, l_real=1)),
            ("padding", _qkv(5, 13, l_real=6)),
            ("features near 0", _qkv(11, 13, _far_below, l_real=13)),
        ),
        functions=("linear_attention",),
    )


def _step() -> Variation:
    def draw(rng: np.random.Generator, first: bool = False) -> dict[str, Any]:
        E, D = 5, 7
        a = {name: draws.normal(rng, d) for name, d in (("q", E), ("k", E), ("v", D))}
        state = {"S": np.abs(draws.normal(rng, E, D)), "z": np.abs(draws.normal(rng, E))}
        return a | ({name: np.zeros_like(A) for name, A in state.items()} if first else state) | {"epsilon": 1e-6}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        state = pseudocode.module("notation").Parameters(S=a["S"].T, z=a["z"])
        return a["q"], a["k"], a["v"], state, _paper("elu_plus_one"), a["epsilon"]

    def library(a: dict[str, Any]) -> Any:
        state = linear_attention.LinearState(a["S"], a["z"])
        f = linear_attention.linear_attention_step
        own = ("linear_attention_step",)
        (y, _), lines = _run(f, a["q"], a["k"], a["v"], state, own=own, epsilon=a["epsilon"])
        return y, lines

    return entry(
        "linear_attention_step",
        "one more token, in constant time",
        module=_LIBRARY,
        beside=_FILE,
        draw=draw,
        paper=paper,
        library=library,
        hard=(("the first token", lambda rng: draw(rng, first=True)),),
        functions=("linear_attention_step",),
    )


def _causal() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f, own = linear_attention.causal_linear_attention, ("causal_linear_attention",)
        return _run(f, a["Q"], a["K"], a["V"], own=own, chunk=None, epsilon=a["epsilon"])

    return entry(
        "causal_linear_attention",
        "token by token: the transformer as an RNN",
        module=_LIBRARY,
        beside=_FILE,
        draw=_qkv(),
        paper=lambda a: (*_of(a), _paper("elu_plus_one"), a["epsilon"]),
        library=library,
        hard=(
            ("one token", _qkv(1)),
            ("features near 0", _qkv(11, None, _far_below)),
        ),
        functions=("_continued", "_token_by_token"),
    )


def _chunked() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f, own = linear_attention.causal_linear_attention, ("causal_linear_attention",)
        options = {"chunk": a["C"], "epsilon": a["epsilon"]}
        Y, lines = _run(f, a["Q"], a["K"], a["V"], own=own, **options)
        if len(a["Q"]) % a["C"]:  # the library fills up the last chunk, which the pseudocode cuts
            lines = {name: value for name, value in lines.items() if name not in ("6.A", "7.Y_c")}
        return Y, lines

    return entry(
        "chunked_linear_attention",
        "the same, some tokens at a time",
        module=_LIBRARY,
        beside=_FILE,
        draw=_qkv(15, C=3),
        paper=lambda a: (*_of(a), a["C"], _paper("elu_plus_one"), a["epsilon"]),
        library=library,
        hard=(
            ("a last chunk that is not full", _qkv(13, C=5)),
            ("one token a chunk", _qkv(7, C=1)),
            ("one chunk", _qkv(7, C=7)),
            ("one token", _qkv(1, C=1)),
        ),
        functions=("_continued", "_chunk_by_chunk"),
    )


def _mh(name: str, purpose: str, causal: bool) -> Variation:
    def draw(rng: np.random.Generator, l_x: int = 11, H: int = 3) -> dict[str, Any]:
        sizes = {"d_x": 7, "d_z": 7 if causal else 13, "d_attn": 5, "d_mid": 2, "d_out": 17, "H": H}
        params = draws.fill(rng, draws.shapes_of(init_mh_attention, **sizes))
        X = draws.normal(rng, l_x, 7)
        return {"X": X, "Z": X if causal else draws.normal(rng, 19, 13), "params": params}

    def library(a: dict[str, Any]) -> Any:
        own = ("linear_mh_attention",)
        V_tilde, lines = _run(linear_transformer.linear_mh_attention, *a.values(), own=own, causal=causal)
        return V_tilde, lines | {"7.Y": lines["3.Y"]}

    return entry(
        name,
        purpose,
        module="formal_tx.long_context.linear_transformer",
        beside=_FILE,
        pseudocode_name="linear_mh_attention",
        draw=draw,
        paper=lambda a: (a["X"].T, a["Z"].T, to_paper(a["params"]), _paper("elu_plus_one"), causal),
        library=library,
        hard=(("one token, one head", lambda rng: draw(rng, l_x=1, H=1)),),
        functions=("linear_mh_attention", "projections"),
    )


def _large(rng: np.random.Generator) -> dict[str, Any]:
    """Numbers whose exponentials overflow in float32."""
    return {"X": 100 * draws.normal(rng, 11, 5)}


SYSTEMS = (
    System(
        name="linear_attention",
        title="Linear attention, transformers as RNNs",
        heading="long_context",
        papers=("2006.16236", "2009.14794"),
        checks=(
            _features(
                "elu_plus_one",
                "elu(x) + 1, entry by entry",
                0,
                lambda a: feature_maps.elu_plus_one,
                hard=(("large numbers", _large),),
            ),
            _features(
                "favor_features",
                "random features of the softmax",
                3,
                lambda a: feature_maps.favor(a["Omega"], a["t"]),
                "t",
            ),
            _features(
                "fourier_features",
                "random features of a Gaussian",
                3,
                lambda a: feature_maps.fourier(a["Omega"], a["s"], a["t"]),
                *("s", "t"),
            ),
            _features("relu_features", "random projections", 3, lambda a: feature_maps.relu(a["Omega"])),
            _orthogonal_directions(),
            _bidirectional(),
            _step(),
            _causal(),
            _chunked(),
            _mh("linear_mh_attention", "Algorithm 5 with linear heads", causal=False),
            _mh("causal_linear_mh_attention", "Algorithm 5 with causal linear heads", causal=True),
        ),
    ),
)
