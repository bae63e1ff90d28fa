"""What is done to logits before a token is drawn: composable pure functions of logits and of the tokens seen so far.

A `Filter` is a pytree: the function is static under `jit`, its numbers are traced, so that another k or p compiles
nothing. Filters that drop tokens set their logits to -inf and leave the others alone; -inf stays -inf, and nan stays
nan. They rank tokens by their logits, and equal logits by id, the lower first, as argmax does.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from ..contracts import is_concrete
from ..linear import wide
from ..validation import as_arrays, require_count, require_floats, require_number, require_positive

FilterLike = Any  # a Filter, or a function of (logits, seen)


@struct.dataclass
class Filter:
    """A function of logits (..., N_V) and of `seen` (..., N_V), which tokens came before: booleans, or counts.

    `function(logits, seen, *arguments)` is static under `jit`: use a module-level function, since a lambda made anew at
    each call compiles anew at each call. `arguments` are traced, or filters themselves.
    """

    function: Callable = struct.field(pytree_node=False)
    arguments: tuple = ()

    def __call__(self, logits: jax.Array, seen: jax.Array | None = None) -> jax.Array:
        """The new logits.

        Raises:
          TypeError: if the logits are not of a floating dtype, or `seen` neither booleans nor integers.
          ValueError: if `seen` has another shape than the logits, or is needed and not given.
        """
        (logits,) = as_arrays("filter", logits=logits)
        require_floats("filter", logits=logits)
        if seen is not None:
            seen = _require_seen(seen, logits.shape)
        return self.function(jnp.asarray(logits), seen, *self.arguments)


def temperature(tau: Any) -> Filter:
    """logits / τ: the distribution ∝ p^(1/τ).

    A τ so small that the quotients would be infinite is enlarged until they are not: distinct logits are then still so
    far apart that only the largest are ever drawn.

    Raises:
      ValueError: unless τ > 0 and finite. Where τ cannot be seen, the logits become nan; likewise for all below.
      TypeError: if it is no number; likewise for all below.
    """
    tau = _number("temperature", "tau", tau, lambda v: 0 < v < np.inf, "a finite number greater than 0")
    if is_concrete(tau):
        require_positive("temperature", jnp.result_type(float), tau=tau)
        tau = max(tau, float(jnp.finfo(jnp.float32).tiny))  # what is smaller may be 0 where it is computed with
    return Filter(_temperature, (tau,))


def top_k(k: Any) -> Filter:
    """Keeps the k largest logits; all of them if k ≥ N_V. Of equal ones those with the lower ids come first.

    Raises:
      ValueError: unless k is an integer of at least 1.
    """
    if not is_concrete(k):
        require_number("top_k", "k", k)
        if not jnp.issubdtype(k.dtype, jnp.integer):
            raise TypeError(f"top_k: k has dtype {k.dtype}, expected an integer")
        return Filter(_top_k, (k,))
    k = k.item() if isinstance(k, jax.Array | np.ndarray) and not k.shape else k
    return Filter(_top_k, (min(require_count("top_k", "k", k, at_least=1), np.iinfo(np.int32).max),))


def top_p(p: Any) -> Filter:
    """Keeps the smallest set of the likeliest tokens whose probability reaches p, the token that crosses p included.

    At p = 1 all are kept. Of equal tokens those with the lower ids come first. Sums are exact to rounding (float32).

    Raises:
      ValueError: unless 0 < p ≤ 1.
    """
    return Filter(_top_p, (_share("top_p", p),))


def min_p(p: Any) -> Filter:
    """Keeps the tokens whose probability is at least p times that of the likeliest; at p = 1 its equals alone.

    Raises:
      ValueError: unless 0 < p ≤ 1.
    """
    return Filter(_min_p, (_share("min_p", p),))


def repetition_penalty(r: Any) -> Filter:
    """CTRL's (1909.05858): of tokens that were seen, positive logits are divided by r and others multiplied by it.

    r > 1 discourages repetition, r < 1 encourages it, r = 1 does nothing. It commutes with `temperature`.

    Raises:
      ValueError: unless r > 0 and finite; and when it is applied without `seen`.
    """
    r = _number("repetition_penalty", "r", r, lambda v: 0 < v < np.inf, "a finite number greater than 0")
    return Filter(_repetition_penalty, (r,))


def greedy() -> Filter:
    """Keeps the largest logit alone, of equal ones that with the lowest id."""
    return Filter(_greedy)


def is_greedy(one: Filter) -> bool:
    """Whether a filter is `greedy()`."""
    return one.function is _greedy


def compose(*filters: FilterLike) -> Filter:
    """One filter after the other, in the order given.

    Raises:
      TypeError: for what is no filter.
    """
    return Filter(_in_order, as_filters("compose", filters))


def as_filters(function: str, filters: Any) -> tuple[Filter, ...]:
    """A tuple of filters from one, or from several; a function of (logits, seen) is one.

    Raises:
      TypeError: for anything else, saying where it stands.
    """
    if callable(filters):
        filters = (filters,)
    if not isinstance(filters, tuple | list):
        raise TypeError(f"{function}: filters is of type {type(filters).__name__}, expected filters")
    for i, one in enumerate(filters):
        if not callable(one):
            raise TypeError(
                f"{function}: filters[{i}] is of type {type(one).__name__}, expected a filter, top_k(5) for example"
            )
    return tuple(one if isinstance(one, Filter) else Filter(one) for one in filters)


def _number(function: str, name: str, value: Any, holds: Callable, expected: str) -> Any:
    """A number that is legal where it can be seen: as a Python number then, so that all of them compile alike."""
    require_number(function, name, value)
    if not is_concrete(value):
        return value
    if not holds(float(value)):
        raise ValueError(f"{function}: {name} is {value}, expected {expected}")
    return float(value)


def _share(function: str, p: Any) -> Any:
    return _number(function, "p", p, lambda v: 0 < v <= 1, "a number in (0, 1]")


def _require_seen(seen: Any, shape: tuple[int, ...]) -> jax.Array:
    (seen,) = as_arrays("filter", seen=seen)
    if not (seen.dtype == bool or jnp.issubdtype(seen.dtype, jnp.integer)):
        raise TypeError(f"filter: seen has dtype {seen.dtype}, expected bool, or integers that count")
    if seen.shape != shape:
        raise ValueError(f"filter: seen has shape {seen.shape}, expected {shape}, that of the logits")
    return jnp.asarray(seen).astype(bool)


def _temperature(logits, seen, tau):
    tau = _like(tau, logits)
    largest = jnp.abs(jnp.where(jnp.isfinite(logits), logits, 0)).max(axis=-1, keepdims=True)
    least = jnp.maximum(largest / (jnp.finfo(logits.dtype).max / 8), jnp.finfo(logits.dtype).tiny)
    return _if_legal(tau > 0, logits / jnp.maximum(tau, least))


def _top_k(logits, seen, k):
    return _if_legal(k >= 1, _keep(logits, _among_first(logits, jnp.asarray(k))))


def _top_p(logits, seen, p):
    likeliest = jax.nn.softmax(wide(jnp.sort(logits, axis=-1)[..., ::-1]))
    p = _like(p, likeliest)
    before = jnp.cumsum(likeliest, axis=-1)[..., :-1]
    n = jnp.where(p >= 1, logits.shape[-1], 1 + (before < p).sum(axis=-1))
    return _if_legal((p > 0) & (p <= 1), _keep(logits, _among_first(logits, n)))


def _min_p(logits, seen, p):
    below = wide(logits) - wide(logits.max(axis=-1, keepdims=True))
    p = _like(p, below)
    return _if_legal((p > 0) & (p <= 1), _keep(logits, below >= jnp.log(p)))


def _repetition_penalty(logits, seen, r):
    if seen is None:
        raise ValueError("repetition_penalty: seen is None, expected which tokens were seen, of the logits' shape")
    r = _like(r, logits)
    return _if_legal(r > 0, jnp.where(seen, jnp.where(logits > 0, logits / r, logits * r), logits))


def _greedy(logits, seen):
    best = jnp.argmax(logits, axis=-1, keepdims=True)
    return _keep(logits, jnp.arange(logits.shape[-1]).reshape((1,) * (logits.ndim - 1) + (-1,)) == best)


def _in_order(logits, seen, *filters):
    for one in filters:
        logits = one(logits, seen)
    return logits


def _among_first(logits, n):
    """Which logits are among the first `n` () or (...) of their row, by value and then by id."""
    N_V = logits.shape[-1]
    last = jnp.broadcast_to(N_V - jnp.clip(n, 1, N_V).astype(int), logits.shape[:-1])[..., None]
    least = jnp.take_along_axis(jnp.sort(logits, axis=-1), last, axis=-1)
    above, tied = logits > least, logits == least
    room = N_V - last - above.sum(axis=-1, keepdims=True)
    return above | (tied & (jnp.cumsum(tied, axis=-1) <= room))


def _keep(logits, kept):
    return jnp.where(kept | jnp.isnan(logits), logits, -jnp.inf)


def _if_legal(legal, logits):
    return jnp.where(legal, logits, jnp.nan)


def _like(number, logits):
    return jnp.asarray(number, logits.dtype)
