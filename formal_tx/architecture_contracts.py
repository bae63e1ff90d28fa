"""What the three architectures require: hyperparameters, parameters and token sequences that belong together."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .contracts import is_concrete
from .initialization import init_d_transformer, init_e_transformer, init_ed_transformer
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .practice import AS_PRINTED, require_practice
from .quantization import QuantizedMatrix
from .validation import as_arrays, require_fields, require_ids, require_kind, require_sequence, same_shapes

_INITIALISE: dict[type, Callable[..., Any]] = {
    DTransformerParameters: init_d_transformer,
    ETransformerParameters: init_e_transformer,
    EDTransformerParameters: init_ed_transformer,
}


@lru_cache(maxsize=64)  # whoever reads many files sees many hyperparameters
def expected_parameters(kind: type, hyperparameters: Any) -> Any:
    """The parameters of these hyperparameters, as shapes, read off the function that initialises them."""
    return jax.eval_shape(lambda: _INITIALISE[kind](jax.random.key(0), hyperparameters))


def require_parameters(function: str, params: Any, kind: type, hyperparameters: Any) -> Any:
    """Check that `params` are those of this architecture and of these hyperparameters, and give them as JAX arrays.

    Raises:
      TypeError: for the parameters of another architecture, and for a field that is no floating array, or of another
        dtype than the others.
      ValueError: names the first field that is missing, left over, or of another shape than expected.
    """
    require_kind(function, "params", params, kind, made_by=_INITIALISE[kind].__name__)
    expected = expected_parameters(kind, hyperparameters)
    if _alike(params, expected):
        return params
    require_shapes_of(function, params, expected, hyperparameters)
    params = require_fields(function, "params", params, may_lack=True)
    fields = _by_path(params)
    first = next(iter(fields))
    for name, W in fields.items():
        if W.dtype != fields[first].dtype:
            found = f"{function}: params.{name} has dtype {W.dtype}"
            raise TypeError(f"{found}, expected {fields[first].dtype}, which params.{first} has")
    return params


def _alike(params: Any, expected: Any) -> bool:
    """Whether `params` are JAX arrays of the structure and the shapes expected, and of one floating dtype."""
    leaves = jax.tree.leaves(params)
    return (
        all(isinstance(W, jax.Array) and W.dtype == leaves[0].dtype for W in leaves)
        and same_shapes(params, expected)
        and jnp.issubdtype(leaves[0].dtype, jnp.floating)
    )


def require_shapes_of(function: str, params: Any, expected: Any, hyperparameters: Any) -> None:
    found, wanted = _by_path(params), _by_path(expected)
    for name in wanted | found:
        if name not in found:
            problem = f"is missing, expected shape {wanted[name].shape} from"
        elif name not in wanted:
            problem = "is one too many, expected None from"
        else:
            (array,) = as_arrays(function, **{f"params.{name}": found[name]})
            if array.shape == wanted[name].shape:
                continue
            problem = f"has shape {array.shape}, expected {wanted[name].shape} from"
        raise ValueError(f"{function}: params.{name} {problem} {hyperparameters}")


def _by_path(params: Any) -> dict[str, Any]:
    """The fields of `params` by path, `layers.W_mlp1` for one; a list is taken for an array that is written out."""
    leaves = jax.tree_util.tree_leaves_with_path(
        params, is_leaf=lambda a: isinstance(a, list | tuple | QuantizedMatrix)
    )
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def token_sequences(function, name, x, hyperparameters, lengths):
    """Token sequences (..., ℓ) and their lengths in canonical form, checked against l_max and N_V.

    A context, `z`, may have its own of both.
    """
    N_V, l_max = hyperparameters.N_V, hyperparameters.l_max
    if name == "z":
        N_V, l_max = hyperparameters.N_V_z or N_V, hyperparameters.l_max_z or l_max
    return require_sequence(function, name, x, N_V, l_max, lengths)


def _practised(function: str, practice: Any) -> dict[str, Any]:
    return {} if practice is AS_PRINTED else {"practice": require_practice(function, practice)}


def _segmented(function: str, segments: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The numbers of the texts in each sequence; they go up, for a text has its positions in one piece."""
    if segments is None:
        return {}
    (segments,) = as_arrays(function, segments=segments)
    if not jnp.issubdtype(segments.dtype, jnp.integer):
        raise TypeError(f"{function}: segments have dtype {segments.dtype}, expected integers")
    if segments.shape != shape:
        raise ValueError(f"{function}: segments have shape {segments.shape}, expected {shape}: one for each token")
    if is_concrete(segments):
        back = np.argwhere(np.diff(np.asarray(segments), axis=-1) < 0)
        if back.size:
            index = [*map(int, back[0][:-1]), int(back[0][-1]) + 1]
            raise ValueError(f"{function}: segments go down at index {index}, expected numbers that only go up")
    return {"segments": jnp.asarray(segments)}


