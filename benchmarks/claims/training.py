"""The training loop of the experiments: Adam with clipped gradients, all steps in one program."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import optax


def fit(
    params: Any,
    loss: Callable[[Any, Any, jax.Array], jax.Array],
    batch: Callable[[jax.Array], Any],
    key: jax.Array,
    *,
    steps: int,
    rate: float = 2e-3,
    clip: float = 1.0,
    constant: bool = False,
) -> tuple[Any, jax.Array]:
    """Descends a loss.

    Args:
      loss: (params, a batch, a key) -> a number. batch: a key -> a batch, made inside of the compiled program.
      constant: the rate stays as it is; unless said, it falls like a cosine to a tenth.
    Returns:
      The parameters after `steps`, and the losses (steps,).
    """
    schedule = optax.constant_schedule(rate) if constant else optax.cosine_decay_schedule(rate, steps, alpha=0.1)
    optimizer = optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule))
    return _fit(params, key, loss, batch, optimizer, steps)


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _fit(params, key, loss, batch, optimizer, steps):
    def step(state, key):
        params, moments = state
        of_batch, of_loss = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(params, batch(of_batch), of_loss)
        updates, moments = optimizer.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), value

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, steps))
    return params, losses
