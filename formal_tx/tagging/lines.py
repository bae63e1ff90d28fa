"""`line`: the identity that says which line of the printed algorithm a value belongs to; `stacked` names an axis.

A tag is two equations of the jaxpr, both the identity, of which nothing is left in the compiled program: JAX's
`checkpoint_name`, so that the policies of `jax.checkpoint` can name a line, and `line_p`, which `reap` and `plant` look
for. `line_p` knows where `vmap` has put its axis, which they could not find out afterwards.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

T = TypeVar("T")

line_p = Primitive("line")
"""x -> x, with the parameters `label`, as in "4.S", and `batch_axes`, where the axes of `vmap` are, outermost first."""


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
            _tagged(jnp.asarray(leaf, jnp.int32), label)
            return leaf
        return _tagged(leaf, label)

    return jax.tree_util.tree_map_with_path(tag, value)


def stacked(name: str, axis: int | None = None) -> Any:
    """Say what an axis holds one of for each index, a layer or a head, so that selectors can pick one by that name.

    A decorator or a context, as `jax.named_scope`, which it is: the name appears in profiles too.

    Args:
      name: of the axis, as in `layers/3`.
      axis: None, for the body of a `lax.scan`, is the axis along which its iterations are stacked. A negative integer
        is that axis of every value that is tagged inside, counted from the end.
    Raises:
      ValueError: for a name that is no identifier, or an axis that is not negative.
    """
    if not name.isidentifier():
        raise ValueError(f"stacked: name is {name!r}, expected letters, digits and underscores")
    if axis is not None and axis >= 0:
        raise ValueError(f"stacked: axis is {axis}, expected a negative integer: axes count from the end")
    return jax.named_scope(f"{name}[{'' if axis is None else axis}]")


def _tagged(leaf, label):
    return line_p.bind(checkpoint_name(leaf, label), label=label, batch_axes=())


def _jvp(primals, tangents, **params):
    return line_p.bind(*primals, **params), tangents[0]  # the tangent is no value of the algorithm


def _batch(args, dims, *, label, batch_axes):
    (axis,) = dims
    moved = tuple(a + (a >= axis) for a in batch_axes)
    return line_p.bind(*args, label=label, batch_axes=(axis, *moved)), axis


line_p.def_impl(lambda x, **_: x)
line_p.def_abstract_eval(lambda x, **_: x)
ad.primitive_jvps[line_p] = _jvp
batching.primitive_batchers[line_p] = _batch
mlir.register_lowering(line_p, lambda context, x, **_: [x])
