"""`plant`: a function in which a tagged line computes something else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .evaluation import Traced, evaluate, trace
from .places import Place
from .selectors import Selection, at, resolve
from .walk import Walk


def plant(f: Callable, values: Mapping[str, Any]) -> Callable:
    """A function like `f`, in which other values stand where the lines named by selectors have been run.

    What follows a line sees what is planted. Like `reap`, it looks through `jit`, `scan`, `vmap`, `grad`, `checkpoint`,
    `cond` and `while_loop`; and the planted function can itself be jitted, vmapped, differentiated, also with respect
    to what is planted, reaped, and planted again.

    A function with a derivative of its own (`custom_jvp`, `custom_vjp`) keeps it if nothing is planted inside; if
    something is, its derivative is that of its body. `plant(jax.grad(f), …)` plants in the forward pass alone: for the
    gradient of the planted function write `jax.grad(plant(f, …))`.

    Args:
      f: any function of arrays that tags with `line`, or calls functions that do.
      values: by selector (`formal_tx.tagging.selectors`), an array of the shape and dtype that `reap` would give for
        it (stacked over layers, unless the selector picks one); or a function of the value, called where the line is
        run: once for each layer, with the value of that layer, or only in the layer that the selector picks. If
        selectors overlap, they are served in this order.
    Raises:
      TypeError: if `values` is no mapping of strings.
      SelectorError, a ValueError: when called, if a selector names no line, or several, or an entry out of range.
      ValueError: when called, for another shape or dtype, and for a line of whose value nothing makes use.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"plant: values is of type {type(values).__name__}, expected a mapping of selectors to values")

    @wraps(f)
    def planted(*args, **kwargs):
        traced = trace(f, args, kwargs)
        walk = Walk(collect=False, replacements=_replacements(traced, values))
        return traced.rebuild(evaluate(traced.closed, traced.inputs, walk, Place()))

    return planted


def _replacements(traced: Traced, values: Mapping[str, Any]) -> dict[str, list["_Planted"]]:
    """What is planted, by path."""
    walk = Walk()

    def found(*inputs):
        evaluate(traced.closed, inputs, walk, Place())
        return walk.values

    shapes = jax.eval_shape(found, *traced.inputs)
    replacements: dict[str, list[_Planted]] = {}
    for selector, value in values.items():
        selection = resolve(selector, walk.sites)
        path, shape = selection.site.path, shapes[selection.site.path]
        selection = selection.within(shape.shape)
        if not selection.site.used:
            raise ValueError(f"plant: {path} is used by nothing that follows: what is planted there changes nothing")
        if not callable(value):
            expected = jax.eval_shape(lambda x, entries=selection.entries: x[at(entries)], shape)
            value = _checked(path, jnp.asarray(value), expected)
        replacements.setdefault(path, []).append(_Planted.of(selection, value, len(shape.shape)))
    return replacements


@dataclass(frozen=True)
class _Planted:
    """What takes the place of a value, if the scans around it are at these iterations (None: at any)."""

    path: str
    value: Any
    iterations: tuple[int | None, ...]
    entries: dict[int, int]

    @classmethod
    def of(cls, selection: Selection, value: Any, ndim: int) -> "_Planted":
        """Of the axes of the reaped value, whose number is `ndim`, the first belong to scans."""
        loops = selection.site.loops
        iterations = tuple(selection.entries.get(k - ndim) for k in range(loops))
        entries = {axis: i for axis, i in selection.entries.items() if axis >= loops - ndim}
        return cls(selection.site.path, value, iterations, entries)

    def __call__(self, value: jax.Array, scans: tuple[Any, ...]) -> jax.Array:
        picked = [(i, wanted) for i, wanted in zip(scans, self.iterations, strict=True) if wanted is not None]
        others = tuple(i for i, wanted in zip(scans, self.iterations, strict=True) if wanted is None)

        def change(value):
            old = value[at(self.entries)]
            new = self.value(old) if callable(self.value) else self.value[others]
            new = _checked(self.path, jnp.asarray(new), old)
            return value.at[at(self.entries)].set(new) if self.entries else new

        if not picked:
            return change(value)
        here = jnp.stack([i == wanted for i, wanted in picked]).all()
        return lax.cond(here, change, lambda value: value, value)


def _checked(path: str, value: jax.Array, expected: Any) -> jax.Array:
    if value.shape != expected.shape or value.dtype != expected.dtype:
        raise ValueError(
            f"plant: the value for {path} has shape {value.shape} and dtype {value.dtype}, expected shape "
            f"{expected.shape} and dtype {expected.dtype}"
        )
    return value
