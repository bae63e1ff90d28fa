"""The variations of what is done to each token by itself: norms, activations, the MLP."""

from typing import Any

import numpy as np

from ... import activations
from ...mlp import mlp
from ...normalization import rms_norm, rms_norm_about_one
from ...parameters import MLPParameters
from ...placement import Normalise
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from .entry import Draw, entry
from .functions import function
from .parameters import mlp as mlp_theta


def _norm(name: str, purpose: str, norm: Any) -> Variation:
    def draw(epsilon: float, size: float = 1.0) -> Draw:
        def arguments(rng: np.random.Generator) -> dict[str, Any]:
            gamma = draws.exact(1 + 0.25 * rng.standard_normal(7))
            e = draws.exact(size * rng.standard_normal(7))
            return {"e": e, "gamma": gamma, "beta": draws.normal(rng, 7), "epsilon": epsilon}

        return arguments

    def library(a: dict[str, Any]) -> Any:
        run = reap(lambda e, gamma, beta: norm(e, gamma, beta, epsilon=a["epsilon"]))
        result, lines = run(a["e"], a["gamma"], a["beta"])
        return result, lines_of(lines, (name,))

    return entry(
        name,
        purpose,
        module="formal_tx.normalization",
        beside="variations.norm",
        draw=draw(1e-5),
        paper=lambda a: (a["e"], a["gamma"], a["beta"], a["epsilon"]),
        library=library,
        hard=(
            ("epsilon 0", draw(0.0)),
            ("small activations", draw(1e-5, 1e-3)),
            ("large activations", draw(1e-5, 1e3)),
        ),
        functions=(name,),
    )


def _activation(ours: Any, pseudocode_name: str, purpose: str) -> Variation:
    return entry(
        ours.__name__,
        purpose,
        module="formal_tx.activations",
        beside="variations.activation",
        pseudocode_name=pseudocode_name,
        draw=lambda rng: {"x": draws.normal(rng, 19)},
        paper=lambda a: (a["x"],),
        library=lambda a: (ours(a["x"]), {}),
        hard=(("far from 0", lambda rng: {"x": np.linspace(-60.0, 60.0, 25)}),),
        functions=(ours.__name__,),
    )


def _mlp(name: str, purpose: str, activation: Any, gated: bool = False, inner: bool = False) -> Variation:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        shapes = {"W_in": (13, 7), "b_in": (13,), "W_out": (7, 13), "b_out": (7,), "W_gate": (13, 7), "b_gate": (13,)}
        shapes |= {"gamma": (13,), "beta": (13,)}
        kept = {n for n in shapes if (gated or "gate" not in n) and (inner or n not in ("gamma", "beta"))}
        fields: dict[str, Any] = {n: draws.normal(rng, *shape) if n in kept else None for n, shape in shapes.items()}
        return {"X": draws.normal(rng, 11, 7), "W": MLPParameters(**fields)}

    normalise = Normalise(rms_norm, 1e-5)

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        norm = pseudocode.module("variations.norm").of_each_token(function(rms_norm), 1e-5)
        arguments = (a["X"].T, mlp_theta(a["W"]), function(activation))
        return (*arguments, norm) if inner else arguments

    return entry(
        name,
        purpose,
        module="formal_tx.mlp",
        beside="variations.gated_mlp",
        pseudocode_name="gated_mlp" if gated else "mlp",
        draw=draw,
        paper=paper,
        library=lambda a: (mlp(a["X"], a["W"], activation, normalise if inner else lambda X, gamma, beta: X), {}),
        functions=("mlp",),
    )


PARTS: tuple[Variation, ...] = (
    _norm("rms_norm", "Algorithm 6 without the mean", rms_norm),
    _norm("rms_norm_about_one", "RMSNorm whose scale is 1 + gamma", rms_norm_about_one),
    _activation(activations.gelu_tanh, "GELU_tanh", "GELU by tanh"),
    _activation(activations.gelu_sigmoid, "GELU_sigmoid", "GELU by a sigmoid"),
    _activation(activations.silu, "SiLU", "x times its sigmoid"),
    _activation(activations.sigmoid, "sigmoid", "the gate of the GLU"),
    _mlp("gated_mlp", "an MLP with a gate: SwiGLU", activations.silu, gated=True),
    _mlp("geglu", "an MLP with a gate: GEGLU", activations.gelu, gated=True),
    _mlp("mlp_with_inner_norm", "an MLP that normalises what its second matrix reads", activations.gelu, inner=True),
)
