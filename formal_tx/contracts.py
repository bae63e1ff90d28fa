"""The decorator that makes a pure function a public one: its arguments are checked, and nan is traced to its source.

Static facts (shapes, dtypes, types) raise when a function is called or traced. Facts about values raise `ValueError`
when the values are concrete; under `jit` they cannot be seen, and the functions then give nan (or the token -1).
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def algorithm(
    requires: Callable[..., Mapping[str, Any] | None], static: tuple[str, ...] = ()
) -> Callable[[Callable], Callable[..., Any]]:
    """Make a pure function a public one: its arguments are checked, then it runs jitted.

    Args:
      requires: takes the function's arguments by name and raises if they are unusable. It may return some of them in
        canonical form.
      static: names of the arguments that are static under `jit`.
    """

    def decorate(f: Callable) -> Callable[..., Any]:
        compiled = jax.jit(f, static_argnames=static)
        signature = inspect.signature(f)

        def prepare(args, kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{f.__name__}: {error}") from None
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            arguments.update(requires(**arguments) or {})
            return arguments

        @wraps(f)
        def checked(*args, **kwargs):
            arguments = prepare(args, kwargs)
            result = compiled(**arguments)
            refuse_nan_input(f.__name__, arguments, result)
            return result

        def lower(*args, **kwargs):
            return compiled.lower(**prepare(args, kwargs))

        checked.lower = lower  # type: ignore[attr-defined]  # as `jax.jit` offers it
        checked.clear_cache = compiled.clear_cache  # type: ignore[attr-defined]
        return checked

    return decorate


def is_concrete(*values: Any) -> bool:
    """Whether every array in `values` can be looked at here and now: no tracer, and all of it on this host."""
    return not any(
        isinstance(leaf, jax.core.Tracer) or not getattr(leaf, "is_fully_addressable", True)
        for leaf in jax.tree.leaves(values)
    )


def refuse_nan_input(function: str, arguments: Mapping[str, Any], result: Any) -> None:
    """If `result` holds nan because an argument does, say which argument and where.

    Raises:
      ValueError: names the argument's field and the first index of a nan.
    """
    if is_concrete(result, arguments) and _hold_nan(jax.tree.leaves(result)):
        refuse_nan(function, arguments)


def refuse_nan(function: str, arguments: Any) -> None:
    """Raise `ValueError` if a concrete array among the arguments holds nan."""
    if not is_concrete(arguments) or not _hold_nan(jax.tree.leaves(arguments)):
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(arguments):
        if _is_floating(leaf) and np.isnan(np.asarray(leaf)).any():
            index = [int(i) for i in np.argwhere(np.isnan(np.asarray(leaf)))[0]]
            raise ValueError(f"{function}: {spell(path)} holds nan, first at index {index}")


def _hold_nan(leaves: list[Any]) -> bool:
    """Whether a floating array among the leaves holds nan: one call of a compiled function, whatever their number."""
    floating = [a for a in leaves if _is_floating(a)]
    with jax.ensure_compile_time_eval():  # inside a trace too: the leaves are concrete
        return bool(floating) and bool(_any_nan(floating))


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.inexact)


@jax.jit
def _any_nan(arrays: list[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.isnan(a).any() for a in arrays]).any()


def spell(path: tuple) -> str:
    """A pytree path as a user would type it: `params.layers.W_mlp1`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")
