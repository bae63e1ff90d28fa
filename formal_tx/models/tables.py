"""Tables of names: which tensors of a file hold which parameters.

A row names a tensor and the parameters in it. `{i}` in a name counts the layers, and the parameters, stacked by layer
here, are then read from a tensor of each.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..architecture_contracts import expected_parameters
from ..runs.architectures import require_architecture
from ..runs.outline import by_name
from .forms import AS_IT_IS, Form

Array = np.ndarray


@dataclass(frozen=True)
class Row:
    """A tensor of a file.

    Attributes:
      name: its name, with `{i}` for the number of the layer.
      fields: the paths of the parameters in it, such as `layers.W_mlp1`.
      form: how it holds them.
      others: other names under which files have it.
    """

    name: str
    fields: tuple[str, ...]
    form: Form = AS_IT_IS
    others: tuple[str, ...] = ()


def row(name: str, fields: str, form: Form = AS_IT_IS, others: tuple[str, ...] = ()) -> Row:
    """A row, its fields written with spaces between them."""
    return Row(name, tuple(fields.split()), form, others)


def expected(architecture: str, hyperparameters: Any) -> Any:
    """The pytree of parameters that these hyperparameters give, as shapes."""
    return expected_parameters(require_architecture(architecture).parameters, hyperparameters)


def read(
    tensors: Mapping[str, Array],
    rows: Iterable[Row],
    architecture: str,
    hyperparameters: Any,
    ignored: Sequence[str] = (),
    dtype: Any = None,
) -> Any:
    """The parameters in `tensors`.

    Args:
      tensors: by name; each is looked up once.
      rows: the table. Rows whose parameters these hyperparameters do not have are left out.
      ignored: regular expressions for names of tensors that hold no parameters, such as buffers of masks.
      dtype: the type of the parameters; that of the file unless given.
    Raises:
      ValueError: names the tensors that are missing, left over, or of another shape than expected.
    """
    tree = expected(architecture, hyperparameters)
    wanted = by_name(tree)
    found: dict[str, Array] = {}
    used: set[str] = set()
    missing: list[str] = []
    for r in _present(rows, wanted):
        layers = wanted[r.fields[0]].shape[0] if "{i}" in r.name else None
        each = []
        for i in range(1 if layers is None else layers):
            name = _found(r, i, tensors)
            if name is None:
                missing.append(r.name.format(i=i))
                if len(missing) > _ENOUGH:  # a configuration may ask for any number of layers
                    _complain("are missing", missing)
                continue
            used.add(name)
            each.append(_parts(name, tensors[name], r, wanted, hyperparameters, layers is not None, dtype))
        if missing:
            continue
        for field, *arrays in zip(r.fields, *each, strict=True):
            found[field] = arrays[0] if layers is None else np.stack(arrays)
    # A stack of no layers has nothing to read.
    found |= {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in wanted.items() if 0 in leaf.shape}
    left = [n for n in tensors if n not in used and not any(re.search(pattern, n) for pattern in ignored)]
    _complain("are missing", missing)
    _complain("are left over: this architecture has no parameters for them", left)
    without = [name for name in wanted if name not in found]
    if without:
        raise AssertionError(f"the table of names has no row for {', '.join(without)}")
    return jax.tree.unflatten(jax.tree.structure(tree), [found[name] for name in wanted])


_ENOUGH = 1000


def _found(r: Row, i: int, tensors: Mapping[str, Array]) -> str | None:
    """The name under which a file has the tensor of a row."""
    return next((n.format(i=i) for n in (r.name, *r.others) if n.format(i=i) in tensors), None)


def extras(tensors: Mapping[str, Array], rows: Iterable[Row], kept: Sequence[str] = ()) -> dict[str, Array]:
    """What in `tensors` is no parameter, and a round trip needs: by the name of the tensor, as `write` takes it.

    It is the first rows of a table with the form `After`, and whole tensors whose names match an expression of `kept`.
    """
    found = {n: np.array(tensors[n]) for n in tensors if any(re.search(pattern, n) for pattern in kept)}
    for r in rows:
        name = _found(r, 0, tensors)
        if name is not None and hasattr(r.form, "keep"):
            found[r.name] = np.array(r.form.keep(tensors[name]))
    return found


def present(rows: Iterable[Row], architecture: str, hyperparameters: Any) -> list[Row]:
    """The rows whose parameters these hyperparameters have: biases and tables that a model lacks have none."""
    return _present(rows, by_name(expected(architecture, hyperparameters)))


def _present(rows: Iterable[Row], wanted: Mapping[str, Any]) -> list[Row]:
    return [r for r in rows if any(field in wanted for field in r.fields)]


def _parts(name, tensor, r, wanted, hyperparameters, by_layer, dtype) -> list[Array]:
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise ValueError(f"tensor {name} has type {tensor.dtype}, expected numbers with a point")
    try:
        parts = list(r.form.read(tensor, hyperparameters))
    except ValueError as error:
        raise ValueError(f"tensor {name} {error}") from None
    for field, part in zip(r.fields, parts, strict=True):
        shape = wanted[field].shape[1:] if by_layer else wanted[field].shape
        if part.shape != shape:
            raise ValueError(
                f"tensor {name} has shape {tensor.shape}, which gives {field} {part.shape}, expected {shape}"
            )
    return [part if dtype is None else part.astype(dtype, copy=False) for part in parts]


def _complain(what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        raise ValueError(f"tensors {what}: {', '.join(names[:8])}{more}")


def write(
    params: Any, rows: Iterable[Row], hyperparameters: Any, extras: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """The tensors that hold these parameters, and `extras`, by name."""
    left = dict(extras or {})
    have = {name: np.asarray(W) for name, W in by_name(params).items()}
    tensors: dict[str, Array] = {}
    for r in _present(rows, have):
        if "{i}" in r.name:
            for i in range(have[r.fields[0]].shape[0]):
                tensors[r.name.format(i=i)] = _written(r, [have[f][i] for f in r.fields], hyperparameters)
        else:
            tensors[r.name] = _written(r, [have[f] for f in r.fields], hyperparameters)
            if hasattr(r.form, "restore"):
                tensors[r.name] = r.form.restore(tensors[r.name], left.pop(r.name, None))
    return tensors | left


def _written(r: Row, parts: list[Array], hyperparameters: Any) -> Array:
    return np.ascontiguousarray(r.form.write(parts, hyperparameters))
