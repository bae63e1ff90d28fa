"""The three architectures by the names that commands and files have for them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    Hyperparameters,
)
from ..initialization import init_d_transformer, init_e_transformer, init_ed_transformer
from ..parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters


class Architecture(NamedTuple):
    """What one of the three architectures consists of."""

    hyperparameters: type[Hyperparameters]
    parameters: type
    initialise: Callable[..., Any]


ARCHITECTURES = {
    "decoder": Architecture(DTransformerHyperparameters, DTransformerParameters, init_d_transformer),
    "encoder": Architecture(ETransformerHyperparameters, ETransformerParameters, init_e_transformer),
    "encoder-decoder": Architecture(EDTransformerHyperparameters, EDTransformerParameters, init_ed_transformer),
}


def require_architecture(name: Any) -> Architecture:
    """The architecture of this name. Raises `ValueError` if there is none."""
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {name!r}; they are {', '.join(map(repr, ARCHITECTURES))}")
    return ARCHITECTURES[name]
