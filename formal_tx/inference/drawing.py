"""How the next token is drawn, and what is known of a text while it is: for one sequence, or a batch of B sequences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from ..contracts import is_concrete
from ..embedding import within
from ..linear import aligned, wide
from ..validation import require_positive
from .contracts import NO_TOKEN, require_tokens
from .filters import Filter, as_filters, compose, is_greedy
from .filters import temperature as divided_by


def draw(
    logits: jax.Array,
    temperature: Any,
    key: jax.Array,
    filters: tuple[Filter, ...] = (),
    seen: jax.Array | None = None,
) -> jax.Array:
    """A token (…) from q ∝ p^(1/τ) = softmax(logits / τ), with logits (..., N_V); -1 if these are nan.

    It is argmax(logits / τ + G) with Gumbel noise G = `jax.random.gumbel(key)`, which has exactly that distribution.
    With filters, q is the softmax of what they make, in their order, of logits / τ and `seen` (..., N_V); -1 if they
    leave no token. Where the last filter is `greedy` one token is left, and no noise is needed.
    """
    greedily = bool(filters) and is_greedy(filters[-1])
    scaled = log_q(logits, temperature, filters[:-1] if greedily else filters, seen)
    if greedily:
        y = likeliest(scaled)
    else:
        y = likeliest(scaled + jax.random.gumbel(key, scaled.shape, scaled.dtype))
    return jnp.where(jnp.isnan(scaled.max(axis=-1)), NO_TOKEN, y)  # max is nan where any of them is


def likeliest(logits: jax.Array) -> jax.Array:
    """argmax of logits (..., N_V) over the last axis: the first of the largest; N_V, which is no token, if one is nan.

    A maximum and a minimum, which XLA's CPU backend computes many numbers at a time: a tenth of the time of its argmax.
    """
    N_V = logits.shape[-1]
    largest = logits == logits.max(axis=-1, keepdims=True)
    return jnp.where(largest, aligned(jnp.arange(N_V), logits), N_V).min(axis=-1)


def log_q(logits: jax.Array, temperature: Any, filters: tuple[Filter, ...], seen: jax.Array | None) -> jax.Array:
    """What q is the softmax of, up to a constant; arguments as for `draw`."""
    logits = wide(logits)
    if filters:
        logits = compose(divided_by(temperature), *filters)(logits, seen)
        temperature = jnp.ones((), logits.dtype)
    # The largest logit is taken off first: a small τ must not make several of them infinite.
    return (logits - logits.max(axis=-1, keepdims=True)) / jnp.where(temperature > 0, temperature, jnp.nan)


@struct.dataclass
class Drawing:
    """What is asked of every draw: the temperature (), the filters, and the tokens (n,) that end a text."""

    temperature: jax.Array
    filters: tuple[Filter, ...]
    stop: jax.Array

    @classmethod
    def of(cls, function: str, temperature: Any, filters: Any, stop: Any, dtype: Any, N_V: int) -> "Drawing":
        """What is asked, checked: errors as `d_inference` says."""
        require_positive(function, dtype, temperature=temperature)
        stop = require_tokens(function, "stop", stop, N_V)
        if is_concrete(temperature):  # one that is smaller than `tiny` may be 0 where it is computed with
            temperature = np.maximum(np.asarray(temperature, dtype), jnp.finfo(dtype).tiny)
        else:
            temperature = jnp.asarray(temperature, dtype)
        return cls(temperature, as_filters(function, filters), stop)

    def __call__(self, logits: jax.Array, key: jax.Array, t: jax.Array, seen: jax.Array | None) -> jax.Array:
        """The token at position `t`, drawn with `fold_in(key, t)`: from logits (N_V,) and a key, or (B, N_V) and B."""

        def one(logits, key, t, seen):
            return draw(logits, self.temperature, jax.random.fold_in(key, t), self.filters, seen)

        if not key.ndim:
            return one(logits, key, t, seen)
        return jax.vmap(one)(logits, key, jnp.broadcast_to(t, key.shape), seen)


@struct.dataclass
class Text:
    """How far texts have come: their last tokens () or (B,), the tokens they hold (..., N_V), whether they have ended.

    `seen` is None where there is no filter to ask for it.
    """

    token: jax.Array
    seen: jax.Array | None
    ended: jax.Array

    @classmethod
    def begin(cls, token: jax.Array, x: jax.Array, lengths: jax.Array, drawing: Drawing, N_V: int) -> "Text":
        """Texts of which prompts `x` (..., ℓ) are known, `lengths` of their tokens real, the last of them `token`."""

        def mark(x, real):
            return jnp.zeros(N_V, bool).at[x].max(real)

        seen = None
        if drawing.filters:
            seen = (jax.vmap(mark) if x.ndim > 1 else mark)(x, within(x, jnp.broadcast_to(lengths, x.shape[:-1])))
        return cls(token, seen, jnp.zeros(token.shape, bool))

    def followed_by(self, y: jax.Array, stop: jax.Array) -> "Text":
        """The texts with one more token each; after an end comes the token that ended it, again and again."""
        y = jnp.where(self.ended, self.token, y.astype(self.token.dtype))
        seen = self.seen
        if seen is not None:
            seen = seen | equal(y, jnp.arange(seen.shape[-1]))
        return Text(y, seen, self.ended | equal(y, stop).any(axis=-1))


def equal(y: jax.Array, tokens: jax.Array) -> jax.Array:
    """Which of `tokens` (n,) each of `y` (...) is: (..., n)."""
    return y[..., None] == tokens.astype(y.dtype).reshape((1,) * y.ndim + (-1,))