def require_special_tokens(function: str, hyperparameters: Any, which: str) -> None:
    """Raise `ValueError` unless the vocabulary has room for the three special tokens."""
    if hyperparameters.N_V < 3:
        raise ValueError(f"{function}: N_V is {hyperparameters.N_V}, a vocabulary with {which} has at least 3")


def require_hyperparameters(function: str, hyperparameters: Any, kind: str) -> None:
    """Raise `TypeError` unless the hyperparameters are of this architecture."""
    if type(hyperparameters).__name__ != kind:
        raise TypeError(f"{function}: hyperparameters is a {type(hyperparameters).__name__}, expected {kind}")


def ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, practice=AS_PRINTED, function="ed_transformer"):
    """The arguments of Algorithm 8 in canonical form."""
    require_hyperparameters(function, hyperparameters, "EDTransformerHyperparameters")
    params = require_parameters(function, params, EDTransformerParameters, hyperparameters)
    z, z_lengths = token_sequences(function, "z", z, hyperparameters, z_lengths)
    x, x_lengths = token_sequences(function, "x", x, hyperparameters, x_lengths)
    if z.ndim > 1 and z.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            f"{function}: z has leading axes {z.shape[:-1]} and x has {x.shape[:-1]}, expected the same: a context for "
            "each sequence, or one, without leading axes, for all"
        )
    canonical = {"z": z, "x": x, "params": params, "z_lengths": z_lengths, "x_lengths": x_lengths}
    return canonical | _practised(function, practice)


def e_requires(
    x, params, hyperparameters, lengths, segments=None, practice=AS_PRINTED, types=None, function="e_transformer"
):
    """The arguments of Algorithm 9 in canonical form."""
    require_hyperparameters(function, hyperparameters, "ETransformerHyperparameters")
    params = require_parameters(function, params, ETransformerParameters, hyperparameters)
    x, lengths = token_sequences(function, "x", x, hyperparameters, lengths)
    canonical = {"x": x, "params": params, "lengths": lengths} | _typed(function, types, x.shape, hyperparameters.N_S)
    return canonical | _segmented(function, segments, x.shape) | _practised(function, practice)


def _typed(function: str, types: Any, shape: tuple[int, ...], N_S: int) -> dict[str, Any]:
    """The types of the tokens, if given."""
    if types is None:
        return {}
    if not N_S:
        raise ValueError(f"{function}: types are given, and N_S is 0: this encoder knows no types of tokens")
    (types,) = as_arrays(function, types=types)
    if types.shape != shape:
        raise ValueError(f"{function}: types have shape {types.shape}, expected {shape}: one for each token")
    return {"types": require_ids(function, "types", types, N_S, what="N_S")}


def d_requires(x, params, hyperparameters, lengths, segments=None, practice=AS_PRINTED, function="d_transformer"):
    """The arguments of Algorithm 10 in canonical form."""
    require_hyperparameters(function, hyperparameters, "DTransformerHyperparameters")
    params = require_parameters(function, params, DTransformerParameters, hyperparameters)
    x, lengths = token_sequences(function, "x", x, hyperparameters, lengths)
    canonical = {"x": x, "params": params, "lengths": lengths}
    return canonical | _segmented(function, segments, x.shape) | _practised(function, practice)
