"""The pseudocode's function for each function that may be a hyperparameter of the library."""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from ... import activations, normalization, placement, positional, scores
from ...hyperparameters import learned
from .. import pseudocode


def _of(module: str, name: str) -> Callable[..., Any]:
    return getattr(pseudocode.module(module), name)


_NAMES: dict[Any, tuple[str, str]] = {
    normalization.layer_norm: ("algorithm_06_layer_norm", "layer_norm"),
    normalization.rms_norm: ("variations.norm", "rms_norm"),
    normalization.rms_norm_about_one: ("variations.norm", "rms_norm_about_one"),
    placement.PRE: ("variations.placement", "pre"),
    placement.SUB_LN: ("variations.placement", "pre"),
    placement.POST: ("variations.placement", "post"),
    placement.SANDWICH: ("variations.placement", "sandwich"),
    placement.BRANCH: ("variations.placement", "branch"),
    placement.PARALLEL: ("variations.placement", "parallel"),
    placement.PARALLEL_ONE_NORM: ("variations.placement", "parallel_one_norm"),
    activations.relu: ("notation", "ReLU"),
    activations.gelu: ("notation", "GELU"),
    activations.gelu_tanh: ("variations.activation", "GELU_tanh"),
    activations.gelu_sigmoid: ("variations.activation", "GELU_sigmoid"),
    activations.silu: ("variations.activation", "SiLU"),
    activations.sigmoid: ("variations.activation", "sigmoid"),
    positional.interleaved_sinusoids: ("positional.sinusoidal", "interleaved_sinusoids"),
    positional.sinusoid_halves: ("positional.sinusoidal", "sinusoid_halves"),
    positional.whisper_sinusoids: ("positional.sinusoidal", "whisper_sinusoids"),
}


def function(ours: Any) -> Callable[..., Any]:
    """The pseudocode of a norm, a placement, an activation or a positional table.

    Raises:
      ValueError: if there is none.
    """
    if ours is activations.tanh:
        return np.tanh
    if ours not in _NAMES:
        raise ValueError(f"there is no pseudocode of {ours!r}, expected one of {', '.join(map(_name, _NAMES))}")
    return _of(*_NAMES[ours])


def _name(ours: Any) -> str:
    return getattr(ours, "__name__", repr(ours))


def table(hp: Any) -> Callable[..., Any] | None:
    """The pseudocode of a positional table that is computed."""
    return None if hp.table is None or hp.table is learned else function(hp.table)


def frequencies(rotary: positional.Rotary, r: int) -> np.ndarray:
    """The frequencies (r/2,) of a rotation, by the pseudocode."""
    theta = _of("positional.rotary", "frequencies")(r, rotary.base)
    match rotary.scaling:
        case None:
            return theta
        case positional.LinearScaling(factor):
            return _of("positional.rotary", "linear_scaling")(theta, factor)
        case positional.NTKScaling(factor):
            return _of("positional.rotary", "ntk_scaling")(r, factor, rotary.base)
        case positional.Llama3Scaling(factor, context, low, high):
            return _of("positional.rotary", "llama3_scaling")(theta, factor, context, low, high)
        case positional.YaRNScaling(factor, context, base, slow, fast):
            return _of("positional.rotary", "yarn_scaling")(theta, factor, context, base, slow, fast)
        case other:
            raise ValueError(f"there is no pseudocode of the scaling {other!r}")


def size(rotary: positional.Rotary) -> float:
    """What turned features are multiplied by, by the pseudocode."""
    scaling = rotary.scaling
    if not isinstance(scaling, positional.YaRNScaling):
        return 1.0
    return scaling.attention if scaling.attention is not None else _of("positional.rotary", "yarn_size")(scaling.factor)


def rotate(ours: Any, d_attn: int) -> dict[str, Any]:
    """The argument `rotate` of the pseudocode."""
    if ours is None:
        return {}
    if not isinstance(ours, positional.Rotary):
        raise ValueError(f"there is no pseudocode of the rotation {ours!r}")
    theta, turn = frequencies(ours, d_attn if ours.size is None else ours.size), _of("positional.rotary", "rotary")
    return {"rotate": lambda X, t: turn(X, t, theta, ours.neighbours, size(ours))}


def score(ours: Any, W_r: np.ndarray | None, H: int) -> Callable[..., Any]:
    """A function (S, h) -> S of the pseudocode; W_r (rows, H) is the table of a learned score."""
    match ours:
        case None:
            return _of("variations.grouped_attention", "as_it_is")
        case positional.Alibi(largest_exponent):
            m = _of("positional.alibi", "slopes")(H, largest_exponent)
            return lambda S, h: _of("positional.alibi", "alibi")(S, m[h])
        case positional.RelativeBuckets(_, furthest, bidirectional):
            assert W_r is not None  # a learned score has a table
            add = _of("positional.relative_buckets", "relative_buckets")
            return lambda S, h: add(S, W_r[:, h], furthest, bidirectional)
        case scores.SoftCap(cap):
            return lambda S, h: _of("variations.soft_cap", "soft_cap")(S, cap)
        case scores.InTurn(several):
            steps = [score(one, W_r, H) for one in several]

            def in_turn(S: np.ndarray, h: int) -> np.ndarray:
                for step in steps:
                    S = step(S, h)
                return S

            return in_turn
        case other:
            raise ValueError(f"there is no pseudocode of the score {other!r}")


def normalise_qk(ours: Any) -> dict[str, Any]:
    """The argument `normalise` of the pseudocode."""
    if ours is None:
        return {}
    if not isinstance(ours, scores.QKNorm):
        raise ValueError(f"there is no pseudocode of the normalisation of queries and keys {ours!r}")
    norm = _of("variations.qk_norm", "qk_norm_of_all_heads" if ours.all_heads else "qk_norm")
    return {"normalise": lambda Q, gamma: norm(Q, gamma, ours.epsilon)}


def logit_cap(ours: Any) -> dict[str, Any]:
    """The argument `logit_cap` of the pseudocode."""
    if ours is None:
        return {}
    if not isinstance(ours, scores.SoftCap):
        raise ValueError(f"there is no pseudocode of the cap of logits {ours!r}")
    return {"logit_cap": lambda logits: _of("variations.soft_cap", "soft_cap")(logits, ours.cap)}


def hyperparameters(hp: Any, W_r: np.ndarray | None) -> dict[str, Any]:
    """The arguments of the pseudocode's architectures, beside parameters and token ids.

    Raises:
      ValueError: for a variation that has no pseudocode.
    """
    return (
        {
            "epsilon": hp.epsilon,
            "norm": function(hp.norm),
            "placement": function(hp.placement),
            "sub_ln": hp.placement.inner,
            "mlp": _of("variations.gated_mlp", "gated_mlp" if hp.gated else "mlp"),
            "sigma": function(hp.activation),
            "scale": hp.scale,
            "score": score(hp.score, W_r, hp.H),
            "windows": [inf if w is None else w for w in hp.windows],
            "embedding_scale": hp.embedding_scale,
            "embedding_norm": hp.embedding_norm,
            "final_norm": hp.final_norm,
            "logit_scale": hp.logit_scale,
        }
        | rotate(hp.rotate, hp.d_attn)
        | normalise_qk(hp.normalise_qk)
        | logit_cap(hp.logit_cap)
    )
