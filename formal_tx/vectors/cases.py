"""Which cases the vectors have: a few random ones, those on which implementations break, and two that fit on paper."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..crosscheck import Algorithm, draws
from ..crosscheck import cases as drawn
from ..crosscheck.draws import Case
from ..crosscheck.layout import to_paper
from ..hyperparameters import VARIATIONS
from .rounding import log
from .tree import flatten
from .vector import Vector

_SEED = 0
_BY_COLUMNS = ("X", "Z", "W_e", "W_p", "mask", "context")
_PARAMETERS = ("W_e", "W_p", "W_u", "gamma", "beta")
_PAPER = {"mask": "Mask", "epochs": "N_epochs", "length": "l_gen", "temperature": "tau", "mask_probability": "p_mask"}
_SMALL_MODEL = {"H": 2, "d_mid": 1, "d_attn": 2, "d_e": 3, "d_mlp": 2, "N_V": 5, "l_max": 4}


def vectors(algorithm: Algorithm) -> list[Vector]:
    """The cases of an algorithm: the same ones always."""
    number = algorithm.number
    cases = list(_training(number)) if algorithm.trains else drawn.draw(number, _SEED, 1)
    on_paper = drawn.small(number, _SEED)
    small = [on_paper[0], on_paper[len(on_paper) // 2]] if on_paper else []
    rng = np.random.default_rng([_SEED, number, 2])
    small = [dataclasses.replace(case, title=f"small: {case.title}") for case in small]
    return [_vector(algorithm, case, rng) for case in [*small, *cases] if not _nothing_to_see(case)]


def _nothing_to_see(case: Case) -> bool:
    """An empty context: the pseudocode has no value at all."""
    return not case.defined and any(np.size(case.arguments.get(name, 1)) == 0 for name in ("Z", "context"))


def _training(number: int) -> Iterator[Case]:
    """Two cases of a training algorithm, small, because every entry of the gradient costs two passes."""
    models: dict[int, tuple[Callable[..., dict[str, Any]], dict[str, int]]] = {
        11: (draws.ed_model, {"L_enc": 1, "L_dec": 1}),
        12: (draws.e_model, {"L": 1, "d_f": 2}),
        13: (draws.d_model, {"L": 1}),
    }
    model, layers = models[number]
    rng = np.random.default_rng([_SEED, number])
    for epochs, N_data, epsilon in ((1, 1, 1e-5), (2, 2, 0.0)):
        arguments = model(rng, epsilon, **_SMALL_MODEL | layers)
        for name, length in {"z": 3, "x": 4}.items():
            if name == "x" or number == 11:
                arguments[name] = np.stack([draws.tokens(rng, length, _SMALL_MODEL["N_V"]) for _ in range(N_data)])
        arguments |= {"epochs": epochs, "eta": 0.0625, "mask_probability": 0.375}
        title = f"N_epochs {epochs}, N_data {N_data}, epsilon {epsilon:g}"
        yield Case(title, arguments, draws.sizes_of(arguments, N_data=N_data, l=4), epsilon=epsilon)


def _vector(algorithm: Algorithm, case: Case, rng: np.random.Generator) -> Vector:
    """A case in the paper's layout, with the random numbers that it takes as data."""
    scalars: dict[str, int | float] = {}
    inputs: dict[str, np.ndarray] = {}
    parameters: dict[str, np.ndarray] = {}
    signature = inspect.signature(algorithm.paper).parameters
    for name, value in (case.arguments | {"epsilon": case.epsilon}).items():
        called = _PAPER.get(name, name)
        if name == "params":
            parameters = flatten(to_paper(value))
        elif isinstance(value, np.ndarray):
            array = value.T if name in _BY_COLUMNS else value
            (parameters if name in _PARAMETERS else inputs)[called] = np.asarray(array, order="C")
        elif called in signature:
            scalars[called] = value
    if "random" in signature:
        inputs["random"] = rng.random((int(scalars["N_epochs"]), *inputs["x"].shape))
    sizes = _sizes(case)
    if "sample" in signature:
        inputs["noise"] = _gumbel(rng, int(scalars.get("l_gen", sizes["l_max"])), sizes["N_V"])
    return Vector(case.title, scalars, inputs, parameters, sizes, case.longest, case.defined)


def _sizes(case: Case) -> dict[str, int]:
    """The hyperparameters of an architecture, special tokens included; the sizes of the axes where there is none."""
    model = case.arguments.get("hyperparameters")
    if model is None:
        return case.sizes
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    fields |= {token: getattr(model, token) for token in ("mask_token", "bos_token", "eos_token")}
    left_out = ("epsilon", "tied_embeddings", *VARIATIONS)
    return {name: value for name, value in fields.items() if name not in left_out}


def _gumbel(rng: np.random.Generator, steps: int, N_V: int) -> np.ndarray:
    """Gumbel noise (steps, N_V): argmax(log q + noise) is distributed as q."""
    return np.array([[-log(-log(u)) for u in row] for row in rng.random((steps, N_V)).tolist()])
