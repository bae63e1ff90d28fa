"""The variations of where norms stand: one layer of Algorithm 9, with any sub-layers."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ... import placement
from ...architectures import e_layers
from ...hyperparameters import ETransformerHyperparameters
from ...initialization import init_e_transformer
from ...placement import Placement
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from . import functions
from .entry import entry
from .parameters import e_theta

_HP = ETransformerHyperparameters(
    l_max=23, H=2, d_e=7, d_mlp=13, N_V=3, d_attn=5, d_mid=3, L=1, head=True, layer_scale=True, epsilon=1e-3
)


def _placement(name: str, purpose: str, where: Placement, pseudocode_name: str = "") -> Variation:
    hp = replace(_HP, placement=where)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"X": draws.normal(rng, 11, hp.d_e), "params": draws.fill(rng, draws.shapes_of(init_e_transformer, hp))}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        (W,) = e_theta(a["params"], hp, None).layers
        attention = pseudocode.module("variations.grouped_attention")
        norm = pseudocode.module("variations.norm").of_each_token(functions.function(hp.norm), hp.epsilon)
        inner = norm if where.inner else attention.as_it_is
        see, sigma = pseudocode.module("notation").bidirectional(11, 11), functions.function(hp.activation)
        mlp = pseudocode.module("variations.gated_mlp").mlp
        attend = lambda X: attention.grouped_attention(X, X, W.attention, see, inner=inner)  # noqa: E731
        feed = lambda X: mlp(X, W.mlp, sigma, inner)  # noqa: E731
        return a["X"].T, [(attend, W.around_1), (feed, W.around_2)], norm

    run = jax.jit(reap(lambda X, params: e_layers(X, params, hp)))

    def library(a: dict[str, Any]) -> Any:
        result, lines = run(a["X"], a["params"])
        found = {path.rsplit("/", 1)[-1]: value for path, value in lines.items()}
        sums = {} if where.parallel else {"2.X": np.concatenate([found["6.X"], found["8.X"]])}
        return result, sums

    return entry(
        name,
        purpose,
        module="formal_tx.architectures",
        beside="variations.placement",
        pseudocode_name=pseudocode_name or name,
        draw=draw,
        paper=paper,
        library=library,
        functions=("e_layers",),
    )


PARTS: tuple[Variation, ...] = (
    _placement("pre", "norms before sub-layers", placement.PRE),
    _placement("post", "norms after sums", placement.POST),
    _placement("sandwich", "norms before and after sub-layers", placement.SANDWICH),
    _placement("branch", "norms after sub-layers", placement.BRANCH),
    _placement("sub_ln", "norms before and inside of sub-layers", placement.SUB_LN, "pre"),
    _placement("parallel", "sub-layers that read the same", placement.PARALLEL),
    _placement("parallel_one_norm", "and share a norm", placement.PARALLEL_ONE_NORM),
)
