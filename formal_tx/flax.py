"""The three architectures as `nnx.Module`s, for those who write with Flax.

A module holds each parameter as an `nnx.Param` under the paper's name (`model.layers.attention.heads.W_q`), and what it
computes is the pure function of the same name. Parameters go both ways without a copy:

    model = DTransformer.from_params(params, hyperparameters)
    model.as_params()
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax
from flax import nnx

from .architecture_contracts import expected_parameters, require_parameters
from .architectures import (
    d_transformer,
    d_transformer_logits,
    e_transformer,
    e_transformer_logits,
    ed_transformer,
    ed_transformer_logits,
)
from .initialization import init_d_transformer, init_e_transformer, init_ed_transformer
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters

__all__ = ["DTransformer", "EDTransformer", "ETransformer"]


class _Group(nnx.Module):
    """Parameters that belong together, such as those of a layer; a field is an `nnx.Param`, a group, or None."""

    def _fill(self, part: Any) -> None:
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if dataclasses.is_dataclass(value):
                group = _Group()
                group._fill(value)
                setattr(self, field.name, group)
            else:
                setattr(self, field.name, None if value is None else nnx.Param(value))

    def _read(self, like: Any) -> Any:
        """The pytree of parameters, with the structure of `like`."""
        values = {}
        for field in dataclasses.fields(like):
            value, form = getattr(self, field.name), getattr(like, field.name)
            values[field.name] = (
                value._read(form) if isinstance(value, _Group) else None if value is None else value[...]
            )
        return type(like)(**values)


class _Transformer(_Group):
    """What the three modules share: how they are made, and how parameters go in and out."""

    initialise: ClassVar[Callable[..., Any]]
    parameters: ClassVar[type]

    def __init__(self, hyperparameters: Any, *, rngs: nnx.Rngs | None = None, params: Any = None):
        """Random parameters, or those that are given.

        Args:
          hyperparameters: of this architecture.
          rngs: its stream `params` gives the key for random parameters, as the pure function's `init_…` makes them.
          params: the parameters; instead of `rngs`.
        Raises:
          TypeError, ValueError: not one of `rngs` and `params` is given; the parameters are of another architecture, or
            not of these hyperparameters.
        """
        name = type(self).__name__
        if (rngs is None) == (params is None):
            raise TypeError(f"{name}: expected either rngs, for random parameters, or params")
        if rngs is not None:
            params = type(self).initialise(rngs.params(), hyperparameters)
        self.hyperparameters = hyperparameters
        self._fill(require_parameters(name, params, self.parameters, hyperparameters))

    @classmethod
    def from_params(cls, params: Any, hyperparameters: Any) -> Self:
        """A module that holds these parameters. Errors as the constructor's."""
        return cls(hyperparameters, params=params)

    def as_params(self) -> Any:
        """The parameters as the pure functions take them."""
        return self._read(expected_parameters(self.parameters, self.hyperparameters))


class DTransformer(_Transformer):
    """Algorithm 10 as a module: `d_transformer` and `d_transformer_logits`, with the same arguments and errors."""

    initialise = staticmethod(init_d_transformer)
    parameters = DTransformerParameters

    def __call__(self, x: Any, **arguments: Any) -> jax.Array:
        """`d_transformer`: probabilities (..., ℓ, N_V)."""
        return d_transformer(x, self.as_params(), self.hyperparameters, **arguments)

    def logits(self, x: Any, **arguments: Any) -> jax.Array:
        """`d_transformer_logits`: logits (..., ℓ, N_V)."""
        return d_transformer_logits(x, self.as_params(), self.hyperparameters, **arguments)


class ETransformer(_Transformer):
    """Algorithm 9 as a module: `e_transformer` and `e_transformer_logits`, with the same arguments and errors."""

    initialise = staticmethod(init_e_transformer)
    parameters = ETransformerParameters

    def __call__(self, x: Any, **arguments: Any) -> jax.Array:
        """`e_transformer`: probabilities (..., ℓ, N_V)."""
        return e_transformer(x, self.as_params(), self.hyperparameters, **arguments)

    def logits(self, x: Any, **arguments: Any) -> jax.Array:
        """`e_transformer_logits`: logits (..., ℓ, N_V)."""
        return e_transformer_logits(x, self.as_params(), self.hyperparameters, **arguments)


class EDTransformer(_Transformer):
    """Algorithm 8 as a module: `ed_transformer` and `ed_transformer_logits`, with the same arguments and errors."""

    initialise = staticmethod(init_ed_transformer)
    parameters = EDTransformerParameters

    def __call__(self, z: Any, x: Any, **arguments: Any) -> jax.Array:
        """`ed_transformer`: probabilities (..., ℓ_x, N_V)."""
        return ed_transformer(z, x, self.as_params(), self.hyperparameters, **arguments)

    def logits(self, z: Any, x: Any, **arguments: Any) -> jax.Array:
        """`ed_transformer_logits`: logits (..., ℓ_x, N_V)."""
        return ed_transformer_logits(z, x, self.as_params(), self.hyperparameters, **arguments)
