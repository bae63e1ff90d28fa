"""A function of an algorithm's positional arguments, as `formal-tx check N --against` calls it, as models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import draws
from ..catalog import Algorithm
from ..draws import Case
from ..layout import leaves
from .architectures import Given, encoder_decoder, generation, one_sequence, training
from .frameworks import FRAMEWORKS
from .models import AttentionModel, Model
from .parts import LookupModel, NormalizationModel, UnembeddingModel

SHORT_NAMES = {"encoder_decoder": "ed_transformer", "encoder": "e_transformer", "decoder": "d_transformer"}
"""Of the architectures, for `--kind`, beside the numbers and names of the algorithms."""


def of_algorithm(
    algorithm: Algorithm, function: Callable[..., Any], framework: str = "numpy", dtype: str = "float64", seed: int = 0
) -> list[Model]:
    """The models that `function` is, with random parameters: one, or an encoder-decoder's two.

    Args:
      function: takes `algorithm.signature`, arrays of `framework` in `dtype`, rows are tokens.
    Raises:
      ValueError: for another framework or dtype.
    """
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework is {framework!r}, expected one of {', '.join(FRAMEWORKS)}")
    given = Given(algorithm, function, framework, dtype, np.random.default_rng([seed, algorithm.number]))
    with FRAMEWORKS[framework].settings():
        made = _MAKERS[algorithm.number](given)
    return made if isinstance(made, list) else [made]


def _lookup(given: Given) -> Model:
    return LookupModel(**given.common, call=given.function)


def _single_query(given: Given) -> Model:
    case = draws.single_query(given.rng, "")
    params, d = given.tree(case.arguments["params"]), case.sizes["d_in"]
    shifted = given.tree(_with_key_bias(case.arguments["params"], given.rng))

    def one(params: Any) -> Callable:
        return lambda X, Z, mask: given.function(X[0], Z, params)[None]

    return _OneQuery(**given.common, call=one(params), shifted=one(shifted), d_x=d, d_z=d, masked=False, watched=params)


class _OneQuery(AttentionModel):
    """Attention of one token: whatever is asked for, X has one row."""

    def inputs(self, rng, l_x=1, l_z=7):
        return super().inputs(rng, 1, l_z)


def _with_key_bias(head: Any, rng: np.random.Generator) -> Any:
    """Another b_k, which adds a constant to all scores of each query."""
    return replace(head, b_k=head.b_k + 2 * draws.normal(rng, *head.b_k.shape))


def _attention(given: Given) -> Model:
    case = draws.attention(given.rng, "")
    params, shifted = case.arguments["params"], _with_key_bias(case.arguments["params"], given.rng)
    return _attention_model(given, case, params, shifted)


def _mh_attention(given: Given) -> Model:
    case = draws.mh_attention(given.rng, "", H=3)
    params = case.arguments["params"]
    model = _attention_model(given, case, params, replace(params, heads=_with_key_bias(params.heads, given.rng)))
    H, d_mid = params.heads.b_v.shape

    def reordered(order: np.ndarray) -> Callable:
        heads = replace(params.heads, **{name: leaf[order] for name, leaf in leaves(params.heads).items()})
        columns = (order[:, None] * d_mid + np.arange(d_mid)).ravel()
        return _with_params(given, replace(params, heads=heads, W_o=params.W_o[:, columns]))

    return replace(model, heads=H, reordered=reordered)


def _attention_model(given: Given, case: Case, params: Any, shifted: Any) -> AttentionModel:
    held = given.tree(params)
    return AttentionModel(
        **given.common,
        call=lambda X, Z, mask: given.function(X, Z, held, mask),
        shifted=_with_params(given, shifted),
        d_x=case.sizes["d_x"],
        d_z=case.sizes["d_z"],
        watched=held,
    )


def _with_params(given: Given, params: Any) -> Callable:
    held = given.tree(params)
    return lambda X, Z, mask: given.function(X, Z, held, mask)


def _layer_norm(given: Given) -> Model:
    return NormalizationModel(**given.common, call=given.function)


def _unembedding(given: Given) -> Model:
    return UnembeddingModel(**given.common, call=given.function)


_MAKERS: dict[int, Callable[[Given], Model | list[Model]]] = {
    1: _lookup,
    2: _lookup,
    3: _single_query,
    4: _attention,
    5: _mh_attention,
    6: _layer_norm,
    7: _unembedding,
    8: encoder_decoder,
    9: one_sequence,
    10: one_sequence,
    11: training,
    12: training,
    13: training,
    14: generation,
    15: generation,
}
