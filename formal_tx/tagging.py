"""`line`: the identity that says which line of the printed algorithm a value belongs to; `reap`: reads them all.

A tag is `jax.ad_checkpoint.checkpoint_name` underneath: an equation of the jaxpr that passes through `jit`, `vmap`,
`grad` and `scan`, that `jax.checkpoint` policies can name, and that leaves no trace in the compiled program.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

T = TypeVar("T")
Reaped = dict[str, jax.Array]


def line(number: int, name: str, value: T) -> T:
    """Give back `value`, known from now on as variable `name` of line `number` of the algorithm being run.

    Args:
      number: the line's number in the paper.
      name: the variable's name in the paper, spelled as in `algorithms/`.
      value: an array, a pytree of arrays (each leaf is tagged with its path), or a Python integer.
    """

    def tag(path, leaf):
        label = f"{number}.{name}{jax.tree_util.keystr(path)}"
        if isinstance(leaf, int):  # static: the tagged copy exists for `reap` alone, and the compiler drops it
            checkpoint_name(jnp.asarray(leaf, jnp.int32), label)
            return leaf
        return checkpoint_name(leaf, label)

    return jax.tree_util.tree_map_with_path(tag, value)


def reap(f: Callable) -> Callable[..., tuple[Any, Reaped]]:
    """A function that returns what `f` returns, and every value that `f` tagged with `line`.

    The tagged values come in a dictionary whose keys are paths: the names of the jitted functions that lead to the
    line, then the line, as in `d_transformer/mh_attention/attention/4.S`. A function that is called again under the
    same path gets `#2`, `#3`, … behind its name. Under `lax.scan` the values are stacked along a leading axis, under
    `lax.while_loop` they are those of the last iteration, and in a branch of `lax.cond` that was not taken they are
    nan (0 for integers). The reaped function is itself pure: it can be jitted, vmapped and differentiated.
    """

    @wraps(f)
    def reaped(*args, **kwargs):
        flat, tree = jax.tree.flatten((args, kwargs))
        result_tree = None

        def flat_f(*leaves):
            nonlocal result_tree
            positional, keywords = jax.tree.unflatten(tree, leaves)
            result, result_tree = jax.tree.flatten(f(*positional, **keywords))
            return result

        closed = jax.make_jaxpr(flat_f)(*flat)
        values: Reaped = {}
        result = _interpret(closed.jaxpr, closed.consts, flat, values, "")
        return jax.tree.unflatten(result_tree, result), values

    return reaped


def _interpret(jaxpr: Jaxpr, consts: Sequence, args: Sequence, values: Reaped, path: str) -> list:
    """Evaluate `jaxpr`, and put what it tags into `values`."""
    environment = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, args, strict=True))
    calls: dict[str, int] = {}

    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, Literal) else environment[v] for v in equation.invars]
        if equation.primitive.name == "name":
            outputs = inputs
            values.setdefault(f"{path}{equation.params['name']}", inputs[0])
        elif not any(_has_tags(inner) for inner in _inner(equation)):
            outputs = _bind(jaxpr, equation, environment)
        elif equation.primitive.name in _RULES:
            outputs = _RULES[equation.primitive.name](equation, inputs, values, path)
        elif equation.params.get("differentiated", False):  # a backward pass: it only computes the same values again
            outputs = _bind(jaxpr, equation, environment)
        else:
            outputs = _call(equation, inputs, values, path, calls)
        environment.update(zip(equation.outvars, outputs, strict=True))

    return [v.val if isinstance(v, Literal) else environment[v] for v in jaxpr.outvars]


def _bind(jaxpr: Jaxpr, equation: JaxprEqn, environment: dict) -> list:
    """Evaluate one equation as it stands."""
    variables = list({v: None for v in equation.invars if not isinstance(v, Literal)})
    alone = jaxpr.replace(constvars=[], invars=variables, outvars=equation.outvars, eqns=[equation])
    return jaxpr_as_fun(ClosedJaxpr(alone, []))(*(environment[v] for v in variables))


def _inner(equation: JaxprEqn) -> list[ClosedJaxpr]:
    """The jaxprs that an equation carries: the body of a loop, the branches of a condition, a called function."""
    found = []
    for parameter in equation.params.values():
        for part in parameter if isinstance(parameter, tuple | list) else [parameter]:
            if isinstance(part, ClosedJaxpr):
                found.append(part)
            elif isinstance(part, Jaxpr):
                found.append(ClosedJaxpr(part, []))
    return found


def _has_tags(closed: ClosedJaxpr) -> bool:
    return any(
        equation.primitive.name == "name" or any(_has_tags(inner) for inner in _inner(equation))
        for equation in closed.jaxpr.eqns
    )


def _call(equation: JaxprEqn, inputs: Sequence, values: Reaped, path: str, calls: dict[str, int]) -> list:
    """A call of one function: `jit`, `checkpoint`, `custom_jvp`, `custom_vjp`."""
    closed = _inner(equation)[0]
    if equation.primitive.name in ("jit", "pjit"):
        name = equation.params["name"]
        calls[name] = calls.get(name, 0) + 1
        path = f"{path}{name}/" if calls[name] == 1 else f"{path}{name}#{calls[name]}/"
    return _interpret(closed.jaxpr, closed.consts, inputs, values, path)


def _scan(equation: JaxprEqn, inputs: Sequence, values: Reaped, path: str) -> list:
    parameters, closed = equation.params, equation.params["jaxpr"]
    n_consts, n_carry = parameters["num_consts"], parameters["num_carry"]
    consts, carry, xs = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
    order: list[str] = []  # a dictionary comes back from `scan` with its keys sorted

    def body(carry, x):
        step: Reaped = {}
        outputs = _interpret(closed.jaxpr, closed.consts, [*consts, *carry, *x], step, path)
        order[:] = step
        return outputs[:n_carry], (outputs[n_carry:], step)

    carry, (ys, stacked) = lax.scan(body, carry, xs, parameters["length"], parameters["reverse"], parameters["unroll"])
    values.update((name, stacked[name]) for name in order)
    return [*carry, *ys]


def _while(equation: JaxprEqn, inputs: Sequence, values: Reaped, path: str) -> list:
    parameters, condition, body = equation.params, equation.params["cond_jaxpr"], equation.params["body_jaxpr"]
    n_condition, n_body = parameters["cond_nconsts"], parameters["body_nconsts"]
    condition_consts, body_consts = inputs[:n_condition], inputs[n_condition : n_condition + n_body]

    def step(carry):
        tagged: Reaped = {}
        outputs = _interpret(body.jaxpr, body.consts, [*body_consts, *carry], tagged, path)
        return outputs, tagged

    def holds(state):
        return _interpret(condition.jaxpr, condition.consts, [*condition_consts, *state[0]], {}, path)[0]

    carry = list(inputs[n_condition + n_body :])
    nothing = jax.tree.map(_absent, jax.eval_shape(step, carry)[1])
    carry, tagged = lax.while_loop(holds, lambda state: step(state[0]), (carry, nothing))
    values.update(tagged)
    return carry


def _cond(equation: JaxprEqn, inputs: Sequence, values: Reaped, path: str) -> list:
    index, *operands = inputs

    def run(branch, operands):
        tagged: Reaped = {}
        return _interpret(branch.jaxpr, branch.consts, operands, tagged, path), tagged

    shapes: dict[str, jax.ShapeDtypeStruct] = {}
    for branch in equation.params["branches"]:
        shapes |= jax.eval_shape(lambda *operands, branch=branch: run(branch, operands)[1], *operands)

    def complete(branch):
        def chosen(*operands):
            outputs, tagged = run(branch, operands)
            return outputs, {name: tagged[name] if name in tagged else _absent(s) for name, s in shapes.items()}

        return chosen

    outputs, tagged = lax.switch(index, [complete(branch) for branch in equation.params["branches"]], *operands)
    values.update(tagged)
    return outputs


def _absent(shape: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.full(shape.shape, jnp.nan if jnp.issubdtype(shape.dtype, jnp.inexact) else 0, shape.dtype)


_RULES: dict[str, Callable[..., list]] = {"scan": _scan, "while": _while, "cond": _cond}
