"""Functions with the signatures of Algorithms 8 to 15, as models: architectures, training, inference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from .. import cases, draws
from ..catalog import Algorithm
from ..draws import Case, GumbelSampler
from ..editions import masking
from .frameworks import FRAMEWORKS, Framework
from .models import ContextModel, Model, SequenceModel
from .parts import GenerationModel, TrainingModel

SEQUENCES = (np.arange(5), np.arange(7, 14))
"""x and z of an encoder-decoder: no token is in both, so that a row of W_e is an input of one of them."""


@dataclass(frozen=True)
class Given:
    """Somebody's function of an algorithm's signature, and how its arguments are made."""

    algorithm: Algorithm
    function: Callable[..., Any]
    framework: str
    dtype: str
    rng: np.random.Generator

    @property
    def common(self) -> dict[str, Any]:
        """What every adapter says."""
        return {"name": self.algorithm.name, "framework": self.framework, "dtype": self.dtype}

    @property
    def tools(self) -> Framework:
        return FRAMEWORKS[self.framework]

    def tree(self, value: Any) -> Any:
        """Parameters, or lists of arrays, in the framework's arrays."""
        return self.tools.tree(value, self.dtype)


def one_sequence(given: Given) -> Model:
    """Algorithms 9 and 10."""
    causal = given.algorithm.number == 10
    a = (draws.d_model if causal else draws.e_model)(given.rng, 1e-5)
    hp = a["hyperparameters"]
    return _sequence_model(
        given, a["params"], hp, lambda held: lambda ids: given.function(ids, held, hp), causal=causal
    )


def encoder_decoder(given: Given) -> list[Model]:
    """Algorithm 8 as a function of x, and as one of z."""
    a = draws.ed_model(given.rng, 1e-5)
    hp, params = a["hyperparameters"], a["params"]
    x, z = (given.tools.array(ids, given.dtype) for ids in SEQUENCES)
    of_x = _sequence_model(given, params, hp, lambda held: lambda ids: given.function(z, ids, held, hp), causal=True)
    held, nowhere = of_x.watched, given.tree(_without_positions(params))
    of_z = ContextModel(
        **given.common | {"name": f"{given.algorithm.name}, of z"},
        rows=lambda ids: given.function(ids, x, held, hp),
        without_positions=lambda ids: given.function(ids, x, nowhere, hp),
        N_V=hp.N_V,
        hyperparameters=hp,
        watched=held,
    )
    return [replace(of_x, name=f"{given.algorithm.name}, of x"), of_z]


def _without_positions(params: Any) -> Any:
    return replace(params, W_p=np.zeros_like(params.W_p))


def _sequence_model(
    given: Given, params: Any, hp: Any, rows: Callable[[Any], Callable[[Any], Any]], *, causal: bool
) -> SequenceModel:
    """The model whose rows are `rows(parameters)`, a function of ids.

    Its gradients are taken at rows of W_e: those of tokens 0, 1, 2, … are the input.
    """
    tools, held = given.tools, given.tree(params)

    def embedded(X: Any) -> Any:
        ids = tools.array(np.arange(len(X)), given.dtype)
        return rows(held.replace(W_e=tools.joined(X, held.W_e[len(X) :])))(ids)

    return SequenceModel(
        **given.common,
        rows=rows(held),
        embed=lambda ids: held.W_e[ids],
        embedded=embedded,
        without_positions=rows(given.tree(_without_positions(params))),
        N_V=hp.N_V,
        l_max=hp.l_max,
        causal=causal,
        distributions=True,
        hyperparameters=hp,
        watched=held,
    )


def training(given: Given) -> Model:
    """Algorithms 11, 12 and 13, on two sequences."""
    case = cases.draw(given.algorithm.number, 0, 1)[0]
    a, names = case.arguments, [name for name in ("z", "x") if name in case.arguments]
    hp = replace(a["hyperparameters"], epsilon=1e-5)
    data = [given.tree(list(a[name])) for name in names]
    own = [_masks(case)] if "replaced" in given.algorithm.signature else []

    def train(theta: Any, epochs: int) -> Any:
        params = _from_vector(a["params"], given.tools.numpy(theta))
        extra = [given.tree(masks[:epochs]) for masks in own]
        trained = given.function(*data, given.tree(params), hp, epochs, a["eta"], *extra)
        return given.tools.array(_to_vector(trained, given.tools), given.dtype)

    return TrainingModel(
        **given.common, train=train, parameters=_to_vector(a["params"]), continues=given.algorithm.number != 12
    )


def _masks(case: Case) -> np.ndarray:
    return masking(case) < case.arguments["mask_probability"]


def _to_vector(params: Any, tools: Framework = FRAMEWORKS["numpy"]) -> np.ndarray:
    return np.concatenate([tools.numpy(leaf).ravel() for leaf in jax.tree.leaves(params)])


def _from_vector(like: Any, vector: np.ndarray) -> Any:
    """The parameters, of the form of `like`, whose `_to_vector` is `vector`."""
    leaves, form = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = np.split(vector, ends)
    return jax.tree.unflatten(form, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def generation(given: Given) -> Model:
    """Algorithms 14 and 15: the noise belongs to the position, so that a continuation has the same."""
    case = cases.draw(given.algorithm.number, 0, 1)[0]
    a, decoder = case.arguments, given.algorithm.number == 14
    hp = replace(a["hyperparameters"], epsilon=1e-5)
    held = given.tree(a["params"])
    noise = given.rng.gumbel(size=(hp.l_max, hp.N_V))

    def generate(prompt: list[int], length: int) -> Any:
        ids = given.tools.array(np.array(prompt), given.dtype)
        if decoder:
            return given.function(ids, held, hp, length, a["temperature"], GumbelSampler(noise[len(prompt) :]))
        return given.function(ids, held, hp, a["temperature"], GumbelSampler(noise))

    prompt = [int(v) for v in a["x" if decoder else "z"]]
    return GenerationModel(**given.common, generate=generate, prompt=prompt, continues=decoder, watched=held)
