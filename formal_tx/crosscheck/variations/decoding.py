"""Speculative decoding: what is accepted and what is drawn instead, of any distributions; and a pass of two models."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...hyperparameters import DTransformerHyperparameters
from ...inference import filters, speculation
from ...inference.drawing import Drawing
from ...initialization import init_d_transformer
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from .entry import Draw, entry

_ALMOST_1 = 1 - 2.0**-23
"""The largest number that is drawn in float32 from [0, 1)."""


def _distributions(rng: np.random.Generator, n: int, N_V: int) -> np.ndarray:
    return draws.exact(rng.dirichlet(np.ones(N_V), n))


def _tables(gamma: int, N_V: int, change: Callable[[dict[str, Any]], Any] = lambda a: None) -> Draw:
    """Random distributions, with what `change` does to them; the noise is what their tokens are drawn with."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        a = {"prefix": rng.integers(0, N_V, 3), "p": _distributions(rng, gamma + 1, N_V)}
        a |= {"q": _distributions(rng, gamma, N_V), "r": draws.exact(rng.uniform(0, _ALMOST_1, gamma))}
        a["noise"] = draws.exact(rng.gumbel(size=(gamma + 1, N_V)))
        change(a)
        return a

    return draw


def _guessed(a: dict[str, Any], token: int) -> None:
    """Every guess is this token."""
    a["noise"][:-1, token] = 100.0


def _none_accepted(a: dict[str, Any]) -> None:
    _guessed(a, 2)
    a["p"][0, 2], a["q"][0, 2], a["r"][0] = 0.125, 0.5, 0.375


def _one_accepted(a: dict[str, Any]) -> None:
    _guessed(a, 2)
    a["p"][0, 2], a["q"][0, 2] = 0.5, 0.25
    a["p"][1, 2], a["q"][1, 2], a["r"][1] = 0.25, 0.5, 0.75


def _the_same(a: dict[str, Any]) -> None:
    a["q"], a["r"][:] = a["p"][:-1].copy(), _ALMOST_1


def _disjoint(a: dict[str, Any]) -> None:
    a["p"][:, ::2], a["q"][:, 1::2] = 0.0, 0.0


def _zeros(a: dict[str, Any]) -> None:
    """The second guess is a token that the large model does not have, and the number with which it is checked is 0."""
    _guessed(a, 1)
    a["p"][:, 3], a["q"][:, 3] = 0.0, 0.0
    a["p"][0, 1], a["p"][1, 1], a["r"][:] = 1.0, 0.0, 0.0


def _all_accepted(a: dict[str, Any]) -> None:
    """What follows is the likeliest token, which the small model thought likely for the guess before."""
    a["r"][:], a["noise"][-1] = 0.0, 0.0
    a["q"][-1, np.argmax(a["p"][-1])] = 1.0


def _ties(a: dict[str, Any]) -> None:
    """r = p / q exactly at the third guess, and two tokens that are drawn with the same number."""
    _guessed(a, 1)
    a["p"][:, 1], a["q"][:, 1], a["r"][:] = 0.25, 0.5, (0.25, 0.375, 0.5)
    a["p"][2, 3:5], a["q"][2, 3:5], a["noise"][-1, 3:5] = 0.375, 0.125, 50.0


def _speculative_sampling() -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        prefix = a["prefix"].tolist()

        def model(table: np.ndarray) -> Callable[[list[int]], np.ndarray]:
            return lambda x: table[len(x) - len(prefix)]

        sample = draws.GumbelSampler(a["noise"])
        return prefix, model(a["p"]), model(a["q"]), len(a["q"]), iter(a["r"].tolist()).__next__, sample

    def library(a: dict[str, Any]) -> Any:
        def likeliest(q: jax.Array, noise: jax.Array) -> jax.Array:
            return jnp.argmax(jnp.log(q) + noise, axis=-1)

        x = likeliest(a["q"], a["noise"][:-1])
        run = reap(speculation.speculative_sampling)
        (n, t), lines = run(a["p"], a["q"], x, a["r"], lambda q, n: likeliest(q, a["noise"][-1]))
        return np.array([*a["prefix"], *x[:n], t]), dict(lines)

    return entry(
        "speculative_sampling",
        "tokens guessed with another distribution",
        module="formal_tx.inference.speculation",
        beside="decoding.speculative_sampling",
        pseudocode_name="speculative_decoding_step",
        draw=_tables(5, 7),
        paper=paper,
        library=library,
        hard=(
            ("all accepted", _tables(3, 7, _all_accepted)),
            ("the first rejected", _tables(3, 7, _none_accepted)),
            ("the second rejected", _tables(3, 7, _one_accepted)),
            ("p = q", _tables(3, 7, _the_same)),
            ("no token in common", _tables(3, 7, _disjoint)),
            ("tokens of probability 0", _tables(3, 7, _zeros)),
            ("ties", _tables(3, 7, _ties)),
            ("one guess", _tables(1, 7)),
            ("a vocabulary of two", _tables(4, 2)),
        ),
        functions=("speculative_sampling",),
    )


_HP = DTransformerHyperparameters(l_max=19, L=2, H=2, d_e=5, d_mlp=7, N_V=11, d_attn=3, d_mid=2, epsilon=1e-5)
_SMALL = DTransformerHyperparameters(l_max=23, L=1, H=1, d_e=3, d_mlp=2, N_V=11, d_attn=2, d_mid=3, epsilon=1e-5)


