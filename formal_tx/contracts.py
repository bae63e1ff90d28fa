"""What every public function requires of its arguments, and the decorator that makes it say so.

Static facts (shapes, dtypes, types) raise when a function is called or traced. Facts about values raise `ValueError`
when the values are concrete; under `jit` they cannot be seen, and the functions then give nan (or the token -1).
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

F = TypeVar("F", bound=Callable)


def algorithm(requires: Callable[..., Mapping[str, Any] | None], static: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Make a pure function a public one: its arguments are checked, then it runs jitted.

    Args:
      requires: takes the function's arguments by name and raises if they are unusable. It may return some of them in
        canonical form.
      static: names of the arguments that are static under `jit`.
    """

    def decorate(f: F) -> F:
        compiled = jax.jit(f, static_argnames=static)
        signature = inspect.signature(f)

        def prepare(args, kwargs):
            bound = signature.bind(*args, **kwargs)
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
        checked.cache_size = compiled._cache_size  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

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
    if is_concrete(result, arguments) and any(_has_nan(leaf) for leaf in jax.tree.leaves(result)):
        refuse_nan(function, arguments)


def refuse_nan(function: str, arguments: Any) -> None:
    """Raise `ValueError` if a concrete array among the arguments holds nan."""
    if not is_concrete(arguments):
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(arguments):
        if _has_nan(leaf):
            index = [int(i) for i in np.argwhere(np.isnan(np.asarray(leaf)))[0]]
            raise ValueError(f"{function}: {_spell(path)} holds nan, first at index {index}")


def _has_nan(leaf: Any) -> bool:
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
        return False
    with jax.ensure_compile_time_eval():  # inside a trace too: the leaf is concrete
        return bool(jnp.isnan(leaf).any())


def _spell(path: tuple) -> str:
    """A pytree path as a user would type it: `params.layers.W_mlp1`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def require_shapes(function: str, **specification: tuple[Any, str]) -> dict[str, int]:
    """Check shapes against axes named as in the paper; an axis has one size wherever its name stands.

    Args:
      specification: for each argument the array and its axes, such as `(X, "... l_x d_x")`; `...` is any number of
        leading axes.
    Returns:
      The size of each named axis.
    Raises:
      ValueError: names the argument, its shape, the expected axes, and where an expected size comes from.
    """
    sizes: dict[str, int] = {}
    source: dict[str, str] = {}
    for name, (array, axes) in specification.items():
        shape, names = jnp.shape(array), axes.split()
        free = names[0] == "..."
        names = names[1:] if free else names
        if len(shape) < len(names) or (len(shape) > len(names) and not free):
            raise ValueError(f"{function}: {name} has shape {shape}, expected {_axes(axes, {})}")
        for axis, size in zip(names, shape[len(shape) - len(names) :], strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(
                    f"{function}: {name} has shape {shape}, expected {_axes(axes, {})} with {axis} = {sizes[axis]}, "
                    f"the size that {source[axis]} gives it; here it is {size}"
                )
            source.setdefault(axis, name)
    return sizes


def _axes(axes: str, sizes: Mapping[str, int]) -> str:
    names = axes.split()
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def require_floats(function: str, **arrays: Any) -> None:
    """Raise `TypeError` unless the arrays are of a floating dtype: an integer table would round what it is given."""
    for name, array in arrays.items():
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"{function}: {name} has dtype {dtype}, expected a floating dtype")


def require_at_least_one(function: str, **counts: int) -> None:
    """Raise `ValueError` for an empty sequence."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{function}: {name} is empty, at least one token is needed")


def require_ids(function: str, name: str, ids: Any, N_V: int, lengths: Any = None, *, what: str = "N_V") -> None:
    """Check indices: integers, and, where they can be seen, each within [0, N_V). Padding is not looked at.

    Raises:
      TypeError: if they are not integers.
      ValueError: names the first one out of range and its index.
    """
    dtype = jnp.result_type(ids)
    if not jnp.issubdtype(dtype, jnp.integer):
        raise TypeError(f"{function}: {name} has dtype {dtype}, expected integers")
    if not is_concrete(ids, lengths):
        return
    values = np.asarray(ids)
    bad = (values < 0) | (values >= N_V)
    if lengths is not None:
        bad &= np.arange(values.shape[-1]) < np.asarray(lengths)[..., None]
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"{name}[{', '.join(map(str, index))}]" if index else name
        raise ValueError(f"{function}: {where} is {int(values[index])}, outside [0, {what}) = [0, {N_V})")


def require_sequence(function: str, name: str, x: Any, N_V: int, l_max: int, lengths: Any = None) -> None:
    """Check token sequences (..., ℓ): 1 ≤ ℓ ≤ l_max, ids within the vocabulary, lengths (...) within [1, ℓ].

    Raises:
      TypeError: if ids or lengths are not integers.
      ValueError: for everything else, saying what was found and what was expected.
    """
    shape = jnp.shape(x)
    if not shape:
        raise ValueError(f"{function}: {name} is a single token, expected a sequence (..., ℓ)")
    require_at_least_one(function, **{name: shape[-1]})
    if shape[-1] > l_max:
        raise ValueError(f"{function}: {name} has {shape[-1]} tokens, more than l_max = {l_max}")
    if lengths is not None:
        if not jnp.issubdtype(jnp.result_type(lengths), jnp.integer):
            raise TypeError(f"{function}: lengths of {name} have dtype {jnp.result_type(lengths)}, expected integers")
        if jnp.shape(lengths) != shape[:-1]:
            raise ValueError(
                f"{function}: lengths of {name} have shape {jnp.shape(lengths)}, expected {shape[:-1]}: one for each "
                "sequence"
            )
        if is_concrete(lengths):
            values = np.asarray(lengths)
            if ((values < 1) | (values > shape[-1])).any():
                raise ValueError(
                    f"{function}: lengths of {name} run from {values.min()} to {values.max()}, outside "
                    f"[1, ℓ] = [1, {shape[-1]}]"
                )
    require_ids(function, name, x, N_V, lengths)


def require_positive(function: str, **numbers: Any) -> None:
    """Raise `ValueError` unless the numbers that can be seen are greater than 0 and finite."""
    for name, number in numbers.items():
        if is_concrete(number) and not bool(np.all((np.asarray(number) > 0) & np.isfinite(np.asarray(number)))):
            raise ValueError(f"{function}: {name} is {number}, expected a finite number greater than 0")
