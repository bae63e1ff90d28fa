"""The same attention by `jax.nn.dot_product_attention`, which keeps all scores on a CPU."""

from collections.abc import Callable

import jax

H, D = 6, 64


def _inputs(l: int) -> list[jax.Array]:
    return [jax.random.normal(key, (1, l, H, D)) for key in jax.random.split(jax.random.key(0), 4)]


def _attention(Q: jax.Array, K: jax.Array, V: jax.Array) -> jax.Array:
    return jax.nn.dot_product_attention(Q, K, V, is_causal=True)


def forward(l: int) -> Callable[[], object]:
    """The answers to `l` tokens, each of which sees the tokens up to itself."""
    Q, K, V, _ = _inputs(l)
    answer = jax.jit(_attention)
    return lambda: answer(Q, K, V).block_until_ready()


def gradients(l: int) -> Callable[[], object]:
    """The answers and the gradients of queries, keys and values."""

    @jax.jit
    def both(Q: jax.Array, K: jax.Array, V: jax.Array, G: jax.Array) -> tuple[jax.Array, ...]:
        answer, pullback = jax.vjp(_attention, Q, K, V)
        return answer, *pullback(G)

    inputs = _inputs(l)
    return lambda: jax.block_until_ready(both(*inputs))
