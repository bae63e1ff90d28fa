"""What a public function requires of its arguments: each check says what was found, where, and what was expected."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .contracts import is_concrete, spell
from .quantization import QuantizedMatrix, is_quantized, require_whole


def as_arrays(function: str, **values: Any) -> list[Any]:
    """Each value as an array, lists and NumPy's included; those that are not JAX's yet are not rounded to its types.

    Raises:
      TypeError: for what is no array of numbers. ValueError: for a list whose rows differ in length.
    """
    return [_as_array(function, name, value) for name, value in values.items()]


def _as_array(function: str, name: str, value: Any) -> Any:
    if not isinstance(value, jax.Array | np.ndarray | QuantizedMatrix):
        try:
            value = np.asarray(value) if is_concrete(value) else jnp.asarray(value)
        except ValueError:
            raise ValueError(
                f"{function}: {name} is a {type(value).__name__} of which no array can be made, expected rows of one "
                "length"
            ) from None
        if value.dtype == object and not value.ndim:
            raise TypeError(f"{function}: {name} is {_spell_type(value.item())}, expected an array of numbers")
    if not (jnp.issubdtype(value.dtype, np.number) or value.dtype == bool):
        raise TypeError(f"{function}: {name} has dtype {value.dtype}, expected an array of numbers")
    return value


def _spell_type(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def require_kind(function: str, name: str, value: Any, kind: type, made_by: str) -> None:
    """Raise `TypeError` unless `value` is of this kind, saying which function makes one."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{function}: {name} is a {type(value).__name__}, expected {kind.__name__}, as {made_by} makes it"
        )


def require_fields(function: str, name: str, params: Any, *, may_lack: bool = False) -> Any:
    """The fields of a pytree of parameters as arrays; a field may be None only if the parameters may lack one.

    Raises:
      TypeError: names the first field that is no array, or not of a floating dtype.
    """

    def field(path, value):
        path = f"{name}.{spell(path)}"
        (array,) = as_arrays(function, **{path: value})
        require_floats(function, **{path: array})
        return require_whole(function, path, array) if is_quantized(array) else jnp.asarray(array)

    def is_leaf(part):
        return isinstance(part, list | tuple | QuantizedMatrix) or (part is None and not may_lack)

    return jax.tree_util.tree_map_with_path(field, params, is_leaf=is_leaf)


def require_batch(function: str, **batches: tuple[int, ...]) -> None:
    """Raise `ValueError` unless the leading axes of the arguments named broadcast together."""
    try:
        np.broadcast_shapes(*batches.values())
    except ValueError:
        found = " and ".join(f"{name} {axes}" for name, axes in batches.items() if axes)
        raise ValueError(f"{function}: the leading axes are {found}, expected axes that fit each other") from None


