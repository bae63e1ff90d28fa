"""The two editions of an architecture with any of its variations: cases, and how each edition is called on one."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...architectures import d_transformer_logits, e_transformer_logits, ed_transformer_logits
from ...hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from ...initialization import init_d_transformer, init_e_transformer, init_ed_transformer
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..draws import Case
from ..editions import lines_of
from . import functions
from .parameters import d_theta, e_theta, ed_theta

_INITIALISE: dict[type, Callable[..., Any]] = {
    DTransformerHyperparameters: init_d_transformer,
    ETransformerHyperparameters: init_e_transformer,
    EDTransformerHyperparameters: init_ed_transformer,
}
_NAMES = {
    DTransformerHyperparameters: ("d_transformer", ("d_layers", "d_layers_embedded", "d_transformer")),
    ETransformerHyperparameters: ("e_transformer", ("e_layers", "e_features", "e_transformer")),
    EDTransformerHyperparameters: ("ed_transformer", ("encode", "decode", "ed_transformer")),
}


def random_parameters(rng: np.random.Generator, hp: Any) -> Any:
    """Parameters of these hyperparameters, float64 NumPy, of which none is trivial."""
    return draws.fill(rng, draws.shapes_of(_INITIALISE[type(hp)], hp))


def case(rng: np.random.Generator, title: str, hp: Any, **lengths: int) -> Case:
    """A random case: parameters, and sequences of these lengths (`x`, and `z`; types as they are needed)."""
    arguments: dict[str, Any] = {"params": random_parameters(rng, hp), "hyperparameters": hp}
    arguments |= {name: draws.tokens(rng, length, _vocabulary(hp, name)) for name, length in lengths.items()}
    if isinstance(hp, ETransformerHyperparameters):
        arguments["types"] = rng.integers(max(hp.N_S, 1), size=lengths["x"])
    return Case(title, arguments, draws.sizes_of(arguments, **lengths), epsilon=hp.epsilon)


def _vocabulary(hp: Any, name: str) -> int:
    """How many tokens there are; a context may have its own."""
    return (getattr(hp, "N_V_z", None) if name == "z" else None) or hp.N_V


def cases(hp: Any) -> Callable[[np.random.Generator, int], Iterator[Case]]:
    """The cases of a model: random ones, and sequences of one token."""
    several = isinstance(hp, EDTransformerHyperparameters)

    def draw(rng: np.random.Generator, n: int) -> Iterator[Case]:
        for i in range(n):
            yield case(rng, f"random {i + 1}", hp, **({"z": 13, "x": 11} if several else {"x": 11}))
        yield case(rng, "length 1", hp, **({"z": 1, "x": 1} if several else {"x": 1}))

    return draw


def paper_arguments(case: Case) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the pseudocode: token ids and θ by position, the variations by name."""
    a, hp = case.arguments, case.arguments["hyperparameters"]
    params, x, table = a["params"], a["x"].tolist(), functions.table(hp)
    if isinstance(hp, DTransformerHyperparameters):
        return (x, d_theta(params, hp, table)), functions.hyperparameters(hp, params.W_r)
    if isinstance(hp, ETransformerHyperparameters):
        theta = e_theta(params, hp, table)
        return (x, a["types"].tolist(), theta), functions.hyperparameters(hp, params.W_r)
    own = hp.score if hp.decoder_score is None else hp.decoder_score
    options = functions.hyperparameters(hp, params.W_rz)
    options["decoder_score"] = functions.score(own, params.W_rx, hp.H)
    return (a["z"].tolist(), x, ed_theta(params, hp, table)), options


@cache
def library(hp: Any) -> Callable[[dict[str, Any]], tuple[jax.Array, dict[str, jax.Array]]]:
    """The library's probabilities, and its tagged lines, of `params` and token ids."""

    def logits(params: Any, x: Any, z: Any = None, types: Any = None) -> jax.Array:
        if isinstance(hp, EDTransformerHyperparameters):
            return ed_transformer_logits(z, x, params, hp)
        if isinstance(hp, ETransformerHyperparameters):
            return e_transformer_logits(x, params, hp, types=types if hp.N_S else None)
        return d_transformer_logits(x, params, hp)

    def run(traced: dict[str, Any]) -> tuple[jax.Array, dict[str, jax.Array]]:
        P, lines = reap(lambda traced: jax.nn.softmax(logits(**traced)))(traced)
        return P, lines_of(lines, (f"{_NAMES[type(hp)][0]}_logits",))

    return jax.jit(run)


def run(case: Case, dtype: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The library's result and its lines; where they stand for something else than the pseudocode's, without them."""
    a, hp = case.arguments, case.arguments["hyperparameters"]
    ids: dict[str, Any] = {name: jnp.asarray(a[name], jnp.int32) for name in ("x", "z", "types") if name in a}
    traced: dict[str, Any] = {"params": jax.tree.map(lambda W: jnp.asarray(W, dtype), a["params"]), **ids}
    result, lines = jax.tree.map(np.asarray, library(hp)(traced))
    return result, {name: value for name, value in lines.items() if not _stands_elsewhere(hp, name)}


def _stands_elsewhere(hp: Any, name: str) -> bool:
    """Whether the library's line 2 has the norm of the embeddings, which is the pseudocode's line 3."""
    return hp.embedding_norm and name in ("2.e", "2.e_z", "11.e_x")


def variation(name: str, purpose: str, hp: Any) -> Variation:
    """The entry of a model in the catalogue."""
    architecture, sources = _NAMES[type(hp)]
    return Variation(
        name=name,
        purpose=purpose,
        module="formal_tx.architectures",
        sources=sources,
        beside=f"variations.{architecture}",
        pseudocode_name=architecture,
        draw=cases(hp),
        paper_arguments=paper_arguments,
        run=run,
    )
