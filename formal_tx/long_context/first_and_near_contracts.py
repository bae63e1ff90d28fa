"""What attention to the first tokens and to the near ones requires of queries, keys, values, models and streams."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..architecture_contracts import require_hyperparameters, require_parameters
from ..attending import Attending
from ..hyperparameters import learned
from ..parameters import DTransformerParameters
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_floats,
    require_ids,
    require_sequence,
    require_shapes,
)
from .first_and_near import FirstAndNear
from .sink_cache import require_sink_cache

_ENDLESS = np.iinfo(np.int32).max
"""The longest sequence: l_max is the length of a table, and there is none."""


def require_heads(function: str, Q: Any, K: Any, V: Any, attending: Any) -> dict[str, Any]:
    """Queries (..., H, ℓ, d_attn), keys (..., H_kv, ℓ, d_attn) and values (..., H_kv, ℓ, d_mid) as arrays."""
    Q, K, V = as_arrays(function, Q=Q, K=K, V=V)
    if not isinstance(attending, Attending):
        raise TypeError(f"{function}: attending is a {type(attending).__name__}, expected Attending")
    sizes = require_shapes(function, Q=(Q, "... l d_attn"), K=(K, "... l d_attn"), V=(V, "... l d_mid"))
    require_floats(function, Q=Q, K=K, V=V)
    require_at_least_one(function, Q=sizes["l"])
    H, H_kv = (A.shape[-3] if A.ndim > 2 else 1 for A in (Q, K))
    if K.shape[:-2] != V.shape[:-2] or not H_kv or H % H_kv or Q.ndim != K.ndim:
        raise ValueError(
            f"{function}: Q has shape {Q.shape}, K {K.shape} and V {V.shape}, expected (..., H, ℓ, ·) and, of keys and "
            "values, (..., H_kv, ℓ, ·) with an H_kv that divides H"
        )
    require_batch(function, Q=Q.shape[:-3], K=K.shape[:-3])
    return {"Q": jnp.asarray(Q), "K": jnp.asarray(K), "V": jnp.asarray(V)}


def require_model(function: str, params: Any, hyperparameters: Any, sight: Any) -> Any:
    """The parameters of a decoder that knows positions by distances alone, and that attends to all of the past.

    Raises:
      TypeError, ValueError: as `d_transformer`; and for positions that are added to embeddings, and windows; for a
        `sight` that is none.
    Warns:
      UserWarning: if there are greater distances than any that the model was trained with, taking l_max for those.
    """
    hp = hyperparameters
    if not isinstance(sight, FirstAndNear):
        raise TypeError(
            f"{function}: sight is a {type(sight).__name__}, expected FirstAndNear, as lambda_sight and "
            "streaming_sight make it"
        )
    require_hyperparameters(function, hp, "DTransformerHyperparameters")
    params = require_parameters(function, params, DTransformerParameters, hp)
    if hp.table is not None:
        table = "learned" if hp.table is learned else repr(hp.table)
        raise ValueError(
            f"{function}: hyperparameters.table is {table}, expected None: absolute positions, added to embeddings, "
            "are in keys and values for good, and leave no distance to change"
        )
    if any(window is not None for window in hp.windows):
        raise ValueError(
            f"{function}: hyperparameters.windows is {hp.windows}, expected (None,): these layers have windows already"
        )
    name = "first + window" if sight.ceiling is None else "the greater of window and ceiling"
    furthest = sight.first + sight.window if sight.ceiling is None else max(sight.window, sight.ceiling)
    if furthest > hp.l_max:
        warnings.warn(
            f"{function}: {name} is {furthest}, more than l_max = {hp.l_max}: distances that the model may not know",
            stacklevel=4,
        )
    return params


def require_stream(function: str, x: Any, params: Any, hyperparameters: Any, sight: Any) -> dict[str, Any]:
    """Token ids (..., ℓ), as many as there are, and the parameters."""
    params = require_model(function, params, hyperparameters, sight)
    x, _ = require_sequence(function, "x", x, hyperparameters.N_V, _ENDLESS)
    return {"x": x, "params": params}


def require_step(function: str, token: Any, cache: Any, params: Any, hyperparameters: Any) -> tuple[Any, Any]:
    """One token for each stream of a cache, and the parameters."""
    require_hyperparameters(function, hyperparameters, "DTransformerHyperparameters")
    require_sink_cache(function, cache, hyperparameters)
    params = require_parameters(function, params, DTransformerParameters, hyperparameters)
    (token,) = as_arrays(function, token=token)
    token = require_ids(function, "token", token, hyperparameters.N_V)
    batch = cache.kept.K.shape[1:-3]
    if token.shape != batch:
        raise ValueError(
            f"{function}: token has shape {token.shape}, expected {batch}: one for each sequence of the cache"
        )
    if cache.kept.K.dtype != params.W_e.dtype:
        raise TypeError(
            f"{function}: cache.kept.K has dtype {cache.kept.K.dtype}, expected {params.W_e.dtype}, which the "
            "parameters have"
        )
    return token, params
