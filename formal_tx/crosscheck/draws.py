"""One random input of each algorithm, by the sizes of its axes.

By default every dimension is a different prime, so that a transposed or broadcast axis cannot pass by luck. All numbers
are exact in float32, so that both editions, in any dtype, see the same ones. Biases, γ and β are never trivial.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from ..initialization import (
    init_attention,
    init_d_transformer,
    init_e_transformer,
    init_ed_transformer,
    init_mh_attention,
)
from ..parameters import AttentionParameters, MHAttentionParameters


@dataclass
class Case:
    """One input of one algorithm.

    Attributes:
      title: what is special about it.
      arguments: by the names of the algorithm's signature; arrays are float64 NumPy, rows are tokens.
      sizes: the size of each axis.
      defined: whether the paper defines the result; if not, both editions must refuse or give nan.
      epsilon: what layer norm adds to the variance, in both editions.
      needs: the least precise type whose bits are enough for its scores, of which some are large.
    """

    title: str
    arguments: dict[str, Any]
    sizes: dict[str, int]
    defined: bool = True
    epsilon: float = 0.0
    needs: str = "bfloat16"

    @property
    def longest(self) -> int:
        """The longest sum that a line of this case can contain."""
        s = self.sizes
        widths = [size for axis, size in s.items() if axis not in ("N_V", "l_max", "N_data")]
        return max([*widths, s.get("H", 1) * s.get("d_mid", 1)])


class GumbelSampler:
    """Draws tokens with given random numbers: the n-th call is argmax(log q + noise[n]), distributed as q.

    Attributes:
      drawn_from: every q that it was asked to draw from.
    """

    def __init__(self, noise: np.ndarray):
        self.noise = noise
        self.drawn_from: list[np.ndarray] = []

    def __call__(self, q: Any) -> int:
        q = np.array(q, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            y = int(np.argmax(np.log(q) + self.noise[len(self.drawn_from)]))
        self.drawn_from.append(q)
        return y


def fill(rng: np.random.Generator, tree: Any) -> Any:
    """Random numbers in the place of every shape: W like N(0, 1/d_in), vectors like N(0, 1/4), γ near 1."""

    def draw(path, shape):
        name = jax.tree_util.keystr(path[-1:], simple=True)
        if name.startswith("gamma"):
            values = 1 + 0.25 * rng.standard_normal(shape.shape)
        elif name.startswith(("W_q", "W_k", "W_v", "W_o", "W_m", "W_f")):
            values = rng.standard_normal(shape.shape) * 1.5 / shape.shape[-1] ** 0.5
        elif name in ("W_e", "W_p", "W_u"):
            values = rng.standard_normal(shape.shape)
        else:
            values = 0.5 * rng.standard_normal(shape.shape)
        return exact(values)

    return jax.tree_util.tree_map_with_path(draw, tree)


def exact(values: np.ndarray) -> np.ndarray:
    """The nearest numbers that float32 holds exactly."""
    return np.asarray(values, np.float32).astype(np.float64)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return exact(rng.standard_normal(shape))


def shapes_of(init: Callable, *args: Any, **kwargs: Any) -> Any:
    return jax.eval_shape(lambda key: init(key, *args, **kwargs), jax.random.key(0))


def head(rng: np.random.Generator, d_x: int, d_z: int, d_attn: int, d_out: int) -> AttentionParameters:
    return fill(rng, shapes_of(init_attention, d_x=d_x, d_z=d_z, d_attn=d_attn, d_out=d_out))


def token_embedding(rng: np.random.Generator, title: str, v: int | None = None, N_V: int = 7, d_e: int = 5) -> Case:
    v = int(rng.integers(N_V)) if v is None else v
    return Case(title, {"v": v, "W_e": normal(rng, N_V, d_e)}, {"N_V": N_V, "d_e": d_e})


def positional_embedding(
    rng: np.random.Generator, title: str, t: int | None = None, l_max: int = 7, d_e: int = 5
) -> Case:
    t = int(rng.integers(l_max)) if t is None else t
    return Case(title, {"t": t, "W_p": normal(rng, l_max, d_e)}, {"l_max": l_max, "d_e": d_e})


def sinusoidal_positions(l_max: int, d_e: int) -> Case:
    return Case(f"l_max {l_max}, d_e {d_e}", {"l_max": l_max, "d_e": d_e}, {"l_max": l_max, "d_e": d_e})


def single_query(
    rng: np.random.Generator, title: str, T: int = 11, d_in: int = 5, d_attn: int = 3, d_out: int = 7, **options: Any
) -> Case:
    arguments: dict[str, Any] = {"e": normal(rng, d_in), "context": normal(rng, T, d_in)}
    arguments["params"] = head(rng, d_in, d_in, d_attn, d_out)
    return Case(title, arguments, {"d_in": d_in, "d_attn": d_attn, "d_out": d_out, "T": T}, **options)


def attention(
    rng: np.random.Generator,
    title: str,
    mask: np.ndarray | None = None,
    l_x: int = 11,
    l_z: int = 13,
    d_x: int = 5,
    d_z: int = 7,
    d_attn: int = 3,
    d_out: int = 2,
    **options: Any,
) -> Case:
    sizes = {"d_x": d_x, "d_z": d_z, "d_attn": d_attn, "d_out": d_out, "l_x": l_x, "l_z": l_z}
    arguments = {"X": normal(rng, l_x, d_x), "Z": normal(rng, l_z, d_z), "params": head(rng, d_x, d_z, d_attn, d_out)}
    arguments["mask"] = np.ones((l_x, l_z), bool) if mask is None else mask
    return Case(title, arguments, sizes, **options)


def mh_attention(
    rng: np.random.Generator,
    title: str,
    mask: np.ndarray | None = None,
    l_x: int = 17,
    l_z: int = 19,
    d_x: int = 7,
    d_z: int = 11,
    d_attn: int = 5,
    d_mid: int = 3,
    d_out: int = 13,
    H: int = 2,
    **options: Any,
) -> Case:
    axes = {"d_x": d_x, "d_z": d_z, "d_attn": d_attn, "d_mid": d_mid, "d_out": d_out, "H": H}
    arguments = {"X": normal(rng, l_x, d_x), "Z": normal(rng, l_z, d_z)}
    arguments["params"] = fill(rng, shapes_of(init_mh_attention, **axes))
    arguments["mask"] = np.ones((l_x, l_z), bool) if mask is None else mask
    return Case(title, arguments, axes | {"l_x": l_x, "l_z": l_z}, **options)


def saturated(rng: np.random.Generator, case: Case, context: str, scale: float = 64) -> Case:
    """Scores that are large integers, some of them equal: exp overflows unless the largest is taken off first.

    Integers, because a score of 1000 with a rounding error has weights that no float32 program can get right.
    """
    a = case.arguments
    for name in sorted({"e", "X"} & a.keys() | {context}):
        a[name] = rng.integers(-2, 3, a[name].shape).astype(float)
    a[context][-1] = a[context][0]
    p = a["params"]
    several = isinstance(p, MHAttentionParameters)
    heads = p.heads if several else p

    def integers(W, scale):
        return scale * rng.integers(-2, 3, W.shape).astype(float)

    heads = dataclasses.replace(
        heads,
        W_q=integers(heads.W_q, scale),
        W_k=integers(heads.W_k, 2),
        b_q=integers(heads.b_q, scale),
        b_k=integers(heads.b_k, 2),
    )
    a["params"] = dataclasses.replace(p, heads=heads) if several else heads
    case.needs = "float32"
    return case


def layer_norm(
    rng: np.random.Generator,
    title: str,
    e: np.ndarray | None = None,
    epsilon: float = 0.0,
    d_e: int = 7,
    **options: Any,
) -> Case:
    arguments: dict[str, Any] = {
        "e": normal(rng, d_e) if e is None else e,
        "gamma": exact(1 + 0.25 * rng.standard_normal(d_e)),
    }
    arguments |= {"beta": normal(rng, d_e), "epsilon": epsilon}
    return Case(title, arguments, {"d_e": d_e}, epsilon=epsilon, **options)


def unembedding(rng: np.random.Generator, title: str, N_V: int = 13, d_e: int = 7) -> Case:
    return Case(title, {"e": normal(rng, d_e), "W_u": normal(rng, N_V, d_e)}, {"N_V": N_V, "d_e": d_e})


WIDTHS: dict[str, int] = {"H": 2, "d_mid": 5, "d_attn": 7, "d_e": 11, "d_mlp": 13, "N_V": 17, "l_max": 23}
NARROW: dict[str, int] = {"H": 2, "d_mid": 2, "d_attn": 3, "d_e": 5, "d_mlp": 3, "N_V": 7, "l_max": 5}


def d_model(rng: np.random.Generator, epsilon: float = 0.0, tied: bool = False, **changes: int) -> dict[str, Any]:
    axes: dict[str, Any] = WIDTHS | {"L": 3} | changes
    hp = DTransformerHyperparameters(**axes, epsilon=epsilon, tied_embeddings=tied)
    return {"params": fill(rng, shapes_of(init_d_transformer, hp)), "hyperparameters": hp}


def e_model(rng: np.random.Generator, epsilon: float = 0.0, tied: bool = False, **changes: int) -> dict[str, Any]:
    axes: dict[str, Any] = WIDTHS | {"L": 3, "d_f": 11 if tied else 19} | changes
    hp = ETransformerHyperparameters(**axes, epsilon=epsilon, tied_embeddings=tied)
    return {"params": fill(rng, shapes_of(init_e_transformer, hp)), "hyperparameters": hp}


def ed_model(rng: np.random.Generator, epsilon: float = 0.0, tied: bool = False, **changes: int) -> dict[str, Any]:
    axes: dict[str, Any] = WIDTHS | {"L_enc": 3, "L_dec": 2} | changes
    hp = EDTransformerHyperparameters(**axes, epsilon=epsilon, tied_embeddings=tied)
    return {"params": fill(rng, shapes_of(init_ed_transformer, hp)), "hyperparameters": hp}


def sizes_of(arguments: dict[str, Any], **lengths: int) -> dict[str, int]:
    hp = arguments["hyperparameters"]
    axes = ("H", "d_attn", "d_mid", "d_e", "d_mlp", "N_V", "l_max", "d_f")
    return {axis: getattr(hp, axis) for axis in axes if hasattr(hp, axis)} | lengths


def tokens(rng: np.random.Generator, length: int, N_V: int) -> np.ndarray:
    return rng.integers(N_V, size=length)


def d_transformer(rng: np.random.Generator, title: str, l: int = 19, **options: Any) -> Case:
    return _of_one_sequence(rng, title, l, d_model(rng, **options), options)


def e_transformer(rng: np.random.Generator, title: str, l: int = 19, **options: Any) -> Case:
    return _of_one_sequence(rng, title, l, e_model(rng, **options), options)


def _of_one_sequence(rng, title: str, l: int, arguments: dict[str, Any], options: dict[str, Any]) -> Case:
    arguments["x"] = tokens(rng, l, arguments["hyperparameters"].N_V)
    return Case(title, arguments, sizes_of(arguments, l=l), epsilon=options.get("epsilon", 0.0))


def ed_transformer(rng: np.random.Generator, title: str, l_z: int = 19, l_x: int = 17, **options: Any) -> Case:
    arguments = ed_model(rng, **options)
    N_V = arguments["hyperparameters"].N_V
    arguments |= {"z": tokens(rng, l_z, N_V), "x": tokens(rng, l_x, N_V)}
    return Case(title, arguments, sizes_of(arguments, l_z=l_z, l_x=l_x), epsilon=options.get("epsilon", 0.0))
