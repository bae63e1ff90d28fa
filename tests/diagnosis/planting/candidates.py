"""A planted edition as a candidate: each algorithm with the arguments that `formal-tx check N --against` gives it."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .edition import Edition

_MODULES = {1: "embedding", 2: "embedding", 3: "attention", 4: "attention", 5: "attention", 6: "normalization"}
_MODULES |= {7: "embedding", 8: "architectures", 9: "architectures", 10: "architectures"}
_MODULES |= {11: "training", 12: "training", 13: "training", 14: "inference.algorithms", 15: "inference.algorithms"}


def candidate(number: int, edition: Edition, cached: bool = True) -> Callable[..., Any]:
    """Algorithm `number` of the edition, with the positional arguments of its entry in the catalog.

    It runs without `jit`: compiling each edition anew would take ten times as long.

    Args:
      cached: for 14 and 15, whether it is the library's inference or that of `uncached.py`.
    """
    if number in (14, 15):
        of = _with_cache(number, edition) if cached else _without_cache(number, edition)
    elif number in (11, 12, 13):
        of = _training(number, edition)
    elif number in (8, 9, 10):
        of = _architecture(number, edition)
    else:
        of = _part(number, edition)

    def f(*arguments):
        with jax.disable_jit():
            return of(*arguments)

    return f


def _module(number: int, edition: Edition) -> ModuleType:
    return edition.module(_MODULES[number])


def _part(number: int, edition: Edition) -> Callable[..., Any]:
    module = _module(number, edition)
    if number == 6:
        return lambda e, gamma, beta, epsilon: module.layer_norm(e, gamma, beta, epsilon=epsilon)
    names = {1: "token_embedding", 2: "positional_embedding", 3: "basic_single_query_attention"}
    names |= {4: "attention", 5: "mh_attention", 7: "unembedding"}
    return getattr(module, names[number])


def _architecture(number: int, edition: Edition) -> Callable[..., Any]:
    name = {8: "ed_transformer", 9: "e_transformer", 10: "d_transformer"}[number]
    transformer = getattr(_module(number, edition), name)

    def f(*arguments):
        *sequences, params, hyperparameters = arguments
        return transformer(*sequences, params, edition.hyperparameters(hyperparameters))

    return f


def _training(number: int, edition: Edition) -> Callable[..., Any]:
    train = getattr(_module(number, edition), {11: "ed_training", 12: "e_training", 13: "d_training"}[number])

    def trained(data, params, hyperparameters, epochs, eta, **options):
        data = [jnp.stack(sequences) for sequences in data]
        options |= {"epochs": epochs, "optimizer": optax.sgd(eta)}
        try:
            return train(*data, params, edition.hyperparameters(hyperparameters), **options)
        except ValueError as error:
            if "zero-length scan" not in str(error):
                raise
            with jax.disable_jit(False):  # only a compiled scan may have nothing to do
                return train(*data, params, edition.hyperparameters(hyperparameters), **options)

    def f(*arguments):
        *data, params, hyperparameters, epochs, eta = arguments
        return trained(data, params, hyperparameters, epochs, eta)

    def e_training(x, params, hyperparameters, epochs, eta, replaced):
        key = jax.random.key(0)
        random = SimpleNamespace(uniform=_numbers(key, replaced))
        edition.module("masking").jax = SimpleNamespace(Array=jax.Array, random=random)
        return trained([x], params, hyperparameters, epochs, eta, mask_probability=0.5, key=key)

    return e_training if number == 12 else f


def _numbers(key: jax.Array, replaced: jax.Array) -> Callable[..., jax.Array]:
    """A `uniform` that gives 0 where a token is to be masked and 1 elsewhere, for the keys of epochs and updates."""
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(replaced.shape[0]))
    keys = jax.vmap(lambda k: jax.vmap(lambda n: jax.random.fold_in(k, n))(jnp.arange(replaced.shape[1])))(keys)
    known = jax.random.key_data(keys).reshape(-1, 2)
    numbers = jnp.where(jnp.asarray(replaced), 0.0, 1.0).reshape(len(known), -1)

    def uniform(key, shape, dtype):
        return numbers[jnp.argmax((jax.random.key_data(key) == known).all(axis=-1))].astype(dtype)

    return uniform


def _with_cache(number: int, edition: Edition) -> Callable[..., Any]:
    module, drawing = _module(number, edition), edition.module("inference.drawing")

    def d_inference(x, params, hyperparameters, length, temperature, sample):
        drawing.sample = sample
        options = {"length": length, "temperature": temperature, "key": jax.random.key(0)}
        return module.d_inference(x, params, edition.hyperparameters(hyperparameters), **options)

    def ed_inference(z, params, hyperparameters, temperature, sample):
        drawing.sample = sample
        options = {"temperature": temperature, "key": jax.random.key(0)}
        return module.ed_inference(z, params, edition.hyperparameters(hyperparameters), **options)

    return d_inference if number == 14 else ed_inference


def _without_cache(number: int, edition: Edition) -> Callable[..., Any]:
    module = edition.module("uncached")
    inference = module.d_inference if number == 14 else module.ed_inference
    return lambda tokens, params, hp, *rest: inference(tokens.tolist(), params, edition.hyperparameters(hp), *rest)