def same_shapes(a: Any, b: Any) -> bool:
    """Whether two pytrees have the same structure, and arrays of the same shapes in it."""
    structures: list[Any] = [jax.tree.structure(a), jax.tree.structure(b)]
    return structures[0] == structures[1] and all(
        getattr(x, "shape", ()) == getattr(y, "shape", ())
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


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
        shape, names = tuple(array.shape), axes.split()
        free = names[0] == "..."
        names = names[1:] if free else names
        if len(shape) < len(names) or (len(shape) > len(names) and not free):
            raise ValueError(f"{function}: {name} has shape {shape}, expected {_axes(axes)}")
        for axis, size in zip(names, shape[len(shape) - len(names) :], strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(
                    f"{function}: {name} has shape {shape}, expected {_axes(axes)} with {axis} = {sizes[axis]}, "
                    f"the size that {source[axis]} gives it; here it is {size}"
                )
            source.setdefault(axis, name)
    return sizes


def _axes(axes: str) -> str:
    names = axes.split()
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def require_floats(function: str, **arrays: Any) -> None:
    """Raise `TypeError` unless the arrays are of a floating dtype: an integer table would round what it is given."""
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(f"{function}: {name} has dtype {array.dtype}, expected a floating dtype")


def require_at_least_one(function: str, **counts: int) -> None:
    """Raise `ValueError` for an empty sequence."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{function}: {name} is empty, at least one token is needed")


def require_ids(function: str, name: str, ids: Any, N_V: int, lengths: Any = None, *, what: str = "N_V") -> jax.Array:
    """Check indices: integers, and, where they can be seen, each within [0, N_V). Padding is not looked at.

    Returns:
      The ids, of a signed type. Where they cannot be seen, one below 0 has become N_V, which is out of range as well
      and which no gather takes to be counted from the end.
    Raises:
      TypeError: if they are not integers.
      ValueError: names the first one out of range and its index.
    """
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise TypeError(f"{function}: {name} has dtype {ids.dtype}, expected integers")
    if not is_concrete(ids, lengths):
        ids = _signed(ids)
        return jnp.where(ids < 0, N_V, ids)
    values = np.asarray(ids)
    bad = (values < 0) | (values >= N_V)
    if lengths is not None:
        bad &= np.arange(values.shape[-1]) < np.asarray(lengths)[..., None]
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{function}: {_element(name, index)} is {int(values[index])}, outside [0, {what}) = [0, {N_V})"
        )
    return _signed(ids)


def _signed(ids: Any) -> jax.Array:
    """Integers of 32 or 64 bits: in fewer, or without a sign, neither N_V nor the token -1 may have a place."""
    ids = jnp.asarray(ids)
    if ids.dtype in (jnp.int32, jnp.int64):
        return ids
    return ids.astype(jnp.int64 if ids.dtype == jnp.uint64 else jnp.int32)


def _element(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def require_sequence(
    function: str, name: str, x: Any, N_V: int, l_max: int, lengths: Any = None
) -> tuple[jax.Array, jax.Array | None]:
    """Check token sequences (..., ℓ): 1 ≤ ℓ ≤ l_max, ids within the vocabulary, lengths (...) within [1, ℓ].

    Returns:
      `x` as `require_ids` gives it, and the lengths. Where these cannot be seen, one outside [1, ℓ] has become
      l_max + 1, which is too long for any padding and gives nan.
    Raises:
      TypeError: if ids or lengths are not integers.
      ValueError: for everything else, saying what was found and what was expected.
    """
    (x,) = as_arrays(function, **{name: x})
    *batch, length = x.shape or (None,)
    if length is None:
        raise ValueError(f"{function}: {name} is a single token, expected a sequence (..., ℓ)")
    require_at_least_one(function, **{name: length})
    if 0 in batch:
        raise ValueError(f"{function}: {name} has shape {x.shape}, expected at least one sequence")
    if length > l_max:
        raise ValueError(f"{function}: {name} has {length} tokens, more than l_max = {l_max}")
    if lengths is not None:
        lengths = _require_lengths(function, name, lengths, tuple(batch), length, l_max)
    return require_ids(function, name, x, N_V, lengths), lengths


def _require_lengths(function: str, of: str, lengths: Any, batch: tuple, length: int, l_max: int) -> jax.Array:
    (lengths,) = as_arrays(function, **{f"lengths of {of}": lengths})
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"{function}: lengths of {of} have dtype {lengths.dtype}, expected integers")
    if lengths.shape != batch:
        raise ValueError(
            f"{function}: lengths of {of} have shape {lengths.shape}, expected {batch}: one for each sequence"
        )
    if not is_concrete(lengths):
        lengths = jnp.asarray(lengths).astype(int)
        return jnp.where((lengths >= 1) & (lengths <= length), lengths, l_max + 1)
    values = np.asarray(lengths)
    bad = (values < 1) | (values > length)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{function}: {_element('lengths', index)} of {of} is {int(values[index])}, outside [1, ℓ] = [1, {length}]"
        )
    return jnp.asarray(lengths).astype(int)  # the type of a position


def require_number(function: str, name: str, value: Any) -> None:
    """Check that `value` is a single real number, traced or not.

    Raises:
      TypeError: for what is no number, a boolean included. ValueError: for an array with axes.
    """
    dtype = getattr(value, "dtype", None) if not isinstance(value, bool | int | float) else np.asarray(value).dtype
    if dtype is None or not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        raise TypeError(f"{function}: {name} is {value!r}, expected a number")
    if jnp.shape(value):
        raise ValueError(f"{function}: {name} has shape {jnp.shape(value)}, expected a single number")


def require_positive(function: str, dtype: Any = float, **numbers: Any) -> None:
    """Raise `ValueError` unless the numbers that can be seen are greater than 0 and finite, in `dtype` too."""
    for name, number in numbers.items():
        require_number(function, name, number)
        if not is_concrete(number):
            continue
        if not (np.asarray(number) > 0 and np.isfinite(np.asarray(number))):
            raise ValueError(f"{function}: {name} is {number}, expected a finite number greater than 0")
        if not (np.asarray(number).astype(dtype) > 0):
            raise ValueError(f"{function}: {name} is {number}, which is 0 in {jnp.dtype(dtype)}")


def require_count(function: str, name: str, value: Any, at_least: int) -> int:
    """A static integer, no boolean, of at least so much; `ValueError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ValueError(f"{function}: {name} is {value!r}, expected an integer of at least {at_least}")
    return int(value)


def require_flags(function: str, **flags: Any) -> None:
    """Raise `TypeError` unless each is True or False: of anything else, "no" for one, Python has its own opinion."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{function}: {name} is {flag!r}, expected True or False")


def require_key(function: str, key: Any, batch: tuple[int, ...] = ()) -> jax.Array:
    """The key as a typed one, whether it was made by `jax.random.key` or by `jax.random.PRNGKey`.

    Raises:
      TypeError: for what is no key. ValueError: for keys that are neither one nor one for each of a batch.
    """
    dtype = getattr(key, "dtype", None)
    if dtype is not None and not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        with contextlib.suppress(TypeError):
            key = jax.random.wrap_key_data(key)
    if not jnp.issubdtype(getattr(key, "dtype", bool), jax.dtypes.prng_key):
        found = type(key).__name__ if dtype is None else f"an array of shape {key.shape} and dtype {dtype}"
        raise TypeError(f"{function}: key is {found}, expected a key as `jax.random.key(seed)` makes it")
    if key.shape not in ((), batch):
        more = f", or one for each sequence, of shape {batch}" if batch else ""
        raise ValueError(f"{function}: key has shape {key.shape}, expected a single key{more}")
    return key
