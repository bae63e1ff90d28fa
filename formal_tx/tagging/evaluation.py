"""Evaluates a jaxpr equation by equation, and visits every tagged value.

Loops stay loops, branches branches and checkpoints checkpoints. In a planted function tags stay tags, with their
scopes: it can be reaped, and planted again.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

from ..implementation import asked_for, attend_with
from . import calls, loops
from .equations import Step, as_it_stands, jaxprs_of, labels
from .lines import line_p
from .places import Place
from .walk import Walk

_KINDS: dict[str, Callable[[Step], list]] = {
    "jit": calls.jit,
    "closed_call": calls.call,
    "core_call": calls.call,
    "remat2": calls.checkpoint,
    "custom_jvp_call": calls.custom,
    "custom_vjp_call": calls.custom,
    "scan": loops.scan,
    "while": loops.while_loop,
    "cond": loops.cond,
}


def evaluate(closed: ClosedJaxpr, inputs: Sequence, walk: Walk, place: Place) -> list:
    """The results of a jaxpr, with `walk` visiting what is tagged in it.

    Raises:
      ValueError: for a tag inside of an equation that cannot be looked into, a kernel for example.
    """
    jaxpr = closed.jaxpr
    environment = dict(zip(jaxpr.constvars, closed.consts, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))
    read = [*jaxpr.outvars, *(v for equation in jaxpr.eqns for v in equation.invars)]
    used = {v for v in read if not isinstance(v, Literal)}

    for equation in jaxpr.eqns:
        arguments = [v.val if isinstance(v, Literal) else environment[v] for v in equation.invars]
        unvisited = as_it_stands(jaxpr, equation)
        with ExitStack() as scopes:
            if equation.primitive is line_p:
                here = _enter_scopes(equation, place, scopes)
                outputs = [walk.visit(equation, arguments[0], here, equation.outvars[0] in used)]
            elif any(True for inner in jaxprs_of(equation) for _ in labels(inner)):
                here = _enter_scopes(equation, place, scopes)
                step = Step(equation, arguments, unvisited, walk, here, evaluate)
                outputs = _KINDS.get(equation.primitive.name, calls.refuse)(step)
            else:
                outputs = unvisited(*arguments)
                if equation.primitive.name == "name":
                    walk.named(outputs[0], arguments[0])
        environment.update(zip(equation.outvars, outputs, strict=True))

    return [v.val if isinstance(v, Literal) else environment[v] for v in jaxpr.outvars]


def _enter_scopes(equation: JaxprEqn, place: Place, stack: ExitStack) -> Place:
    for part in equation.source_info.name_stack.stack:
        if type(part).__name__ == "Scope":  # not "Transform", which says that it comes from `grad` or `vmap`
            stack.enter_context(jax.named_scope(part.name))
            place = place.within(part.name)
    return place


class Traced(NamedTuple):
    """A call of a function as a jaxpr: `closed`, its `inputs`, and `rebuild`, which makes its result of the outputs."""

    closed: ClosedJaxpr
    inputs: list
    rebuild: Callable[[Sequence], Any]


def trace(f: Callable, args: tuple, kwargs: dict[str, Any]) -> Traced:
    """The call `f(*args, **kwargs)`. Arrays among the arguments are traced; everything else reaches `f` as it is."""
    leaves, tree = jax.tree.flatten((args, kwargs))
    traced = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray | np.generic)]
    inputs = [leaves[i] for i in traced]
    result_tree = None

    def flat(*arrays):
        nonlocal result_tree
        whole = dict(enumerate(leaves)) | dict(zip(traced, arrays, strict=True))
        positional, keywords = jax.tree.unflatten(tree, whole.values())
        result, result_tree = jax.tree.flatten(f(*positional, **keywords))
        return result

    # Parts of scores are no line of the paper: attention is dense here, unless what is asked for has no scores at all.
    asked = asked_for()
    with attend_with("dense" if asked in (None, "rows") else asked):
        closed = jax.make_jaxpr(flat)(*inputs)
    return Traced(closed, inputs, lambda outputs: jax.tree.unflatten(result_tree, outputs))
