"""Algorithms 14 and 15 as somebody writes them who has no cache: everything is computed again for every token."""

import jax
import jax.numpy as jnp

from formal_tx.architectures import d_transformer_logits, ed_transformer_logits


def d_inference(x, params, hyperparameters, length, temperature, sample):
    """`length` tokens after the prompt `x`."""
    l = len(x)
    for i in range(length):
        logits = d_transformer_logits(jnp.array(x), params, hyperparameters)
        q = jax.nn.softmax(logits[l + i - 1] / temperature)
        y = sample(q)
        x = [*x, y]
    return x[l:]


def ed_inference(z, params, hyperparameters, temperature, sample):
    """The sequence that `z` becomes, from bos_token to eos_token."""
    x_hat = [hyperparameters.bos_token]
    while x_hat[-1] != hyperparameters.eos_token and len(x_hat) <= hyperparameters.l_max:
        logits = ed_transformer_logits(jnp.array(z), jnp.array(x_hat), params, hyperparameters)
        q = jax.nn.softmax(logits[len(x_hat) - 1] / temperature)
        y = sample(q)
        x_hat = [*x_hat, y]
    return x_hat
