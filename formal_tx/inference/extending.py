"""Several tokens at a time against a cache: to check what a smaller model guessed, or to read a prompt in chunks."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..architecture_contracts import d_requires, require_parameters
from ..embedding import within
from ..hyperparameters import DTransformerHyperparameters
from ..parameters import DTransformerParameters
from ..validation import as_arrays, require_count
from .cache import KeyValueCache, empty_cache
from .decoding import extended, require_cache, require_slots, require_step


def d_extend(
    x: Int[Array, "*batch n"],
    t: Int[Array, "*#batch"],
    cache: KeyValueCache,
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
) -> tuple[Float[Array, "*batch n N_V"], KeyValueCache]:
    """The logits after each of several more tokens, in little more time than `d_step` takes for one.

    Args:
      x: (..., n) ids. t: () or (...) the position of the first of each, with t + n ≤ slots: all tokens before it are in
        the cache. cache, params, hyperparameters: as for `d_step`.
    Returns:
      logits (..., n, N_V), nan where a traced id or position is out of range; and the new cache.
    Raises:
      TypeError, ValueError: as `d_step`, and if the tokens do not fit into the cache.
    """
    name = "d_extend"
    params = require_parameters(name, params, DTransformerParameters, hyperparameters)
    require_cache(name, cache, KeyValueCache, "d_prefill")
    (x,) = as_arrays(name, x=x)
    if not x.ndim or not x.shape[-1]:
        raise ValueError(f"{name}: x has shape {x.shape}, expected at least one token for each sequence")
    x, t = require_step(name, x, t, cache, hyperparameters, n=x.shape[-1])
    return _d_extend(x, t, cache, params, hyperparameters)


_d_extend = jax.jit(extended, static_argnames=("hyperparameters",))


def d_prefill_in_chunks(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    chunk: int,
    lengths: Int[Array, "*batch"] | None = None,
    slots: int | None = None,
) -> KeyValueCache:
    """What `d_prefill` gives, up to rounding, of prompts that are read `chunk` tokens at a time.

    A long prompt then takes no more memory than a short one, apart from the cache.

    Args:
      chunk: how many tokens are read at a time, at least one. x, params, hyperparameters, lengths, slots: as for
        `d_prefill`.
    Raises:
      TypeError, ValueError: as `d_prefill`, and if `chunk` is no integer of at least 1.
    """
    name = "d_prefill_in_chunks"
    arguments = d_requires(x, params, hyperparameters, lengths, function=name)
    x, params, lengths = arguments["x"], arguments["params"], arguments["lengths"]
    chunk = min(require_count(name, "chunk", chunk, at_least=1), x.shape[-1])
    slots = require_slots(name, slots, x.shape[-1], hyperparameters.l_max)
    return _d_prefill_in_chunks(x, params, hyperparameters, lengths, slots, chunk)


@partial(jax.jit, static_argnames=("hyperparameters", "slots", "chunk"))
def _d_prefill_in_chunks(x, params, hyperparameters, lengths, slots, chunk):
    x, length = jnp.where(within(x, lengths), x, 0), x.shape[-1]
    cache = empty_cache(hyperparameters.L, x.shape[:-1], slots, hyperparameters, params.W_e.dtype)

    def read(cache, t, n):
        return _d_extend(lax.dynamic_slice_in_dim(x, t, n, axis=-1), t, cache, params, hyperparameters)[1]

    whole = length // chunk * chunk
    cache, _ = lax.scan(lambda cache, t: (read(cache, t, chunk), None), cache, jnp.arange(0, whole, chunk))
    return read(cache, jnp.asarray(whole), length - whole) if whole < length else cache
