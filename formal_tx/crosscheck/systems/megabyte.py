"""MEGABYTE: the distributions of bytes, what a text costs, and bytes that are drawn."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...inference.drawing import Drawing
from ...long_context import megabyte as dense
from ...long_context import megabyte_generation as generation
from ...long_context.megabyte import MegabyteHyperparameters, MegabyteParameters, init_megabyte
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_PRIMES = MegabyteHyperparameters(
    N_V=17, T_max=35, P=5, D_G=3, D_L=11, L_G=2, L_L=3, H_G=3, H_L=1, d_mlp_G=13, d_mlp_L=7
)
_ONE_BYTE_A_PATCH = MegabyteHyperparameters(
    N_V=7, T_max=11, P=1, D_G=5, D_L=3, L_G=1, L_L=2, H_G=1, H_L=3, d_mlp_G=13, d_mlp_L=2
)
_ONE_PATCH = MegabyteHyperparameters(
    N_V=13, T_max=7, P=7, D_G=2, D_L=5, L_G=1, L_L=1, H_G=2, H_L=1, d_mlp_G=3, d_mlp_L=11
)
_BARE = MegabyteHyperparameters(N_V=2, T_max=6, P=2, D_G=3, D_L=5, L_G=0, L_L=0, H_G=1, H_L=1)


def _case(hp: MegabyteHyperparameters, T: int, **more: Any) -> Draw:
    """A text of T bytes, and a model of these sizes."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        x = rng.integers(hp.N_V, size=T)
        return {"x": x, "params": draws.fill(rng, draws.shapes_of(init_megabyte, hp)), "hyperparameters": hp, **more}

    return draw


_HARD = (
    ("one patch of the text", _case(_PRIMES, 5)),
    ("a patch is a byte", _case(_ONE_BYTE_A_PATCH, 11)),
    ("one byte", _case(_ONE_BYTE_A_PATCH, 1)),
    ("a patch is the text", _case(_ONE_PATCH, 7)),
    ("two kinds of bytes, no layers", _case(_BARE, 6)),
)


def theta(params: MegabyteParameters) -> Any:
    """The pseudocode's θ: tables by columns, stacks with lists of layers and heads."""
    by_columns = {name: np.array(getattr(params, name)).T for name in ("E_G", "Pos_G", "pad_G", "E_L")}
    as_they_are = {name: np.array(getattr(params, name)) for name in ("W_GL", "pad_L")}
    stacks = {name: to_paper(getattr(params, name)) for name in ("global_stack", "local_stack")}
    return pseudocode.module("notation").Parameters(**by_columns, **as_they_are, **stacks)


def _paper(a: dict[str, Any]) -> tuple[Any, ...]:
    return a["x"].tolist(), theta(a["params"]), a["hyperparameters"].P, a["hyperparameters"].epsilon


@cache
def _compiled(hp: MegabyteHyperparameters, f: Callable[..., Any], functions: tuple[str, ...]) -> Callable[..., Any]:
    def run(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        result, lines = reap(lambda *given: f(*given, hp))(*arguments)
        return result, lines_of(lines, functions)

    return jax.jit(run)


def _megabyte() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        run = _compiled(a["hyperparameters"], dense.megabyte, ("megabyte", "megabyte_logits"))
        return run(a["x"], a["params"])

    return entry(
        "megabyte",
        "bytes from patches: a global and a local decoder",
        module="formal_tx.long_context.megabyte",
        beside="long_context.megabyte",
        draw=_case(_PRIMES, 15),
        paper=_paper,
        library=library,
        hard=_HARD,
        functions=("megabyte_logits", "megabyte"),
    )


def _bits_per_byte() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        return _compiled(a["hyperparameters"], dense.bits_per_byte, ("bits_per_byte",))(a["params"], a["x"])

    return entry(
        "bits_per_byte",
        "what a text costs under MEGABYTE",
        module="formal_tx.long_context.megabyte",
        beside="long_context.megabyte",
        draw=_case(_PRIMES, 15),
        paper=_paper,
        library=library,
        hard=(("one byte", _case(_ONE_BYTE_A_PATCH, 1)),),
        functions=("bits_per_byte",),
    )


def _inference() -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        x, of_model, P, epsilon = _paper(a)
        key, dtype = jax.random.key(a["seed"]), jnp.ones(()).dtype
        keys = [jax.random.fold_in(key, len(x) + i) for i in range(a["l_gen"])]
        noise = np.array([jax.random.gumbel(k, (a["hyperparameters"].N_V,), dtype) for k in keys], float)
        return x, of_model, P, a["l_gen"], a["tau"], draws.GumbelSampler(noise), epsilon

    def library(a: dict[str, Any]) -> Any:
        hp, l, l_gen = a["hyperparameters"], len(a["x"]), a["l_gen"]

        @jax.jit
        def run(x: jax.Array, params: MegabyteParameters, drawing: Drawing, key: jax.Array) -> Any:
            return reap(generation._write)(x, params, drawing, key, hyperparameters=hp, length=l_gen)

        drawing = Drawing.of("check", a["tau"], (), (), a["params"].E_L.dtype, hp.N_V)
        y, lines = run(a["x"], a["params"], drawing, jax.random.key(a["seed"]))
        own = lines_of(lines, ("_write",))
        # Of the patch that the prompt begins, and of the last one, not all bytes are drawn.
        asked = slice(l % hp.P, l % hp.P + l_gen)
        drawn = {name: own[name].reshape(-1, *own[name].shape[2:])[asked] for name in ("3.p", "4.y")}
        return y, drawn | {"1.l": own["1.l"], "7.y": y}

    def case(hp: MegabyteHyperparameters, T: int, l_gen: int, tau: float = 1.0) -> Draw:
        return _case(hp, T, l_gen=l_gen, tau=tau, seed=3)

    return entry(
        "megabyte_inference",
        "the global stack steps once a patch",
        module="formal_tx.long_context.megabyte_generation",
        beside="long_context.megabyte",
        draw=case(_PRIMES, 13, 8),
        paper=paper,
        library=library,
        hard=(
            ("from nothing", case(_PRIMES, 0, 7)),
            ("after whole patches, a temperature", case(_PRIMES, 10, 5, tau=0.5)),
            ("a patch is a byte, up to T_max", case(_ONE_BYTE_A_PATCH, 8, 3)),
        ),
        functions=("_write", "_bytes", "megabyte_inference"),
    )


SYSTEMS = (
    System(
        name="megabyte",
        title="MEGABYTE: bytes in patches",
        heading="long_context",
        papers=("2305.07185",),
        checks=(_megabyte(), _bits_per_byte(), _inference()),
    ),
)
