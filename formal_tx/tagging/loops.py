"""Looks into loops and branches: their bodies return what is tagged in them as further results."""

from collections import Counter

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import jaxpr_as_fun

from .equations import Step


def scan(step: Step) -> list:
    """The values of all iterations, stacked; what is planted is told the number of the iteration."""
    parameters, closed = step.parameters, step.parameters["jaxpr"]
    n_consts, n_carry, length = parameters["num_consts"], parameters["num_carry"], parameters["length"]
    consts, carry, xs = (
        step.inputs[:n_consts],
        step.inputs[n_consts : n_consts + n_carry],
        step.inputs[n_consts + n_carry :],
    )
    walk = step.walk
    which: dict[str, int] = {}

    def body(carry, i_and_x):
        nonlocal walk, which
        walk, (i, x) = step.walk.inside(), i_and_x
        outputs = step.evaluate(closed, [*consts, *carry, *x], walk, step.place.iteration(i))
        values, which = walk.distinct()
        return outputs[:n_carry], (outputs[n_carry:], values)

    i = jnp.arange(length) if step.walk.replacements else None
    carry, (ys, stacked) = lax.scan(body, carry, (i, xs), length, parameters["reverse"], parameters["unroll"])
    step.walk.leave(walk, {path: stacked[n] for path, n in which.items()})
    return [*carry, *ys]


def while_loop(step: Step) -> list:
    """The values of the last iteration. What the condition tags is not visited."""
    parameters, condition, body = step.parameters, step.parameters["cond_jaxpr"], step.parameters["body_jaxpr"]
    n_condition, n_body = parameters["cond_nconsts"], parameters["body_nconsts"]
    condition_consts, body_consts = step.inputs[:n_condition], step.inputs[n_condition : n_condition + n_body]
    walk = step.walk

    def iterate(carry):
        nonlocal walk
        walk = step.walk.inside()
        return step.evaluate(body, [*body_consts, *carry], walk, step.place), walk.values

    def holds(state):
        return jaxpr_as_fun(condition)(*condition_consts, *state[0])[0]

    carry = step.inputs[n_condition + n_body :]
    nothing = jax.tree.map(_absent, jax.eval_shape(iterate, carry)[1])
    carry, found = lax.while_loop(holds, lambda state: iterate(state[0]), (carry, nothing))
    step.walk.leave(walk, found)
    return carry


def cond(step: Step) -> list:
    """The values of the branch that is taken; those of the others are nan, or 0."""
    index, *operands = step.inputs
    branches, met = step.parameters["branches"], Counter(step.walk.met)

    def run(branch, operands):
        walk = step.walk.inside()
        outputs = step.evaluate(branch, operands, walk, step.place)
        met.update(walk.met - met)  # whichever branch met a path more often
        return outputs, walk.values

    shapes: dict[str, jax.ShapeDtypeStruct] = {}
    for branch in branches:
        shapes |= jax.eval_shape(lambda *operands, branch=branch: run(branch, operands)[1], *operands)

    def complete(branch):
        def chosen(*operands):
            outputs, found = run(branch, operands)
            return outputs, {path: found[path] if path in found else _absent(shape) for path, shape in shapes.items()}

        return chosen

    outputs, found = lax.switch(index, [complete(branch) for branch in branches], *operands)
    step.walk.values.update(found)
    step.walk.met = met
    return outputs


def _absent(shape: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.full(shape.shape, jnp.nan if jnp.issubdtype(shape.dtype, jnp.inexact) else 0, shape.dtype)
