"""The cases of a check: random ones, those on which implementations break, and small ones, to show a mistake with."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from . import draws
from .catalog import Algorithm, Variation
from .draws import Case

Generator = np.random.Generator


def _token_embedding(rng: Generator, cases: int) -> Iterator[Case]:
    for n in range(cases):
        yield draws.token_embedding(rng, f"random {n + 1}")
    yield draws.token_embedding(rng, "first token", v=0)
    yield draws.token_embedding(rng, "last token", v=6)


def _positional_embedding(rng: Generator, cases: int) -> Iterator[Case]:
    for n in range(cases):
        yield draws.positional_embedding(rng, f"random {n + 1}")
    yield draws.positional_embedding(rng, "first position", t=0)
    yield draws.positional_embedding(rng, "position l_max", t=6)


def _sinusoidal_positions(rng: Generator, cases: int) -> Iterator[Case]:
    for l_max, d_e in ((13, 6), (1, 2), (5, 4), (4, 8)):
        yield draws.sinusoidal_positions(l_max, d_e)
    for l_max, pairs in rng.integers(2, 20, (cases, 2)).tolist():
        yield draws.sinusoidal_positions(l_max, 2 * pairs)


def _single_query(rng: Generator, cases: int) -> Iterator[Case]:
    for n in range(cases):
        yield draws.single_query(rng, f"random {n + 1}")
    yield draws.single_query(rng, "a context of one", T=1)
    yield draws.saturated(rng, draws.single_query(rng, "ties and large scores"), "context")
    yield draws.single_query(rng, "an empty context", T=0, defined=False)


def _masks(rng: Generator, l_x: int, l_z: int) -> Iterator[tuple[str, np.ndarray, bool]]:
    some = rng.random((l_x, l_z)) < 0.5
    some[np.arange(l_x), rng.integers(l_z, size=l_x)] = True
    alone = some.copy()
    alone[l_x // 2] = False
    yield "bidirectional", np.ones((l_x, l_z), bool), True
    yield "unidirectional", np.arange(l_z)[None, :] <= np.arange(l_x)[:, None], True
    yield "a random mask", some, True
    yield "a token that may attend to nothing", alone, False


def _attention(case: Callable[..., Case]) -> Callable[[Generator, int], Iterator[Case]]:
    """The cases of attention with one head or with several."""

    def draw(rng: Generator, cases: int) -> Iterator[Case]:
        shape = case(rng, "").sizes
        for n in range(cases):
            for title, mask, defined in _masks(rng, shape["l_x"], shape["l_z"]):
                yield case(rng, f"{title}, random {n + 1}", mask, defined=defined)
        yield draws.saturated(rng, case(rng, "ties and large scores"), "Z")
        yield case(rng, "length 1", l_x=1, l_z=1)
        if "H" in shape:
            yield case(rng, "one head", H=1)
        yield case(rng, "an empty context", l_z=0, defined=False)

    return draw


def _layer_norm(rng: Generator, cases: int) -> Iterator[Case]:
    for n in range(cases):
        for epsilon in (0.0, 1e-5):
            yield draws.layer_norm(rng, f"epsilon {epsilon:g}, random {n + 1}", epsilon=epsilon)
    small = draws.exact(1e-3 * rng.standard_normal(7))
    yield draws.layer_norm(rng, "small activations, epsilon 1e-05", small, epsilon=1e-5)
    yield draws.layer_norm(rng, "no variance, epsilon 1e-05", np.zeros(7), epsilon=1e-5)
    yield draws.layer_norm(rng, "no variance", np.zeros(7), defined=False)


def _unembedding(rng: Generator, cases: int) -> Iterator[Case]:
    for n in range(cases):
        yield draws.unembedding(rng, f"random {n + 1}")
    large = draws.unembedding(rng, "ties and large logits")
    large.arguments = {"e": 32.0 * rng.integers(-2, 3, 7), "W_u": rng.integers(-2, 3, (13, 7)).astype(float)}
    yield large


def _architecture(case: Callable[..., Case], lengths: tuple[str, ...], layers: tuple[str, ...]):
    """The cases of an architecture: its sequences' lengths and its numbers of layers by name."""

    def draw(rng: Generator, cases: int) -> Iterator[Case]:
        for n in range(cases):
            yield case(rng, f"random {n + 1}")
        yield case(rng, "epsilon 1e-05", epsilon=1e-5)
        yield case(rng, "length 1, one head, one layer", H=1, **dict.fromkeys(lengths + layers, 1))
        yield case(rng, "length l_max, tied embeddings", tied=True, **dict.fromkeys(lengths, draws.WIDTHS["l_max"]))

    return draw


def _training(model: Callable[..., dict[str, Any]], *names: str, **small: int) -> Callable[..., Iterator[Case]]:
    """The cases of a training algorithm whose data are the sequences `names`: two of them, for two epochs."""

    def draw(rng: Generator, cases: int) -> Iterator[Case]:
        del cases  # a gradient by differences is slow: two cases, whatever is asked for
        for epochs, N_data, epsilon in ((2, 2, 0.0), (1, 1, 1e-5)):
            arguments = model(rng, epsilon, **draws.NARROW | small)
            N_V = arguments["hyperparameters"].N_V
            lengths = {"x": 4, "z": 3}
            arguments |= {
                name: np.stack([draws.tokens(rng, lengths[name], N_V) for _ in range(N_data)]) for name in names
            }
            arguments |= {"epochs": epochs, "eta": 0.0625, "mask_probability": 0.375, "seed": int(rng.integers(2**31))}
            sizes = draws.sizes_of(arguments, N_data=N_data, l=4)
            yield Case(f"epochs {epochs}, sequences {N_data}, epsilon {epsilon:g}", arguments, sizes, epsilon=epsilon)

    return draw


