"""The laws of attention on a function of one's own, and on one that breaks a few.

    formal-tx laws examples/laws_of_my_attention.py:attention --framework jax     # all hold, exit status 0
    formal-tx laws examples/laws_of_my_attention.py:model                         # an adapter: all hold
    formal-tx laws examples/laws_of_my_attention.py:wrong_mask --kind attention --framework jax   # exit status 1

A function that takes an algorithm's arguments, and has its name or is told by --kind, needs no adapter. Anything else
is wrapped: `model` says what it is called with, and what more there is to try.
"""

import jax
import jax.numpy as jnp

from formal_tx.crosscheck.adapters import AttentionModel
from formal_tx.crosscheck.laws import run


def attention(X, Z, params, mask, hidden=-jnp.inf):
    """Algorithm 4: (ℓ_x, d_out), for `mask[t_x, t_z]` true where token t_x may attend to token t_z."""
    Q, K, V = X @ params.W_q.T + params.b_q, Z @ params.W_k.T + params.b_k, Z @ params.W_v.T + params.b_v
    return jax.nn.softmax(jnp.where(mask, Q @ K.T / Q.shape[1] ** 0.5, hidden)) @ V


def wrong_mask(X, Z, params, mask):
    """A masked score is set to -10, which is not very little: what is masked has a weight, and a gradient."""
    return attention(X, Z, params, mask, hidden=-10)


def model():
    """Self-attention without parameters, that knows no masks: what it is, for the laws."""

    def call(X, Z, mask):
        return jax.nn.softmax(X @ Z.T) @ Z

    return AttentionModel(
        name="dot products", framework="jax", call=call, batched=jax.vmap(call), d_x=5, d_z=5, masked=False
    )


if __name__ == "__main__":
    for finding in run(model()):
        print(f"{finding.outcome:14}  {finding.statement}")
