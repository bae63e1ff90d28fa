"""What a pytree consists of: its arrays by name, and the type and shape of each."""

from typing import Any

import jax


def by_name(state: Any) -> dict[str, Any]:
    """The leaves of a pytree by their paths, as `params.layers.W_mlp1`.

    Raises:
      TypeError: a leaf is no array. ValueError: two leaves have the same path, as with the keys 1 and "1".
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    named = {jax.tree_util.keystr(path, simple=True, separator=".") or "state": leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ValueError(f"{len(leaves) - len(named)} of the state's arrays have the path of another")
    for name, leaf in named.items():
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise TypeError(f"{name} of the state is of type {type(leaf).__name__}, expected an array")
    return named


def outline(named: dict[str, Any]) -> dict[str, str]:
    """What each array is, as `float32 (3, 4)`."""
    return {name: f"{leaf.dtype} {tuple(leaf.shape)}" for name, leaf in named.items()}


def difference(found: dict[str, str], expected: dict[str, str]) -> str | None:
    """The first array in which two outlines differ."""
    for name in expected | found:
        if name not in found:
            return f"it has no {name}, expected {expected[name]}"
        if name not in expected:
            return f"it has {name}, {found[name]}, which is not expected"
        if found[name] != expected[name]:
            return f"its {name} is {found[name]}, expected {expected[name]}"
    return None
