"""NoPE (2203.16634): what a causal decoder knows of positions although it is told none.

To be told none is a choice of hyperparameters, `without_positions`. What there is to compute is what a model then finds
out by itself: one head can count the tokens that it sees, and a probe reads positions from a trained model's hidden
states. An encoder without positions sees a bag of tokens.
"""

import warnings
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .. import masks
from ..attention import attention
from ..contracts import algorithm, is_concrete
from ..hyperparameters import EDTransformerHyperparameters, ETransformerHyperparameters, Hyperparameters
from ..linear import affine, aligned
from ..parameters import AttentionParameters
from ..scores import InTurn, SoftCap
from ..tagging import line
from ..validation import (
    as_arrays,
    require_count,
    require_fields,
    require_floats,
    require_key,
    require_kind,
    require_positive,
    require_shapes,
)
from .alibi import Alibi
from .relative_buckets import RelativeBuckets

H = TypeVar("H", bound=Hyperparameters)


def without_positions(hyperparameters: H) -> H:
    """The same hyperparameters without a table, a rotation or a score that knows positions; masks and windows stay.

    It warns of an encoder, whose full mask does not tell positions either: its rows move with the tokens.

    Raises:
      TypeError: for what are no hyperparameters. ValueError: for a score of which it is not known what it reads.
    """
    given: Any = hyperparameters
    if not isinstance(given, Hyperparameters):
        found = type(given).__name__
        raise TypeError(f"without_positions: hyperparameters is a {found}, expected those of an architecture")
    if isinstance(hyperparameters, ETransformerHyperparameters | EDTransformerHyperparameters):
        warnings.warn("without_positions: an encoder without positions sees a bag of tokens", stacklevel=2)
    changes: dict[str, Any] = {"table": None, "rotate": None, "score": _without(hyperparameters.score)}
    if isinstance(hyperparameters, EDTransformerHyperparameters):
        changes["decoder_score"] = _without(hyperparameters.decoder_score)
    return replace(hyperparameters, **changes)


def _without(score: Any) -> Any:
    """A score without those parts of it that know positions; None if nothing is left."""
    match score:
        case None | SoftCap():
            return score
        case Alibi() | RelativeBuckets():
            return None
        case InTurn(scores):
            left = tuple(one for one in map(_without, scores) if one is not None)
            return InTurn(left) if left else None
    raise ValueError(
        f"without_positions: score is {score!r}, expected one of which it is known whether it reads positions"
    )


# Counting


def _count_requires(X, v):
    name = "count_from_start"
    X, v = as_arrays(name, X=X, v=v)
    require_shapes(name, v=(v, "d_x"), X=(X, "... l d_x"))
    require_floats(name, X=X, v=v)
    if is_concrete(X, v):
        told = np.asarray(X, float) @ np.asarray(v, float)
        bad = np.argwhere(np.abs(told - _first(told.shape[-1])) > _half_of_the_digits(X))
        if bad.size:
            index = tuple(map(int, bad[0]))
            raise ValueError(
                f"{name}: v · X[{', '.join(map(str, index))}] is {told[index]:.3g}, expected 1 for the first token and "
                "0 for the others"
            )
    return {"X": jnp.asarray(X), "v": jnp.asarray(v)}


def _first(l: int) -> np.ndarray:
    return (np.arange(l) == 0).astype(float)


def _half_of_the_digits(X: Any) -> float:
    """The root of the machine epsilon: v · x of an honest direction is closer, of another one it is not."""
    return float(jnp.finfo(X.dtype).eps) ** 0.5


@algorithm(_count_requires)
def count_from_start(X: Float[Array, "*batch l d_x"], v: Float[Array, "d_x"]) -> Float[Array, "*batch l"]:
    """Positions by one head of Algorithm 4 that is told none, from the share 1/(t+1) that the first token has.

    Args:
      X: (..., ℓ, d_x) a sequence, the first token of which a direction tells from the others.
      v: (d_x,), with v · X[0] = 1 and v · X[t] = 0 for t > 0.
    Returns:
      t_hat (..., ℓ), 0, 1, 2, … up to rounding; nan where traced tokens are not told apart.
    Raises:
      TypeError: for arrays that are not of a floating dtype. ValueError: if concrete tokens are not told apart by v.
    """
    nothing = jnp.zeros((1, v.shape[-1]), X.dtype)
    head = AttentionParameters(W_q=nothing, b_q=None, W_k=nothing, b_k=None, W_v=v[None, :], b_v=None)
    a = line(4, "a", attention(X, X, head, masks.causal)[..., 0])
    told = affine(X, v[None, :])[..., 0]
    apart = jnp.abs(told - aligned(jnp.asarray(_first(X.shape[-2]), X.dtype), told)) <= _half_of_the_digits(X)
    return line(5, "t_hat", jnp.where(apart.all(axis=-1, keepdims=True), 1 / a - 1, jnp.nan))


# Probing


