"""Telling cases: inputs on which mistakes that can be told apart are told apart, small enough for milliseconds.

The first case of an algorithm has every dimension different, so that what is transposed cannot run; the second has them
equal, so that it does. Then come cases in which a part is neutral: biases are 0, positions are 0, attention answers
nothing. Where two mistakes were made at once, a neutral case shows one of them alone.
"""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np

from . import draws
from .catalog import Algorithm, Variation
from .draws import Case

Arguments = dict[str, Any]
ONE_UPDATE = "one update"
"""The title of the cases of a training algorithm in which a part of the gradient tells as much as all of it."""

HUGE = 2.0**34
"""What scores are multiplied by so that no finite score is -∞ beside them."""

EPSILON = 2.0**-5  # large, so that where it is put can be seen in any precision
_ONE_LAYER: dict[str, int] = {"L": 1}
_ONE_OF_EACH: dict[str, int] = {"L_enc": 1, "L_dec": 1}


@cache
def telling(number: int) -> tuple[Case, ...]:
    """The telling cases of algorithm `number`, the most telling ones first."""
    rng = np.random.default_rng([5, number])
    return tuple(_CASES[number](rng))


def telling_of(algorithm: Algorithm) -> tuple[Case, ...]:
    """The telling cases of an algorithm; of a variation, which knows none, two random ones and its hard ones."""
    if isinstance(algorithm, Variation):
        return tuple(algorithm.draw(np.random.default_rng([5, *algorithm.name.encode()]), 2))
    return telling(algorithm.number)


def neutral_of(algorithm: Algorithm) -> tuple[Case, ...]:
    """The cases in which a part of an algorithm is neutral; none of a variation."""
    return () if isinstance(algorithm, Variation) else neutral(algorithm.number)


@cache
def neutral(number: int) -> tuple[Case, ...]:
    """Cases in which a part of algorithm `number` is neutral, so that mistakes in it do not show."""
    if number == 6:
        whole = telling(6)[0]
        return (
            _changed(whole, "γ is 1, β is 0", gamma=np.ones(5), beta=np.zeros(5)),
            _changed(whole, "β is 0", beta=np.zeros(5)),
            _changed(whole, "epsilon is 0", epsilon=0.0),
            _changed(whole, "mean 0", e=whole.arguments["e"] - whole.arguments["e"].mean()),
        )
    if number in (0, 1, 2, 7, 11, 12, 13):  # of one part; and in training, where a gradient for each would take long
        return ()
    first = telling(number)[0]
    cases = [_with(first, title, change) for title, change in _NEUTRAL.items()]
    if number in (4, 5):
        cases.append(_changed(first, "nothing is masked", mask=np.ones_like(first.arguments["mask"])))
    return tuple(case for case in cases if not _same(case, first))


def _changed(case: Case, title: str, **arguments: Any) -> Case:
    epsilon = arguments.get("epsilon", case.epsilon)
    return dataclasses.replace(case, title=title, arguments=case.arguments | arguments, epsilon=epsilon)


def _with(case: Case, title: str, change: Callable[[str, np.ndarray], np.ndarray]) -> Case:
    """The case with parameters changed by their names."""

    def leaf(path: tuple, W: np.ndarray) -> np.ndarray:
        return change(jax.tree_util.keystr(path, simple=True, separator="."), W)

    return _changed(case, title, params=jax.tree_util.tree_map_with_path(leaf, case.arguments["params"]))


def _same(one: Case, other: Case) -> bool:
    parts = (jax.tree.leaves(case.arguments.get("params")) for case in (one, other))
    masks = [case.arguments.get("mask") for case in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*parts, strict=True)) and masks[0] is masks[1]


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _zero(*names: str) -> Callable[[str, np.ndarray], np.ndarray]:
    return lambda path, W: 0 * W if _last(path) in names else W


