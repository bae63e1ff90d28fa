"""What entries of a config.json mean: names of activations, and entries that have to have one value."""

from collections.abc import Callable
from typing import Any

import jax

from ..activations import gelu, gelu_sigmoid, gelu_tanh, relu, sigmoid, silu, tanh
from .family import Config

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "quick_gelu": gelu_sigmoid,
    "relu": relu,
    "sigmoid": sigmoid,
    "silu": silu,
    "swish": silu,
    "tanh": tanh,
}


def activation(name: str | None, default: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """The activation that a config.json names. Raises `ValueError` for one that is not known."""
    if name is None:
        return default
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation {name!r} is not known; they are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def name_of(function: Callable[[jax.Array], jax.Array]) -> str | None:
    """The name of an activation in a config.json, of several the first; None if there is none."""
    return next((name for name, known in ACTIVATIONS.items() if known is function), None)


def require(config: Config, **entries: Any) -> None:
    """Raise `ValueError` unless these entries of a configuration, where it has them, have these values."""
    for name, value in entries.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r}, and only {value!r} is supported")


def first_of(config: Config, *names: str) -> Any:
    """The entry of a configuration under the first of these names that it has. Raises `KeyError` without any."""
    return config[next((name for name in names if config.get(name) is not None), names[0])]


def special_tokens(config: Config) -> tuple[int, int, int] | None:
    """Mask, bos and eos of a decoder, where its configuration says any; eos stands in for what there is not.

    Where several tokens end a text it is the first of them.
    """
    eos: Any = config.get("eos_token_id")
    eos = eos[0] if isinstance(eos, list) and eos else eos
    bos = config.get("bos_token_id")
    if bos is None and eos is None:
        return None
    bos, eos = eos if bos is None else bos, bos if eos is None else eos
    return (eos, bos, eos)


def windows(config: Config, L: int) -> tuple[int | None, ...]:
    """How many tokens the layers see, in turn: `sliding_window` of them in those that `layer_types` says, or in all.

    Raises:
      ValueError: a layer is of another type.
    """
    window, types = config.get("sliding_window"), config.get("layer_types")
    if types is None:
        return (window,)
    known = {"full_attention": None, "sliding_attention": window}
    for i, kind in enumerate(types):
        if kind not in known:
            raise ValueError(f"layer_types[{i}] is {kind!r}, expected one of {', '.join(known)}")
    each = [known[types[i]] for i in range(L)]
    period = next(n for n in range(1, L + 2) if each == (each[:n] * L)[:L])
    return tuple(each[:period]) or (None,)
