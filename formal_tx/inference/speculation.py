"""Speculative decoding (2211.17192): a small model guesses several tokens, and the large one checks all at once.

A pass of a large model over five tokens takes little longer than one over a single token, since its parameters are read
once. What is drawn has exactly the distribution of Algorithm 14, whatever the small model guesses: it decides only how
many tokens a pass of the large one is worth.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..hyperparameters import DTransformerHyperparameters
from ..parameters import DTransformerParameters
from ..tagging import line
from ..validation import require_count, require_key
from .buckets import bucket, cut
from .cache import KeyValueCache
from .compiling import compiled
from .contracts import NO_TOKEN, bucketed, d_prompt, refuse_undrawn, require_one, require_room
from .decoding import d_prefill, d_step
from .drawing import Drawing, Text, draw, equal, log_q
from .extending import d_extend
from .filters import FilterLike


class Speculated(NamedTuple):
    """The tokens (length,) that were drawn, and in how many passes () of the large model."""

    tokens: jax.Array
    passes: jax.Array


def d_speculate(
    x: Int[Array, " l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    small_params: DTransformerParameters,
    small_hyperparameters: DTransformerHyperparameters,
    *,
    length: int,
    guesses: int = 4,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    filters: FilterLike | Sequence[FilterLike] = (),
    stop: Sequence[int] = (),
) -> Speculated:
    """Algorithm 14 with the help of a small model of the same vocabulary: other tokens, of the same distribution.

    With the filter `greedy` they are the tokens of `d_inference`, unless rounding decides between two of them.

    Args:
      x: (ℓ,) a prompt of at least one token whose values can be seen, ℓ + length + guesses - 1 ≤ l_max of both models.
      params, hyperparameters: the model whose tokens are drawn. small_params, small_hyperparameters: the one that
        guesses; `quantize(params)` for example.
      guesses: how many tokens are guessed for each pass of the large model.
      length, temperature, key, filters, stop: as for `d_inference`. The guesses are drawn with the same temperature and
        filters. Token t depends on `fold_in(key, t)` alone, and on the tokens before it.
    Returns:
      `Speculated`.
    Raises:
      TypeError, ValueError: as `d_inference`, for each of the models, and if their vocabularies differ in size.
    """
    name, hp, small_hp = "d_speculate", hyperparameters, small_hyperparameters
    x, params, _ = d_prompt(name, x, params, hp, None)
    _, small_params, _ = d_prompt(f"{name}, the small model", x, small_params, small_hp, None)
    require_one(name, "x", x)
    if small_hp.N_V != hp.N_V:
        raise ValueError(f"{name}: the small model has N_V = {small_hp.N_V}, expected {hp.N_V}, the large one's")
    length = require_count(name, "length", length, at_least=1)
    guesses = require_count(name, "guesses", guesses, at_least=1)
    l_max = min(hp.l_max, small_hp.l_max)
    require_room(name, x, None, length + guesses, l_max)
    drawing = Drawing.of(name, temperature, filters, stop, params.W_e.dtype, hp.N_V)
    prompt, l = bucketed(x, None, l_max)
    tokens, passes = speculate(
        prompt,
        l,
        (params, small_params),
        drawing,
        require_key(name, key),
        np.asarray(length),
        hyperparameters=(hp, small_hp),
        guesses=guesses,
        steps=bucket(length, l_max),
    )
    refuse_undrawn(name, tokens, params)
    refuse_undrawn(f"{name}, the small model", tokens, small_params)
    return Speculated(cut(tokens, length), passes)


class _State(NamedTuple):
    """The text, prompt included, the position `t` of its last token, whether it has ended, and both caches."""

    text: jax.Array
    t: jax.Array
    ended: jax.Array
    passes: jax.Array
    cache: KeyValueCache
    small_cache: KeyValueCache


@compiled(static_argnames=("hyperparameters", "guesses", "steps"))
def speculate(x, l, models, drawing, key, length, *, hyperparameters, guesses, steps):
    """Tokens (steps,) after the first l of a padded prompt, `length` of them drawn, and the passes of the large one."""
    (params, small_params), (hp, small_hp) = models, hyperparameters
    slots = min(x.shape[-1] + steps + guesses, hp.l_max, small_hp.l_max)
    text = jnp.pad(x, (0, steps + guesses + 1))
    caches = (d_prefill(x, p, h, l, slots) for p, h in zip(models, hyperparameters, strict=True))
    start = _State(text, l - 1, jnp.zeros((), bool), jnp.zeros((), int), *caches)

    def step(state):
        text, t = state.text, state.t
        seen = Text.begin(text[t], text, t + 1, drawing, hp.N_V).seen
        x, q, small_cache = _guess(text[t], t, seen, state.small_cache, small_params, small_hp, drawing, key, guesses)
        logits, cache = d_extend(jnp.append(text[t], x), t, state.cache, params, hp)
        log_p = log_q(logits, drawing.temperature, drawing.filters, _seen_after(seen, x))
        p = line(5, "p", jax.nn.softmax(log_p))
        r = line(6, "r", _uniform(key, t + 1, guesses, p.dtype))

        def sample(q, n):
            return draw(jnp.log(q), jnp.ones((), q.dtype), _key(key, t + 1 + n, 2))

        n, y = speculative_sampling(p, q, x, r, sample)
        drawn = jnp.where(jnp.arange(guesses + 1) < n, jnp.append(x, NO_TOKEN), y)
        ended = (_ends(drawn, drawing.stop) & (jnp.arange(guesses + 1) <= n)).any()
        text = lax.dynamic_update_slice(text, drawn, (t + 1,))
        return _State(text, t + n + 1, ended, state.passes + 1, cache, small_cache)

    state = lax.while_loop(lambda state: (state.t + 1 - l < length) & ~state.ended, step, start)
    y = lax.dynamic_slice(state.text, (l,), (steps,))
    return _filled(y, _ends(y, drawing.stop)), state.passes


def _guess(token, t, seen, cache, params, hyperparameters, drawing, key, guesses):
    """Guesses (n,) for what follows `token`, q of each (n, N_V), and the cache of the small model with all of them.

    The last step is there for its keys and values: if all guesses are right the text goes on after them.
    """

    def step(carry, i):
        token, seen, cache = carry
        logits, cache = d_step(token, t + i, cache, params, hyperparameters)
        log_guess = log_q(logits, drawing.temperature, drawing.filters, seen)
        y = draw(log_guess, jnp.ones((), log_guess.dtype), _key(key, t + 1 + i, 0)).astype(token.dtype)
        return (y, _seen_after(seen, y[None])[-1] if seen is not None else None, cache), (y, log_guess)

    (_, _, cache), (y, log_guess) = lax.scan(step, (token, seen, cache), jnp.arange(guesses + 1))
    q = line(2, "q", jax.nn.softmax(log_guess[:-1]))
    x = line(3, "x", y[:-1])
    return x, q, cache


def speculative_sampling(
    p: Float[Array, "n_plus_1 N_V"],
    q: Float[Array, "n N_V"],
    x: Int[Array, " n"],
    r: Float[Array, " n"],
    sample: Callable[[jax.Array, jax.Array], jax.Array],
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """2211.17192, algorithm 1, from line 7 on: how many guesses are accepted, and the token that follows these.

    A guess x is accepted with probability min(1, p(x) / q(x)). The token in place of the first one rejected has the
    distribution ∝ max(0, p - q), and where none is, the next one has the distribution p of the large model. Where p(x)
    is 0 the guess is rejected, even if r is 0.

    Args:
      p: (γ + 1, N_V) the distributions of the large model before each guess, and after all. q: (γ, N_V) those that the
        guesses x (γ,) were drawn from. r: (γ,) uniform in [0, 1).
      sample: a token drawn from a distribution (N_V,), for the place after n () guesses.
    Returns:
      n in [0, γ], and the token t.
    """
    p_x, q_x = (jnp.take_along_axis(A, x[:, None], axis=-1)[:, 0] for A in (p[:-1], q))
    n = line(7, "n", jnp.cumprod(r * q_x < p_x).sum())
    p_prime = line(8, "p_prime", p[n])
    # Behind the last guess q is 0, and what is left of p is p. Where p = q, rounding may find a guess wrong.
    left = jnp.maximum(p_prime - jnp.pad(q, ((0, 1), (0, 0)))[n], 0)
    p_prime = line(10, "p_prime", jnp.where(left.sum() > 0, left / left.sum(), p_prime))
    return n, line(12, "t", sample(p_prime, n).astype(x.dtype))


def _uniform(key, t, n, dtype):
    """The numbers (n,) with which guesses for positions from `t` on are checked."""
    return jax.vmap(lambda t: jax.random.uniform(_key(key, t, 1), dtype=dtype))(t + jnp.arange(n))


def _key(key: jax.Array, t: jax.Array, purpose: int) -> jax.Array:
    """The key of position `t` to guess its token (0), to check the guess (1), or to draw another one (2)."""
    return jax.random.fold_in(jax.random.fold_in(key, t), purpose)


def _seen_after(seen, y):
    """What is seen (n + 1, N_V) before each of y (n,), and after all of them."""
    if seen is None:
        return None
    new = equal(y, jnp.arange(len(seen)))
    return jnp.concatenate([seen[None], seen[None] | (jnp.cumsum(new, axis=0) > 0)])


def _ends(y, stop):
    return equal(y, stop).any(axis=-1)


def _filled(y, ends):
    """`y` (n,) with the first token that ends a text in place of all that follow it."""
    first = jnp.argmax(ends)
    return jnp.where(ends.any() & (jnp.arange(len(y)) > first), y[first], y)
