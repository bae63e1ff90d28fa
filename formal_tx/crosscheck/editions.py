"""Runs one edition of an algorithm on a case: the pseudocode, or the library, with the same random numbers."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tagging import reap
from .catalog import Algorithm, Variation
from .draws import Case, GumbelSampler
from .layout import to_paper
from .record import Recorded, record


def sampler(algorithm: Algorithm, case: Case, dtype: Any) -> GumbelSampler:
    """The random numbers with which the library draws its tokens, for anybody who draws with `sample(q)`."""
    a = case.arguments
    N_V, l_max = a["hyperparameters"].N_V, a["hyperparameters"].l_max
    first = len(a["x"]) if algorithm.number == 14 else 1
    steps = a["length"] if algorithm.number == 14 else l_max
    key = jax.random.key(a["seed"])
    keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(first + jnp.arange(steps))
    noise = jax.vmap(lambda k: jax.random.gumbel(k, (N_V,), dtype))(keys)
    return GumbelSampler(np.asarray(noise, dtype=float))


def hyperparameters(case: Case) -> Any:
    """The case's hyperparameters, with its epsilon."""
    hp = case.arguments.get("hyperparameters")
    return None if hp is None else dataclasses.replace(hp, epsilon=case.epsilon)


def masking(case: Case) -> np.ndarray:
    """The uniform numbers (epochs, N_data, ℓ) with which Algorithm 12 decides what to mask."""
    a = case.arguments
    N_data, length = a["x"].shape

    def draw(i, n):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(a["seed"]), i), n)
        return jax.random.uniform(key, (length,), jnp.float32)

    i, n = jnp.arange(a["epochs"]), jnp.arange(N_data)
    return np.asarray(jax.vmap(lambda i: jax.vmap(lambda n: draw(i, n))(n))(i), dtype=float)


def run_paper(algorithm: Algorithm, case: Case, dtype: Any) -> tuple[Any, list[Recorded]]:
    """The pseudocode's result, and what each of its lines assigned."""
    arguments, options = paper_call(algorithm, case, dtype)
    with np.errstate(all="ignore"):  # where the paper divides by 0 the result is nan, and compared as such
        return record(algorithm.paper, algorithm.listing, *arguments, **options)


def paper_call(algorithm: Algorithm, case: Case, dtype: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with which the pseudocode is called on a case, by position and by name."""
    if isinstance(algorithm, Variation):
        return algorithm.paper_arguments(case)
    a = case.arguments
    theta = to_paper(a["params"]) if "params" in a else None
    arguments: tuple[Any, ...]
    options: dict[str, Any] = {"epsilon": case.epsilon} if algorithm.number >= 8 else {}
    sequences = {name: [s.tolist() for s in np.atleast_2d(a[name])] for name in ("x", "z") if name in a}
    one = {name: s[0] for name, s in sequences.items()}
    match algorithm.number:
        case 0:
            arguments = (a["d_e"], a["l_max"])
        case 1:
            arguments = (a["v"], a["W_e"].T)
        case 2:
            arguments = (a["t"], a["W_p"].T)
        case 3:
            arguments = (a["e"], list(a["context"]), theta)
        case 4 | 5:
            arguments = (a["X"].T, a["Z"].T, theta, a["mask"].T)
        case 6:
            arguments = (a["e"], a["gamma"], a["beta"], a["epsilon"])
        case 7:
            arguments = (a["e"], a["W_u"])
        case 8:
            arguments = (one["z"], one["x"], theta)
        case 9 | 10:
            arguments = (one["x"], theta)
        case 11:
            arguments = (sequences["z"], sequences["x"], theta, a["epochs"], a["eta"])
        case 12:
            numbers = iter(masking(case).ravel())
            arguments = (sequences["x"], theta, a["epochs"], a["eta"], a["mask_probability"], lambda: next(numbers))
        case 13:
            arguments = (sequences["x"], theta, a["epochs"], a["eta"])
        case 14:
            arguments = (one["x"], theta, a["length"], a["temperature"], sampler(algorithm, case, dtype))
        case _:
            arguments = (one["z"], theta, a["temperature"], sampler(algorithm, case, dtype))
    return arguments, options


def run_library(algorithm: Algorithm, case: Case, dtype: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The library's result, and its own tagged lines, by `number.variable`, as NumPy arrays."""
    if isinstance(algorithm, Variation):
        return algorithm.run(case, dtype)
    a = case.arguments
    hp = hyperparameters(case)
    params = jax.tree.map(lambda W: jnp.asarray(W, dtype), a.get("params"))
    ids = {name: jnp.asarray(a[name], jnp.int32) for name in ("x", "z", "v", "t") if name in a}
    arrays = {
        name: jnp.asarray(a[name], bool if name == "mask" else dtype)
        for name in ("e", "context", "X", "Z", "mask", "gamma", "beta", "W_e", "W_p", "W_u")
        if name in a
    }
    static: dict[str, Any] = {}
    traced = ids | arrays | ({} if params is None else {"params": params})
    if hp is not None:
        static["hyperparameters"] = hp
    if algorithm.number == 0:
        static |= {"l_max": a["l_max"], "d_e": a["d_e"]}
    if algorithm.number == 6:
        static["epsilon"] = a["epsilon"]
    if algorithm.trains:
        static |= {"epochs": a["epochs"], "eta": a["eta"]}
    if algorithm.number == 12:
        static["mask_probability"] = a["mask_probability"]
    if algorithm.number in (12, 14, 15):
        traced["key"] = jax.random.key(a["seed"])
    if algorithm.number in (14, 15):
        traced["temperature"] = jnp.asarray(a["temperature"], dtype)
    if algorithm.number == 14:
        static["length"] = a["length"]
    result, lines = _reaped(algorithm, tuple(static.items()))(traced)
    return jax.tree.map(np.asarray, (result, lines))


@cache
def _reaped(algorithm: Algorithm, static: tuple[tuple[str, Any], ...]) -> Callable:
    """The library's function, reaped and compiled once for all cases that share its static arguments."""
    keywords = dict(static)
    if "eta" in keywords:
        import optax  # the printed algorithm is its gradient descent; imported where it is needed

        keywords["optimizer"] = optax.sgd(keywords.pop("eta"))
    run = reap(lambda traced: algorithm.library(**traced, **keywords))

    def own_lines(traced):
        result, lines = run(traced)
        return result, lines_of(lines, algorithm.functions)

    return jax.jit(own_lines)


def lines_of(lines: Mapping[str, Any], functions: Collection[str]) -> dict[str, Any]:
    """What is tagged in one of these functions, not in one that they call: `4.S`, `6.theta.W_e`, …"""
    own = {}
    for path, value in lines.items():
        *callers, name = path.split("/")
        if not callers or callers[-1] in functions:
            own[name] = value
    return own