def _unseen(logits: jax.Array, seen: jax.Array) -> jax.Array:
    return jnp.where(seen, -jnp.inf, logits)


def _filters(chosen: int | str) -> tuple[Any, Callable[[np.ndarray, list[int]], np.ndarray]]:
    """What is done to logits in the library, and in the pseudocode to logits and the tokens x before them.

    A number k is `top_k`. A token that is dropped since it was seen, unlike one with a penalty, is so whatever constant
    is added to all logits: the pseudocode's are log p.
    """
    match chosen:
        case int(k):
            return filters.top_k(k), lambda logits, x: pseudocode.module("decoding.filters").top_k(logits, k)
        case "unseen":
            return filters.Filter(_unseen), lambda logits, x: np.where(np.isin(range(_HP.N_V), x), -np.inf, logits)
        case _:
            return (), lambda logits, x: logits


def _models(gamma: int = 3, tau: float = 1.0, shaped: int | str = "", same: bool = False) -> Draw:
    """A prompt and two models, or one twice, that draw with a temperature and filters."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        params, small = (draws.fill(rng, draws.shapes_of(init_d_transformer, hp)) for hp in (_HP, _SMALL))
        a = {"x": rng.integers(0, _HP.N_V, 5), "seed": int(rng.integers(1000)), "gamma": gamma, "tau": tau}
        models = ((params, _HP), (params, _HP)) if same else ((params, _HP), (small, _SMALL))
        return a | {"models": models, "filters": shaped}

    return draw


def _distribution(params: Any, hp: Any, a: dict[str, Any]) -> Callable[[list[int]], np.ndarray]:
    """The distribution of the token after x, by the pseudocode."""
    notation, d_transformer = pseudocode.module("notation"), pseudocode.module("algorithm_10_d_transformer")
    theta, temperature = to_paper(params), pseudocode.module("decoding.filters").temperature
    _, filtered = _filters(a["filters"])

    def distribution(x: list[int]) -> np.ndarray:
        p = d_transformer.d_transformer(x, theta, hp.epsilon)[:, -1]
        return notation.softmax(filtered(temperature(np.log(p), a["tau"]), x))

    return distribution


def _random_numbers(a: dict[str, Any], N_V: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The noise of the guesses, the numbers that they are checked with, the noise of what follows 0, 1, … of them."""
    key, gamma, dtype = jax.random.key(a["seed"]), a["gamma"], jnp.ones(()).dtype

    def keys(n: int, purpose: int) -> list[Any]:
        first = len(a["x"])
        return [jax.random.fold_in(jax.random.fold_in(key, first + i), purpose) for i in range(n)]

    guesses, instead = (
        np.array([jax.random.gumbel(k, (N_V,), dtype) for k in keys(n, purpose)], float)
        for n, purpose in ((gamma, 0), (gamma + 1, 2))
    )
    return guesses, np.array([jax.random.uniform(k, dtype=dtype) for k in keys(gamma, 1)], float), instead


@cache
def _one_pass(hyperparameters: tuple[Any, ...], gamma: int) -> Callable[..., Any]:
    """The library's tokens after a prompt, and the lines of the pass that is needed for the first of them."""

    def run(x: Any, params: Any, drawing: Drawing, key: Any) -> Any:
        options = {"hyperparameters": hyperparameters, "guesses": gamma, "steps": 1}
        (tokens, _), lines = reap(speculation.speculate)(x, jnp.asarray(len(x)), params, drawing, key, 1, **options)
        return tokens, lines_of(lines, ("speculate",))

    return jax.jit(run)


def _d_speculate() -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        prefix = a["x"].tolist()
        M_p, M_q = (_distribution(params, hp, a) for params, hp in a["models"])
        guesses, r, instead = _random_numbers(a, _HP.N_V)

        def arguments(last: np.ndarray) -> tuple[Any, ...]:
            sample = draws.GumbelSampler(np.array([*guesses, last]))
            return prefix, M_p, M_q, a["gamma"], iter(r.tolist()).__next__, sample

        # The noise of the last draw is that of its position, so of how many guesses are accepted before it.
        step = pseudocode.module("decoding.speculative_sampling").speculative_decoding_step
        return arguments(instead[len(step(*arguments(instead[0]))) - len(prefix) - 1])

    def library(a: dict[str, Any]) -> Any:
        params, hyperparameters = zip(*a["models"], strict=True)
        drawing = Drawing.of("check", a["tau"], _filters(a["filters"])[0], (), params[0].W_e.dtype, _HP.N_V)
        run = _one_pass(hyperparameters, a["gamma"])
        tokens, lines = run(a["x"], params, drawing, jax.random.key(a["seed"]))
        after = [*lines["3.x"][: lines["7.n"]], lines["12.t"]]
        return np.array([*a["x"], tokens[0], *after[1:]]), lines

    return entry(
        "d_speculate",
        "a small model guesses, the large one checks",
        module="formal_tx.inference.speculation",
        beside="decoding.speculative_sampling",
        pseudocode_name="speculative_decoding_step",
        draw=_models(),
        paper=paper,
        library=library,
        hard=(
            ("one guess, a temperature", _models(gamma=1, tau=4.0)),
            ("guesses of the model itself", _models(same=True)),
            ("two tokens each", _models(shaped=2)),
            ("one token each", _models(shaped=1)),
            ("no token twice", _models(shaped="unseen")),
        ),
        functions=("_guess", "speculate", "speculative_sampling"),
    )


PARTS: tuple[Variation, ...] = (_speculative_sampling(), _d_speculate())
