"""`line`: the identity that says which line of the printed algorithm a value belongs to; `reap`: reads them all.

A tag is `jax.ad_checkpoint.checkpoint_name` underneath: an equation of the jaxpr that passes through `jit`, `vmap`,
`grad` and `scan`, that `jax.checkpoint` policies can name, and that leaves no trace in the compiled program.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
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
    line, then the line, as in `d_transformer/mh_attention/attention/4.S`. What is met again under the same path gets
    `#2`, `#3`, … behind its name. Under `lax.scan` the values are stacked along a leading axis, under
    `lax.while_loop` they are those of the last iteration, and in a branch of `lax.cond` that was not taken they are
    nan (0 for integers). The reaped function is itself pure: it can be jitted, vmapped and differentiated. Arrays among
    its arguments are traced; everything else (hyperparameters, a length) reaches `f` as it is.
    """

    @wraps(f)
    def reaped(*args, **kwargs):
        leaves, tree = jax.tree.flatten((args, kwargs))
        traced = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray | np.generic)]
        flat = [leaves[i] for i in traced]
        result_tree = None

        def flat_f(*arrays):
            nonlocal result_tree
            whole = dict(enumerate(leaves)) | dict(zip(traced, arrays, strict=True))
            positional, keywords = jax.tree.unflatten(tree, whole.values())
            result, result_tree = jax.tree.flatten(f(*positional, **keywords))
            return result

        closed = jax.make_jaxpr(flat_f)(*flat)
        tags = _Tags()
        result = _interpret(closed.jaxpr, closed.consts, flat, tags, "")
        return jax.tree.unflatten(result_tree, result), tags.values

    return reaped


class _Tags:
    """The values found so far, and how often each path has been met: the second time it gets `#2`."""

    def __init__(self, met: Counter | None = None):
        self.values: Reaped = {}
        self.met = Counter(met)

    def path(self, path: str, name: str) -> str:
        """`path/name`, or `path/name#2` if there is one already."""
        self.met[path + name] += 1
        n = self.met[path + name]
        return f"{path}{name}" if n == 1 else f"{path}{name}#{n}"

    def inside(self) -> "_Tags":
        """For the body of a loop or of a branch: it may be traced more than once, and counts on from here each time."""
        return _Tags(self.met)


def _interpret(jaxpr: Jaxpr, consts: Sequence, args: Sequence, tags: _Tags, path: str) -> list:
    """Evaluate `jaxpr`, and put what it tags into `tags`."""
    environment = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, args, strict=True))

    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, Literal) else environment[v] for v in equation.invars]
        kind = equation.primitive.name
        if kind == "name":
            outputs = inputs
            tags.values[tags.path(path, equation.params["name"])] = inputs[0]
        elif not any(_has_tags(inner) for inner in _inner(equation)):
            outputs = _bind(jaxpr, equation, environment)
        elif kind in _LOOPS:
            outputs = _LOOPS[kind](equation, inputs, tags, path)
        elif equation.params.get("differentiated", False):  # a backward pass: it only computes the same values again
            outputs = _bind(jaxpr, equation, environment)
        else:
            closed = _inner(equation)[0]
            name = f"{tags.path(path, equation.params['name'])}/" if kind in ("jit", "pjit") else path
            outputs = _interpret(closed.jaxpr, closed.consts, inputs, tags, name)
            if kind.startswith("custom_"):  # what it tags is read from its inside; its result keeps its own derivative
                outputs = _bind(jaxpr, equation, environment)
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


def _scan(equation: JaxprEqn, inputs: Sequence, tags: _Tags, path: str) -> list:
    parameters, closed = equation.params, equation.params["jaxpr"]
    n_consts, n_carry = parameters["num_consts"], parameters["num_carry"]
    consts, carry, xs = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
    inner = tags

    def body(carry, x):
        nonlocal inner
        inner = tags.inside()
        outputs = _interpret(closed.jaxpr, closed.consts, [*consts, *carry, *x], inner, path)
        return outputs[:n_carry], (outputs[n_carry:], list(inner.values.values()))

    carry, (ys, stacked) = lax.scan(body, carry, xs, parameters["length"], parameters["reverse"], parameters["unroll"])
    tags.values.update(zip(inner.values, stacked, strict=True))
    tags.met = inner.met
    return [*carry, *ys]


def _while(equation: JaxprEqn, inputs: Sequence, tags: _Tags, path: str) -> list:
    parameters, condition, body = equation.params, equation.params["cond_jaxpr"], equation.params["body_jaxpr"]
    n_condition, n_body = parameters["cond_nconsts"], parameters["body_nconsts"]
    condition_consts, body_consts = inputs[:n_condition], inputs[n_condition : n_condition + n_body]
    inner = tags

    def step(carry):
        nonlocal inner
        inner = tags.inside()
        outputs = _interpret(body.jaxpr, body.consts, [*body_consts, *carry], inner, path)
        return outputs, inner.values

    def holds(state):
        return _interpret(condition.jaxpr, condition.consts, [*condition_consts, *state[0]], _Tags(), path)[0]

    carry = list(inputs[n_condition + n_body :])
    nothing = jax.tree.map(_absent, jax.eval_shape(step, carry)[1])
    carry, found = lax.while_loop(holds, lambda state: step(state[0]), (carry, nothing))
    tags.values.update(found)
    tags.met = inner.met
    return carry


def _cond(equation: JaxprEqn, inputs: Sequence, tags: _Tags, path: str) -> list:
    index, *operands = inputs
    branches, met = equation.params["branches"], Counter(tags.met)

    def run(branch, operands):
        inner = tags.inside()
        outputs = _interpret(branch.jaxpr, branch.consts, operands, inner, path)
        met.update(inner.met - met)  # whichever branch met a path more often
        return outputs, inner.values

    shapes: dict[str, jax.ShapeDtypeStruct] = {}
    for branch in branches:
        shapes |= jax.eval_shape(lambda *operands, branch=branch: run(branch, operands)[1], *operands)

    def complete(branch):
        def chosen(*operands):
            outputs, found = run(branch, operands)
            return outputs, {name: found[name] if name in found else _absent(s) for name, s in shapes.items()}

        return chosen

    outputs, found = lax.switch(index, [complete(branch) for branch in branches], *operands)
    tags.values.update(found)
    tags.met = met
    return outputs


def _absent(shape: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.full(shape.shape, jnp.nan if jnp.issubdtype(shape.dtype, jnp.inexact) else 0, shape.dtype)


_LOOPS: dict[str, Callable[..., list]] = {"scan": _scan, "while": _while, "cond": _cond}