_MLP_ANSWER = ("W_mlp2", "b_mlp2", "W_mlp4", "b_mlp4")
_NEUTRAL: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {
    "biases are 0": lambda path, W: 0 * W if _last(path).startswith("b_") else W,
    "γ is 1, β is 0": lambda path, W: (
        1 + 0 * W if _last(path).startswith("gamma") else 0 * W if _last(path).startswith("beta") else W
    ),
    "attention answers nothing": _zero("W_o", "b_o"),
    "the feed-forward networks answer nothing": _zero(*_MLP_ANSWER),
    "no sublayer answers": _zero("W_o", "b_o", *_MLP_ANSWER),
    "positions are 0": _zero("W_p"),
    "queries are 0": _zero("W_q", "b_q"),
    "values are 0": _zero("W_v", "b_v"),
}


def _mask(rng: np.random.Generator, l_x: int, l_z: int) -> np.ndarray:
    mask = rng.random((l_x, l_z)) < 0.5
    mask[np.arange(l_x), rng.integers(l_z, size=l_x)] = True
    return mask


def _token_embedding(rng):
    yield draws.token_embedding(rng, "a token in the middle", v=3)
    yield draws.token_embedding(rng, "as many tokens as features", v=2, N_V=5)


def _positional_embedding(rng):
    yield draws.positional_embedding(rng, "a position in the middle", t=3)
    yield draws.positional_embedding(rng, "as many positions as features", t=2, l_max=5)


def _sinusoidal_positions(rng):
    for l_max, d_e in ((7, 4), (4, 4), (5, 6), (5, 2)):
        yield draws.sinusoidal_positions(l_max, d_e)


def _single_query(rng):
    yield draws.single_query(rng, "all dimensions different")
    yield draws.single_query(rng, "all dimensions equal", T=5, d_in=5, d_attn=5, d_out=5)
    yield draws.saturated(rng, draws.single_query(rng, "large scores"), "context")


