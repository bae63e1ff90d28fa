"""Prompts that begin alike: what a decoder has computed of a beginning is kept, and is not computed again.

By causality the keys and values of a beginning are the same whatever follows. So those of any prompt serve every other
one as far as the two have the same tokens, and only the rest is read, several tokens at a time.
"""

import weakref
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ..contracts import is_concrete
from ..hyperparameters import DTransformerHyperparameters
from ..parameters import DTransformerParameters
from ..validation import require_count
from .buckets import bucket, padded
from .cache import KeyValueCache, empty_cache, with_slots
from .compiling import compiled
from .contracts import d_prompt, require_one
from .decoding import d_step, require_slots
from .extending import d_extend

CHUNK = 512
"""As many tokens are read at a time: on CPUs as fast as a whole prompt, and less memory for scores than a long one."""


class PrefixCache:
    """What has been computed of prompts, up to a number of bytes; `prefill` begins with what it finds here.

    Each prompt is stored by itself: two that begin alike share nothing in memory, but one that goes on where another
    ended takes its place. There is room in it for as many tokens as the next power of two, of 16 at least. Where
    `max_bytes` would be exceeded, what was used longest ago is dropped. A prompt that alone is larger is not stored,
    nor one whose logits are nan: what is nan in it has spoilt what comes before, which others may share.

    What is stored serves equal hyperparameters, and the very arrays that were the parameters: not other ones, though
    their numbers be equal. They are held by weak references, so that a model can be freed, and what is stored of it
    goes with it. Parameters in NumPy's arrays, which may change in place, become new ones in each call and find
    nothing: make them JAX's once. For one thread at a time.

    Attributes:
      max_bytes: the most that keys and values may take.
      hits: how many prompts began with something stored.
      reused, read: how many tokens of all prompts did not have to be read, and how many had to.
    """

    def __init__(self, max_bytes: int):
        """A store that is empty.

        Raises:
          ValueError: if `max_bytes` is no integer of at least 1.
        """
        self.max_bytes = require_count("PrefixCache", "max_bytes", max_bytes, at_least=1)
        self.hits = self.reused = self.read = 0
        self._entries: list[_Entry] = []  # the one that was used longest ago is the first

    def __len__(self) -> int:
        """How many prompts are stored."""
        return len(self._alive())

    @property
    def bytes(self) -> int:
        """What the keys and values of all of them take."""
        return sum(entry.bytes for entry in self._alive())

    def clear(self) -> None:
        """Forgets all prompts. What was counted stays."""
        self._entries = []

    def prefill(
        self,
        x: Int[Array, " l"],
        params: DTransformerParameters,
        hyperparameters: DTransformerHyperparameters,
        slots: int | None = None,
    ) -> tuple[KeyValueCache, Float[Array, " N_V"]]:
        """What `d_prefill` gives of a prompt, up to rounding, and the logits of the token after it.

        The longest beginning of `x` that any stored prompt has is not read again, but for the last token of `x`, which
        gives the logits. The same prompt gives the same bits for as long as it is stored. `x` is stored for the next.

        Args:
          x: (ℓ,) a prompt whose values can be seen. params, hyperparameters, slots: as for `d_prefill`.
        Returns:
          `KeyValueCache`, which nobody else has, and 0 in the slots after `x`; and the logits (N_V,).
        Raises:
          TypeError, ValueError: as `d_prefill`, and if `x` is no single sequence, or within a trace.
        """
        name, hp = "PrefixCache.prefill", hyperparameters
        if not is_concrete(x, params, jnp.zeros(())):  # within a trace whatever is made is traced
            raise TypeError(f"{name}: it is traced, and what is stored would not last: use it outside of jit")
        x, params, _ = d_prompt(name, x, params, hp, None)
        require_one(name, "x", x)
        slots = require_slots(name, slots, x.shape[-1], hp.l_max)
        tokens = np.asarray(x).astype(np.int32)  # a copy: an array of the caller's may change
        model = _Model.of(params, hp)
        found, shared = self._longest(tokens, model)
        begin = min(shared, len(tokens) - 1)
        logits, cache = _read_from(begin, found, tokens, params, hp)
        self.hits, self.reused, self.read = (
            self.hits + (begin > 0),
            self.reused + begin,
            self.read + len(tokens) - begin,
        )
        if shared < len(tokens) and not np.isnan(np.asarray(logits)).any():
            self._store(_Entry(tokens, cache, model))
        return _first(cache, np.asarray(len(tokens)), slots), logits

    def _alive(self) -> "list[_Entry]":
        """What is stored, without that of models which are gone."""
        self._entries = [entry for entry in self._entries if entry.model.alive]
        return self._entries

    def _longest(self, x: np.ndarray, model: "_Model") -> "tuple[_Entry | None, int]":
        """The entry that has most of the beginning of `x`, now the one that was used last; and how many tokens."""
        found, most = None, 0
        for entry in reversed(self._alive()):
            shared = entry.shared(x, model)
            if shared > most:
                found, most = entry, shared
        if found is not None:
            self._entries.remove(found)
            self._entries.append(found)
        return found, most

    def _store(self, new: "_Entry") -> None:
        if new.bytes > self.max_bytes:
            return
        self._entries = [entry for entry in self._alive() if entry.shared(new.x, new.model) < len(entry.x)]
        while self.bytes + new.bytes > self.max_bytes:
            del self._entries[0]
        self._entries.append(new)


