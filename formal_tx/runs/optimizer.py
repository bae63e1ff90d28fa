"""The optimiser of a training run, from optax: AdamW with a schedule, clipping, accumulation and averaging."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from .configuration import Configuration


def schedule(c: Configuration) -> optax.Schedule:
    """The learning rate at each step: a linear warm-up, then what the configuration's `schedule` names."""
    if c.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(0.0, c.learning_rate, c.warmup, c.steps, c.final * c.learning_rate)
    if c.schedule == "inverse_square_root":
        warmup = max(c.warmup, 1)
        # Section 5.3 of 1706.03762, with the peak given instead of following from d_model.
        return lambda step: c.learning_rate * jnp.minimum((step + 1) / warmup, jnp.sqrt(warmup / (step + 1)))
    if c.warmup == 0:  # optax's warm-up of no steps never leaves its beginning
        return optax.constant_schedule(c.learning_rate)
    return optax.warmup_constant_schedule(0.0, c.learning_rate, c.warmup)


def optimizer(c: Configuration) -> optax.GradientTransformation:
    """The optimiser; its state also holds the gradient's norm and, if asked for, the averaged parameters."""
    parts = [optax.snapshot(GRADIENT_NORM, optax.tree.norm)]
    if c.clip:
        parts.append(optax.clip_by_global_norm(c.clip))
    parts.append(optax.adamw(schedule(c), b1=c.b1, b2=c.b2, weight_decay=c.weight_decay, mask=matrices))
    if c.ema:
        parts.append(averaged(c.ema))
    return _in_parts(optax.chain(*parts), c)


def _in_parts(chain: optax.GradientTransformation, c: Configuration) -> optax.GradientTransformation:
    """One update from the mean of `accumulate` gradients. Those of float16 may overflow: one that did is left out."""
    overflows = c.dtype == "float16"
    if c.accumulate == 1:
        return optax.apply_if_finite(chain, max_consecutive_errors=100) if overflows else chain
    # It has to be left out before it is added: 0 times infinity, with which a sum begins anew, is nan.
    skip = optax.skip_not_finite if overflows else None
    return optax.MultiSteps(chain, c.accumulate, should_skip_update_fn=skip).gradient_transformation()


GRADIENT_NORM = "gradient_norm"


def gradient_norm(optimizer_state: Any) -> jax.Array:
    """The global norm of the last gradient, before it was clipped."""
    return optax.tree.get(optimizer_state, GRADIENT_NORM)


def matrices(params: Any) -> Any:
    """Which fields are matrices (W_…), and not biases, γ or β, whose stacks have two axes as well."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].name.startswith("W_"), params)


class AveragedState(NamedTuple):
    """average: a running average of the parameters, of their shapes. updates: how many are in it."""

    average: Any
    updates: jax.Array


def averaged(decay: float) -> optax.GradientTransformation:
    """Keeps an exponential moving average of the parameters, which `average` reads; changes no update.

    While it is young it forgets faster, with decay (1 + n) / (10 + n) after n updates.
    """

    def init(params: Any) -> AveragedState:
        return AveragedState(jax.tree.map(jnp.asarray, params), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: AveragedState, params: Any = None) -> tuple[Any, AveragedState]:
        n = state.updates.astype(jnp.float32)
        keep = jnp.minimum(decay, (1 + n) / (10 + n))
        average = jax.tree.map(lambda a, W, u: keep * a + (1 - keep) * (W + u), state.average, params, updates)
        return updates, AveragedState(average, state.updates + 1)

    return optax.GradientTransformation(init, update)


def average(optimizer_state: Any) -> Any:
    """The averaged parameters in an optimiser's state, or None."""
    is_average = lambda part: isinstance(part, AveragedState)  # noqa: E731
    found = [part for part in jax.tree.leaves(optimizer_state, is_leaf=is_average) if is_average(part)]
    return found[0].average if found else None