def _attention(case: Callable[..., Case], **square: int):
    def cases(rng):
        shape = case(rng, "").sizes
        l_x, l_z = shape["l_x"], shape["l_z"]
        yield case(rng, "all dimensions different, a random mask", _mask(rng, l_x, l_z))
        yield case(rng, "all dimensions equal, a random mask", _mask(rng, 6, 6), **square)
        yield case(rng, "all dimensions equal, unidirectional", np.tri(6, dtype=bool), **square)
        alone = _mask(rng, l_x, l_z)
        alone[: l_x // 2] = np.arange(l_z) == rng.integers(l_z, size=(l_x // 2, 1))  # the only key may have a low score
        yield draws.saturated(rng, case(rng, "scores of 1e11, a random mask", alone), "Z", HUGE)

    return cases


def _layer_norm(rng):
    yield draws.layer_norm(rng, f"epsilon {EPSILON:g}", d_e=5, epsilon=EPSILON)
    yield draws.layer_norm(rng, "epsilon 0", d_e=5, epsilon=0.0)
    yield draws.layer_norm(rng, "epsilon 1e-05", d_e=5, epsilon=1e-5)
    small = draws.exact(1e-3 * rng.standard_normal(5))
    yield draws.layer_norm(rng, "small activations, epsilon 1e-05", small, d_e=5, epsilon=1e-5)


def _unembedding(rng):
    yield draws.unembedding(rng, "all dimensions different", N_V=7, d_e=5)
    yield draws.unembedding(rng, "as many tokens as features", N_V=5, d_e=5)
    large = draws.unembedding(rng, "logits of thousands", N_V=7, d_e=5)
    yield _changed(large, large.title, e=1024 * np.array([1.0, -2.0, 0.0, 2.0, -1.0]))


_DIFFERENT: dict[str, int] = {"H": 2, "d_mid": 2, "d_attn": 3, "d_e": 5, "d_mlp": 6, "N_V": 11, "l_max": 9}
_EQUAL: dict[str, int] = {"H": 3, "d_mid": 2, "d_attn": 6, "d_e": 6, "d_mlp": 6, "N_V": 6, "l_max": 6}


def _architecture(model: Callable[..., Arguments], lengths: dict[str, int], layers: dict[str, int], **extra: int):
    equal = extra | ({"d_f": 6} if "d_f" in extra else {})

    def cases(rng):
        for title, sizes, epsilon in (
            (f"all dimensions different, epsilon {EPSILON:g}", _DIFFERENT | layers | extra, EPSILON),
            ("all dimensions equal, epsilon 0", _EQUAL | layers | equal, 0.0),
            ("equal lengths, values as wide as keys, epsilon 1e-05", _DIFFERENT | {"d_mid": 3} | layers | extra, 1e-5),
        ):
            arguments = model(rng, epsilon, **sizes)
            hp = arguments["hyperparameters"]
            ids = {name: 1 + rng.permutation(hp.N_V - 2)[:length] for name, length in lengths.items()}
            if "z" in ids:  # both sequences together have no more tokens than there are positions
                ids["z"] = ids["z"][: len(ids["x"]) if hp.d_mid == hp.d_attn else hp.l_max - len(ids["x"])]
            arguments |= ids
            sizes = draws.sizes_of(arguments, **{f"l_{name}": len(x) for name, x in ids.items()})
            case = Case(title, arguments, sizes, True, epsilon)
            yield case
        large = _with(case, "scores of 1e11", lambda path, W: W * HUGE if _last(path) in ("W_q", "b_q") else W)
        yield dataclasses.replace(large, needs="float64")

    return cases


_SMALLEST: dict[str, int] = {"H": 2, "d_mid": 2, "d_attn": 3, "d_e": 4, "d_mlp": 5, "N_V": 7, "l_max": 6}


def _training(model: Callable[..., Arguments], lengths: dict[str, int], layers: dict[str, int], **extra: int):
    def cases(rng):
        for title, N_data, epochs, epsilon in ((ONE_UPDATE, 1, 1, EPSILON), ("four updates", 2, 2, 0.0)):
            arguments = model(rng, epsilon, **_SMALLEST | layers | extra)
            for name, length in lengths.items():
                arguments[name] = np.array([1 + rng.permutation(5)[:length] for _ in range(N_data)])
            arguments |= {"epochs": epochs, "eta": 0.0625, "mask_probability": 0.5, "seed": 0}
            case = Case(title, arguments, draws.sizes_of(arguments, N_data=N_data, l=4), True, epsilon)
            yield case
            if title == ONE_UPDATE:  # once more, to look at more of the gradient
                yield _changed(case, ONE_UPDATE)

    return cases


def _inference(model: Callable[..., Arguments], name: str, layers: dict[str, int]):
    def cases(rng):
        arguments = model(rng, EPSILON, **_SMALLEST | layers | {"l_max": 7})
        arguments[name] = 1 + rng.permutation(5)[:3]  # different tokens: a sequence that is its own reverse tells less
        for seed, temperature in ((0, 0.5), (1, 2.0), (10, 1.5), (3, 0.75)):  # some meet eos_token
            each = arguments | {"seed": seed, "temperature": temperature} | ({"length": 5} if name == "x" else {})
            sizes = draws.sizes_of(each, l=3)
            yield Case(f"temperature {temperature:g}, seed {seed}", each, sizes, True, EPSILON)

    return cases


_HEAD: dict[str, int] = dict.fromkeys(("l_x", "l_z", "d_x", "d_z", "d_attn", "d_out"), 6)
_TWO: dict[str, int] = {"L_enc": 2, "L_dec": 2}
_CASES: dict[int, Callable] = {
    0: _sinusoidal_positions,
    1: _token_embedding,
    2: _positional_embedding,
    3: _single_query,
    4: _attention(draws.attention, **_HEAD),
    5: _attention(draws.mh_attention, **_HEAD | {"H": 3, "d_mid": 2}),
    6: _layer_norm,
    7: _unembedding,
    8: _architecture(draws.ed_model, {"z": 5, "x": 4}, _TWO),
    9: _architecture(draws.e_model, {"x": 4}, {"L": 2}, d_f=13),
    10: _architecture(draws.d_model, {"x": 4}, {"L": 3}),
    11: _training(draws.ed_model, {"z": 3, "x": 4}, _ONE_OF_EACH),
    12: _training(draws.e_model, {"x": 4}, _ONE_LAYER, d_f=4),
    13: _training(draws.d_model, {"x": 4}, _ONE_LAYER),
    14: _inference(draws.d_model, "x", {"L": 2}),
    15: _inference(draws.ed_model, "z", _TWO),
}
