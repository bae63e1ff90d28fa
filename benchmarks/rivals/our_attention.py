"""Causal attention of six heads of 64 by `attend`: lines 4 to 6 of Algorithm 4, the implementation its own choice."""

from collections.abc import Callable

import jax

from formal_tx import masks
from formal_tx.attend import attend

H, D = 6, 64


def _inputs(l: int) -> list[jax.Array]:
    """Q, K, V, and what the gradient of the answer is."""
    return [jax.random.normal(key, (1, H, l, D)) for key in jax.random.split(jax.random.key(0), 4)]


def _mask(window: int | None) -> masks.Mask:
    return masks.causal if window is None else masks.causal & masks.window(window)


def forward(l: int, window: int | None = None) -> Callable[[], object]:
    """The answers to `l` tokens, each of which sees the tokens up to itself, or the last `window` of these."""
    mask, (Q, K, V, _) = _mask(window), _inputs(l)
    answer = jax.jit(lambda Q, K, V: attend(Q, K, V, mask, heads=1))
    return lambda: answer(Q, K, V).block_until_ready()


def gradients(l: int, window: int | None = None) -> Callable[[], object]:
    """The answers and the gradients of queries, keys and values."""
    mask, (Q, K, V, G) = _mask(window), _inputs(l)

    @jax.jit
    def both(Q: jax.Array, K: jax.Array, V: jax.Array, G: jax.Array) -> tuple[jax.Array, ...]:
        answer, pullback = jax.vjp(lambda *QKV: attend(*QKV, mask, heads=1), Q, K, V)
        return answer, *pullback(G)

    return lambda: jax.block_until_ready(both(Q, K, V, G))