def _inference(model: Callable[..., dict[str, Any]], name: str) -> Callable[..., Iterator[Case]]:
    """The cases of an inference algorithm that starts from the sequence `name`."""

    def draw(rng: Generator, cases: int) -> Iterator[Case]:
        for n in range(4 * cases):
            arguments = model(rng, **draws.NARROW | {"l_max": 13})
            temperature = (0.5, 1.0, 2.0)[n % 3]
            arguments[name] = draws.tokens(rng, 3, arguments["hyperparameters"].N_V)
            arguments |= {"temperature": temperature, "seed": int(rng.integers(2**31))}
            if name == "x":
                arguments["length"] = 7
            yield Case(f"random {n + 1}, temperature {temperature:g}", arguments, draws.sizes_of(arguments, l=3))

    return draw


_CASES: dict[int, Callable[[Generator, int], Iterator[Case]]] = {
    0: _sinusoidal_positions,
    1: _token_embedding,
    2: _positional_embedding,
    3: _single_query,
    4: _attention(draws.attention),
    5: _attention(draws.mh_attention),
    6: _layer_norm,
    7: _unembedding,
    8: _architecture(draws.ed_transformer, ("l_z", "l_x"), ("L_enc", "L_dec")),
    9: _architecture(draws.e_transformer, ("l",), ("L",)),
    10: _architecture(draws.d_transformer, ("l",), ("L",)),
    11: _training(draws.ed_model, "z", "x", L_enc=1, L_dec=1),
    12: _training(draws.e_model, "x", L=1, d_f=3),
    13: _training(draws.d_model, "x", L=2),
    14: _inference(draws.d_model, "x"),
    15: _inference(draws.ed_model, "z"),
}


def draw(number: int, seed: int, cases: int) -> list[Case]:
    """The cases of algorithm `number`: the same for the same seed, whatever else is checked."""
    return list(_CASES[number](np.random.default_rng([seed, number]), cases))


def of(algorithm: Algorithm, seed: int, cases: int) -> list[Case]:
    """The cases of an algorithm, or of a variation, which draws its own."""
    if isinstance(algorithm, Variation):
        return list(algorithm.draw(np.random.default_rng([seed, *algorithm.name.encode()]), cases))
    return draw(algorithm.number, seed, cases)


_TINY = {"H": 1, "d_mid": 2, "d_attn": 2, "d_e": 2, "d_mlp": 2, "N_V": 4, "l_max": 3}
_SMALL: dict[int, tuple[Callable[..., Case], list[dict[str, Any]]]] = {
    1: (draws.token_embedding, [{"N_V": 2, "d_e": 1}, {"N_V": 3, "d_e": 2}]),
    2: (draws.positional_embedding, [{"l_max": 2, "d_e": 1}, {"l_max": 3, "d_e": 2}]),
    3: (draws.single_query, [{"T": T, "d_in": d, "d_attn": d, "d_out": d} for d in (1, 2) for T in (1, 2, 3)]),
    4: (
        draws.attention,
        [
            {"l_x": l, "l_z": l, "d_x": d, "d_z": d, "d_attn": d, "d_out": d, "mask": np.tri(l, dtype=bool) | full}
            for d in (1, 2)
            for l in (1, 2, 3)
            for full in (True, False)
        ],
    ),
    5: (
        draws.mh_attention,
        [
            {"l_x": l, "l_z": l, "H": H, "mask": np.tri(l, dtype=bool) | full}
            | dict.fromkeys(("d_x", "d_z", "d_attn", "d_mid", "d_out"), d)
            for d in (1, 2)
            for H in (1, 2)
            for l in (1, 2, 3)
            for full in (True, False)
        ],
    ),
    6: (draws.layer_norm, [{"d_e": d, "epsilon": epsilon} for d in (2, 3, 4) for epsilon in (0.0, 1e-5)]),
    7: (draws.unembedding, [{"N_V": 2, "d_e": 1}, {"N_V": 3, "d_e": 2}]),
    8: (
        draws.ed_transformer,
        [_TINY | {"L_enc": L, "L_dec": L, "l_z": l, "l_x": l} for L in (1, 2) for l in (1, 2, 3)],
    ),
    9: (draws.e_transformer, [_TINY | {"L": L, "d_f": 3, "l": l} for L in (1, 2) for l in (1, 2, 3)]),
    10: (draws.d_transformer, [_TINY | {"L": L, "l": l} for L in (1, 2) for l in (1, 2, 3)]),
}


def small(number: int, seed: int) -> list[Case]:
    """Small cases of algorithm `number`, the smallest first: what fits on a sheet of paper. None for 11 to 15."""
    if number not in _SMALL:
        return []
    case, sizes = _SMALL[number]
    rng = np.random.default_rng([seed, number, 1])
    found = [case(rng, ", ".join(f"{k} {v}" for k, v in s.items() if isinstance(v, int | float)), **s) for s in sizes]
    return sorted(found, key=lambda c: sum(np.size(leaf) for leaf in jax.tree.leaves(c.arguments)))