@struct.dataclass
class ProbeParameters:
    """`R` (d_f, d_e) and `c` (d_f,), random, of the features; `w` (d_f,) and `b` (), fitted."""

    R: Float[Array, "d_f d_e"]
    c: Float[Array, "d_f"]
    w: Float[Array, "*batch d_f"]
    b: Float[Array, "*batch"]


def random_features(key: PRNGKeyArray, d_e: int, d_f: int = 400) -> tuple[jax.Array, jax.Array]:
    """R (d_f, d_e) from N(0, 1/d_e) and c (d_f,) from N(0, 1): the features ReLU(R x + c) of a probe."""
    require_count("random_features", "d_e", d_e, at_least=1)
    require_count("random_features", "d_f", d_f, at_least=1)
    of_R, of_c = jax.random.split(require_key("random_features", key))
    return jax.random.normal(of_R, (d_f, d_e)) / d_e**0.5, jax.random.normal(of_c, (d_f,))


def _fit_requires(X, t, R, c, penalty):
    name = "fit_probe"
    X, t, R, c = as_arrays(name, X=X, t=t, R=R, c=c)
    require_shapes(name, R=(R, "d_f d_e"), c=(c, "d_f"), X=(X, "... n d_e"), t=(t, "... n"))
    require_floats(name, X=X, R=R, c=c)
    require_positive(name, dtype=X.dtype, penalty=penalty)
    if t.shape not in (X.shape[:-1], X.shape[-2:-1]):
        raise ValueError(f"{name}: t has shape {t.shape}, expected {X.shape[:-1]}: a position for each token of X")
    if t.dtype == bool:
        raise TypeError(f"{name}: t has dtype bool, expected positions")
    return {"X": jnp.asarray(X), "t": jnp.asarray(t), "R": jnp.asarray(R), "c": jnp.asarray(c)}


@algorithm(_fit_requires)
def fit_probe(
    X: Float[Array, "*batch n d_e"],
    t: Real[Array, "*some n"],
    R: Float[Array, "d_f d_e"],
    c: Float[Array, "d_f"],
    penalty: Any = 1e-4,
) -> ProbeParameters:
    """Ridge regression of positions on random features of hidden states, the constant of which is not penalised.

    Args:
      X: (..., n, d_e) hidden states of n tokens, of all sequences one after the other; a probe for each leading index.
      t: (..., n) their positions, or (n,). R, c: as `random_features` makes them.
      penalty: of the square of w, for each token; greater than 0.
    Returns:
      `ProbeParameters`.
    Raises:
      TypeError, ValueError: for shapes that do not fit, or a penalty that is not greater than 0.
    """
    n, d_f = X.shape[-2], c.shape[-1]
    t = jnp.broadcast_to(aligned(t.astype(X.dtype), X[..., 0]), X.shape[:-1])
    Phi = line(1, "Phi", jax.nn.relu(affine(X, R, c)))
    phi_bar = line(2, "phi_bar", Phi.mean(axis=-2))
    t_bar = line(3, "t_bar", t.mean(axis=-1))
    Phi = line(4, "Phi", Phi - phi_bar[..., None, :])
    penalties = n * jnp.asarray(penalty, X.dtype) * jnp.eye(d_f, dtype=X.dtype)
    G = Phi.mT @ Phi
    about_mean = (t - t_bar[..., None])[..., None]
    w = line(5, "w", jnp.linalg.solve(G + aligned(penalties, G), Phi.mT @ about_mean)[..., 0])
    b = line(6, "b", t_bar - (w * phi_bar).sum(axis=-1))
    return line(7, "W", ProbeParameters(R=R, c=c, w=w, b=b))


def _read_requires(X, params):
    name = "read_positions"
    require_kind(name, "params", params, ProbeParameters, made_by="fit_probe")
    (X,) = as_arrays(name, X=X)
    params = require_fields(name, "params", params)
    fields = {"R": "d_f d_e", "c": "d_f", "w": "... d_f"}
    shapes = {f"params.{field}": (getattr(params, field), axes) for field, axes in fields.items()}
    require_shapes(name, **shapes, X=(X, "... n d_e"))
    require_floats(name, X=X)
    return {"X": jnp.asarray(X), "params": params}


@algorithm(_read_requires)
def read_positions(X: Float[Array, "*batch n d_e"], params: ProbeParameters) -> Float[Array, "*batch n"]:
    """Where tokens stand, by a probe that was fitted to others.

    Args:
      X: (..., n, d_e) hidden states. params: as `fit_probe` gives them.
    Returns:
      t_hat (..., n).
    Raises:
      TypeError, ValueError: for parameters of another kind, or hidden states of another width.
    """
    Phi = line(1, "Phi", jax.nn.relu(affine(X, params.R, params.c)))
    w, b = aligned(params.w[..., None], Phi), params.b[..., None]
    t_hat = (Phi @ w)[..., 0]
    return line(2, "t_hat", t_hat + aligned(b, t_hat))