@dataclass(frozen=True, eq=False)
class _Model:
    """Which model it is: its hyperparameters, and its arrays by identity."""

    arrays: tuple[weakref.ref, ...]
    hyperparameters: DTransformerHyperparameters

    @classmethod
    def of(cls, params: DTransformerParameters, hyperparameters: DTransformerHyperparameters) -> "_Model":
        return cls(tuple(map(weakref.ref, jax.tree.leaves(params))), hyperparameters)

    @property
    def alive(self) -> bool:
        return all(array() is not None for array in self.arrays)

    def same(self, other: "_Model") -> bool:
        """Whether it is the other one, both alive."""
        return (
            len(self.arrays) == len(other.arrays)
            and all(a() is b() for a, b in zip(self.arrays, other.arrays, strict=True))
            and self.hyperparameters == other.hyperparameters
        )


@dataclass(frozen=True, eq=False)
class _Entry:
    """The tokens `x` (ℓ,) of a prompt, and a cache whose first ℓ slots are theirs. What comes after means nothing."""

    x: np.ndarray
    cache: KeyValueCache
    model: _Model

    @property
    def bytes(self) -> int:
        return sum(A.nbytes for A in jax.tree.leaves(self.cache))

    def shared(self, x: np.ndarray, model: _Model) -> int:
        """How many tokens it begins with that `x` begins with too; none of those of another model."""
        if not self.model.same(model):
            return 0
        n = min(len(x), len(self.x))
        differ = np.flatnonzero(x[:n] != self.x[:n])
        return int(differ[0]) if differ.size else n


def _read_from(begin, found, x, params, hyperparameters):
    """The logits (N_V,) after `x` (ℓ,), of which `found` has the tokens before `begin` < ℓ; and a cache of all of it.

    The last token is always read alone, by the same program: where the same is known of what comes before, the logits
    are the same bits. The cache has room for the bucket of ℓ, whatever it is asked for later: fewer programs.
    """
    last, slots = len(x) - 1, bucket(len(x), hyperparameters.l_max)
    if begin:
        cache = _first(found.cache, np.asarray(begin), slots)
    else:
        cache = _empty(hyperparameters.L, (), slots, hyperparameters, params.W_e.dtype)
    t = begin
    while t < last:
        n = min(bucket(last - t, slots), CHUNK)
        first = min(t, slots - n)  # padding needs slots too: where these end, a few tokens before are read again
        chunk = padded(x[first : first + n], n), np.asarray(first), np.asarray(t)
        cache = _extended(*chunk, cache, params, hyperparameters=hyperparameters)
        t = first + n
    return _stepped(x[last], np.asarray(last), cache, params, hyperparameters=hyperparameters)


_empty = jax.jit(empty_cache, static_argnums=(0, 1, 2, 3, 4))


@partial(jax.jit, static_argnames=("slots",))
def _first(cache, n, slots):
    """The first `n` slots of a cache of one sequence, in a new one of so many; the others are 0, nobody's tokens."""
    real = (jnp.arange(min(slots, cache.slots)) < n).reshape(1, 1, -1, 1)
    return with_slots(jax.tree.map(lambda A: jnp.where(real, A[..., :slots, :], 0), cache), slots)


# These programs write in place the cache that they are given: always one that was made here, and none that is stored.


@compiled(static_argnames=("hyperparameters",), donate_argnames=("cache",))
def _extended(x, first, t, cache, params, *, hyperparameters):
    """The cache with tokens (n,) from position `first` on, of which those before `t` are there, and keep their bits."""
    known = (first + jnp.arange(len(x)) < t).reshape(1, 1, -1, 1)

    def merged(old, new):
        old, chunk = (lax.dynamic_slice_in_dim(A, first, len(x), axis=-2) for A in (old, new))
        return lax.dynamic_update_slice_in_dim(new, jnp.where(known, old, chunk), first, axis=-2)

    return jax.tree.map(merged, cache, d_extend(x, first, cache, params, hyperparameters)[1])


@compiled(static_argnames=("hyperparameters",), donate_argnames=("cache",))
def _stepped(token, t, cache, params, *, hyperparameters):
    return d_step(token, t, cache, params, hyperparameters)
