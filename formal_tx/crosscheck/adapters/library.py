"""This library's own functions as models: as anybody's, and with their batches, lengths and caches."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

import formal_tx

from ...inference import d_prefill, d_step, ed_prefill, ed_step
from ..catalog import Algorithm
from .algorithms import of_algorithm
from .architectures import SEQUENCES
from .models import AttentionModel, ContextModel, Model, SequenceModel


def of_library(algorithm: Algorithm, dtype: str = "float64") -> list[Model]:
    """The library's function as the models that the laws take."""
    models = of_algorithm(algorithm, _with_signature(algorithm), "jax", dtype)
    with jax.enable_x64(dtype == "float64"):
        return [_MORE.get(algorithm.number, lambda model: model)(model) for model in models]


def _with_signature(algorithm: Algorithm) -> Callable[..., Any]:
    """The library's function, called with the positional arguments of `algorithm.signature`."""
    f = algorithm.library
    match algorithm.number:
        case 6:
            return lambda e, gamma, beta, epsilon: f(e, gamma, beta, epsilon=epsilon)
        case 11:
            return lambda z, x, params, hp, epochs, eta: f(
                jnp.stack(z), jnp.stack(x), params, hp, epochs=epochs, optimizer=_descent(eta)
            )
        case 12:
            return lambda x, params, hp, epochs, eta, replaced: f(
                jnp.stack(x),
                params,
                hp,
                epochs=epochs,
                optimizer=_descent(eta),
                mask_probability=0.375,
                key=jax.random.key(0),
            )
        case 13:
            return lambda x, params, hp, epochs, eta: f(
                jnp.stack(x), params, hp, epochs=epochs, optimizer=_descent(eta)
            )
        case 14:
            return lambda x, params, hp, length, temperature, sample: f(
                x, params, hp, length=length, temperature=temperature, key=jax.random.key(0)
            )
        case 15:
            return lambda z, params, hp, temperature, sample: f(
                z, params, hp, temperature=temperature, key=jax.random.key(0)
            )
        case _:
            return f


_OPTIMIZERS: dict[float, Any] = {}


def _descent(eta: float) -> Any:
    """Gradient descent, the same object for the same rate: it is static, and compared by identity."""
    import optax

    return _OPTIMIZERS.setdefault(eta, optax.sgd(eta))


def _with_batches(model: AttentionModel) -> Model:
    return replace(model, batched=model.call)  # leading axes are free


def _encoder(model: SequenceModel) -> Model:
    params, hp = model.watched, model.hyperparameters
    return replace(
        model,
        batched=model.rows,
        padded=lambda ids, real: formal_tx.e_transformer(ids, params, hp, real.sum(axis=-1)),
    )


def _decoder(model: SequenceModel) -> Model:
    params, hp = model.watched, model.hyperparameters
    return replace(
        model,
        batched=model.rows,
        padded=lambda ids, real: formal_tx.d_transformer(ids, params, hp, real.sum(axis=-1)),
        prefill=lambda ids: d_prefill(ids, params, hp),
        step=lambda token, t, cache: _as_probabilities(d_step(jnp.asarray(token), jnp.asarray(t), cache, params, hp)),
    )


def _encoder_decoder(model: SequenceModel | ContextModel) -> Model:
    params, hp = model.watched, model.hyperparameters
    x, z = (jnp.asarray(ids) for ids in SEQUENCES)
    if isinstance(model, ContextModel):
        return replace(
            model,
            padded=lambda z, real: formal_tx.ed_transformer(
                z, jnp.broadcast_to(x, (len(z), len(x))), params, hp, real.sum(axis=-1)
            ),
        )

    def step(token: int, t: int, cache: Any) -> Any:
        return _as_probabilities(ed_step(jnp.asarray(token), jnp.asarray(t), cache, params, hp))

    def prefill(ids: jax.Array) -> Any:
        cache = ed_prefill(z, params, hp)
        for t, token in enumerate(ids):
            _, cache = step(int(token), t, cache)
        return cache

    def padded(ids: jax.Array, real: jax.Array) -> jax.Array:
        context = jnp.broadcast_to(z, (len(ids), len(z)))
        return formal_tx.ed_transformer(context, ids, params, hp, x_lengths=real.sum(axis=-1))

    return replace(model, padded=padded, prefill=prefill, step=step)


def _as_probabilities(step: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
    logits, cache = step
    return jax.nn.softmax(logits), cache


_MORE: dict[int, Callable[[Any], Model]] = {
    4: _with_batches,
    5: _with_batches,
    8: _encoder_decoder,
    9: _encoder,
    10: _decoder,
}
