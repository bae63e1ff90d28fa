"""`reap`: what every tagged line of a function has computed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

import jax

from .evaluation import evaluate, trace
from .places import Place, Site
from .selectors import at, resolve, spelled
from .walk import Walk


@jax.tree_util.register_pytree_with_keys_class
class Reaped(Mapping[str, jax.Array]):
    """The tagged values of a call by path, in the order in which they were computed; a pytree of the distinct ones.

    `values["mh_attention/attention/4.S"]` is what has this path; iterating gives the paths. A selector
    (`formal_tx.tagging.selectors`) finds the same: `values["S"]`, `values["layers/3/heads/0/S"]`.
    """

    def __init__(self, distinct: Iterable[Any], which: Iterable[int], sites: Iterable[Site]):
        """Of the `distinct` values, each of the `sites` has the one with the number in `which`."""
        self._distinct, self._which = tuple(distinct), tuple(which)
        self._sites = {site.path: site for site in sites}
        self._by_path = {path: self._distinct[n] for path, n in zip(self._sites, self._which, strict=True)}

    def __getitem__(self, selector: str) -> jax.Array:
        """The value that a path or a selector names.

        Raises:
          SelectorError, which is a KeyError: if it names none or several, or an index is out of range.
        """
        selection = resolve(selector, self._sites)
        value = self._by_path[selection.site.path]
        return value[at(selection.within(value.shape).entries)] if selection.entries else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path)

    def __len__(self) -> int:
        return len(self._by_path)

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def __repr__(self) -> str:
        return f"Reaped({self._by_path})"

    @property
    def selectors(self) -> dict[str, str]:
        """The whole selector of each path, with its scopes and axes."""
        return {path: spelled(site, self._sites.values()) for path, site in self._sites.items()}

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        """The distinct values, each with the first of its paths; and the rest."""
        paths = dict(zip(reversed(self._which), reversed(self._sites), strict=True))
        keyed = ((jax.tree_util.DictKey(paths[n]), value) for n, value in enumerate(self._distinct))
        return tuple(keyed), (self._which, tuple(self._sites.values()))

    def tree_flatten(self) -> tuple[Any, Any]:
        """The distinct values, and the rest."""
        return self._distinct, (self._which, tuple(self._sites.values()))

    @classmethod
    def tree_unflatten(cls, rest: Any, distinct: Any) -> "Reaped":
        """Other values at the same places."""
        return cls(distinct, *rest)


def reap(f: Callable) -> Callable[..., tuple[Any, Reaped]]:
    """A function that returns what `f` returns, and every value that `f` tagged with `line`.

    The tagged values come in a mapping, `Reaped`. Its keys are paths: the names of the jitted functions that lead to
    the line, then the line, as in `d_transformer/mh_attention/attention/4.S`. What is met again under the same path
    gets `#2`, `#3`, … behind its name. Under `lax.scan` the values are stacked along a leading axis, under
    `lax.while_loop` they are those of the last iteration, and in a branch of `lax.cond` that was not taken they are
    nan (0 for integers). The axis of a `jax.vmap` inside `f` leads, behind those of scans; what does not depend on
    what is mapped has no such axis. In a gradient the values are those of the forward pass.

    The reaped function is itself pure: it can be jitted, vmapped and differentiated. Without `jax.jit` around it, it
    runs equation by equation. Arrays among its arguments are traced; everything else (hyperparameters, a length)
    reaches `f` as it is.

    Raises:
      ValueError: when called, for a tag inside of what cannot be looked into, a kernel for example.
    """

    @wraps(f)
    def reaped(*args, **kwargs):
        traced, walk = trace(f, args, kwargs), Walk()
        result = traced.rebuild(evaluate(traced.closed, traced.inputs, walk, Place()))
        distinct, which = walk.distinct()
        return result, Reaped(distinct, (which[path] for path in walk.sites), walk.sites.values())

    return reaped
