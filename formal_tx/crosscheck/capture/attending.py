"""The lines in which tokens look at each other: the weights and the answers of Algorithm 4."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ... import masks
from ...linear import aligned, softmax
from .lines import Alternative, Context, Line

_AT = "mh_attention/attention/"


def _weights(c: Context, scale: float | None = None, causal: bool | None = None) -> jax.Array:
    """The softmax of the scores, times `scale`, under one of the paper's two masks."""
    Q, K = c.before[f"{_AT}1.Q"], c.before[f"{_AT}2.K"]
    mask = masks.causal if (c.causal if causal is None else causal) else masks.full
    S = Q @ K.mT
    S = jnp.where(aligned(masks.dense(mask, *S.shape[-2:]), S), S, -jnp.inf)
    return softmax(S * (Q.shape[-1] ** -0.5 if scale is None else scale))


def _other_weights(c: Context) -> Iterator[Alternative]:
    H, _, d_attn = c.before[f"{_AT}1.Q"].shape
    layer = (c.layer or 0) + 1
    scales = {
        "scale-missing": ("the scores are not divided by √d_attn", 1.0),
        "scale-inverted": ("the scores are multiplied by √d_attn instead of divided", d_attn**0.5),
        "scale-without-root": ("the scores are divided by d_attn instead of its root", 1 / d_attn),
        "scale-by-model-width": ("the scores are divided by √d_e instead of √d_attn", (H * d_attn) ** -0.5),
        "scale-by-layer": (f"the scores are divided by the layer's number, {layer}, too", d_attn**-0.5 / layer),
    }
    for mistake, (title, scale) in scales.items():
        yield Alternative(mistake, title, _weights(c, scale))
    if c.causal:
        title = "the mask is bidirectional where it should be unidirectional: a token sees those after it"
        yield Alternative("mask-causal-missing", title, _weights(c, causal=False))
    else:
        title = "the mask is unidirectional where it should be bidirectional"
        yield Alternative("mask-causal-added", title, _weights(c, causal=True))


@dataclass(frozen=True)
class Weights(Line):
    """Line 6's weights."""

    def value(self, c: Context) -> jax.Array:
        return _weights(c)

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        del theirs
        yield from _other_weights(c)


@dataclass(frozen=True)
class Answer(Line):
    """Line 6: the weights times the values. Where the weights were not to be had, they are computed."""

    def value(self, c: Context) -> jax.Array:
        A = c.before.get(f"{_AT}6.A")
        return (_weights(c) if A is None else A) @ c.before[f"{_AT}3.V"]

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        del theirs
        if f"{_AT}6.A" not in c.before:
            for other in _other_weights(c):
                yield other._replace(value=other.value @ c.before[f"{_AT}3.V"])
