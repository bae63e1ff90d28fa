"""The heads that published encoders bring beside Algorithm 9: what pools a sequence, and what sorts it into classes.

Their parameters are among a model's `extras`, by the names that files have for them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy.typing as npt

from ..activations import relu, tanh
from ..heads import HeadParameters, classification_logits, pool_first_token
from .model import Model

POOLING: dict[str, dict[str, Callable[[jax.Array], jax.Array]]] = {
    "bert": {"bert.pooler.dense": tanh},
    "roberta": {"classifier.dense": tanh, "roberta.pooler.dense": tanh},
    "distilbert": {"pre_classifier": relu},
}
"""For each family, the tensors of its pooled head and what follows the matrix; the first that a model has is used."""

CLASSES: dict[str, tuple[str, ...]] = {
    "classification": ("classifier", "classifier.out_proj"),
    "next-sentence": ("cls.seq_relationship",),
    "species": ("cls.species",),
    "chain": ("cls.chain",),
    "graft": ("cls.graft",),
}
"""Heads that sort what was pooled into classes, and their tensors. The last three are AntiBERTy's."""


def head_parameters(model: Model, name: str) -> HeadParameters:
    """The parameters of a head by the name of its tensors, such as "bert.pooler.dense".

    Raises:
      ValueError: the model has none of this name; says which it has.
    """
    if f"{name}.weight" not in model.extras or f"{name}.bias" not in model.extras:
        heads = [extra.removesuffix(".weight") for extra in model.extras if extra.endswith(".weight")]
        raise ValueError(f"the model has no head {name}; {_listed(heads)}")
    return HeadParameters(*(jnp.asarray(model.extras[f"{name}.{kind}"]) for kind in ("weight", "bias")))


def heads_of(model: Model) -> list[str]:
    """The names in `CLASSES` of the heads that a model has."""
    return [name for name, tensors in CLASSES.items() if _first(model, tensors) is not None]


def pooled(model: Model, ids: npt.ArrayLike, **arguments: Any) -> jax.Array:
    """One vector (..., d_e) for each sequence of ids (..., ℓ), by the head that the model has for it.

    Further arguments are those of `Model.features`.

    Raises:
      ValueError: the model has no such head.
    """
    of_family = POOLING.get(model.family, {})
    name = _first(model, tuple(of_family))
    if name is None:
        raise ValueError(f"the model has no pooled head; those of {model.family or 'no family'}: {list(of_family)}")
    return pool_first_token(model.features(ids, **arguments), head_parameters(model, name), of_family[name])


def class_logits(model: Model, ids: npt.ArrayLike, head: str = "classification", **arguments: Any) -> jax.Array:
    """The logits (..., K) of a head that sorts sequences of ids (..., ℓ) into classes.

    Args:
      head: one of `CLASSES`; `heads_of` says which a model has.
      arguments: those of `Model.features`, such as `lengths` and `types`.
    Raises:
      ValueError: the model has no such head.
    """
    name = _first(model, CLASSES.get(head, ()))
    if name is None:
        raise ValueError(f"the model has no head {head!r}; {_listed(heads_of(model))}")
    return classification_logits(pooled(model, ids, **arguments), head_parameters(model, name))


def _first(model: Model, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if f"{name}.weight" in model.extras), None)


def _listed(names: list[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has none"
