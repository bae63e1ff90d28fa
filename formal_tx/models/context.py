"""A decoder with another attention than its own: its loss by position on a long text, its memory, its time a token."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import masks
from ..architectures import Attend, d_layers, logits_of, self_attend
from ..hyperparameters import DTransformerHyperparameters
from ..long_context.first_and_near_decoder import sighted_attend
from ..long_context.lm_infinite import lambda_sight
from ..long_context.streaming_llm import streaming_sight
from ..parameters import DTransformerParameters
from ..validation import require_count
from .model import Model

_POSITIONS = 256
"""Of so many positions at a time the logits are made."""


@dataclass(frozen=True)
class Settings:
    """What the methods have in common.

    Attributes:
      window: how many tokens a token sees, itself included. first: how many of the text's first tokens it sees too.
    """

    window: int
    first: int

    def __post_init__(self) -> None:
        require_count("context", "window", self.window, at_least=1)
        require_count("context", "first", self.first, at_least=0)


@dataclass(frozen=True)
class Method:
    """A way to attend.

    Attributes:
      attend: (hyperparameters, parameters, settings) -> line 6's attention for a whole text.
      keeps: (length, settings) -> of how many tokens keys and values are kept, to go on after so many.
    """

    attend: Callable[[DTransformerHyperparameters, DTransformerParameters, Settings], Attend]
    keeps: Callable[[int, Settings], int]


def _dense(hp, params, settings):
    return self_attend(masks.causal, hp.attending, params.W_r)


def _window(hp, params, settings):
    return self_attend(masks.causal & masks.window(settings.window), hp.attending, params.W_r)


def _lambda(hp, params, settings):
    sight = lambda_sight(first=settings.first, window=settings.window, ceiling=settings.window)
    return sighted_attend(params, hp, sight)


def _streaming(hp, params, settings):
    return sighted_attend(params, hp, streaming_sight(sinks=settings.first, window=settings.window))


def _first_and_window(length: int, settings: Settings) -> int:
    return min(length, settings.first + settings.window)


METHODS: Mapping[str, Method] = {
    "dense": Method(_dense, lambda length, settings: length),
    "window": Method(_window, lambda length, settings: min(length, settings.window)),
    "lm_infinite": Method(_lambda, _first_and_window),
    "streaming_llm": Method(_streaming, _first_and_window),
}
"""By name: all tokens; the near ones; the first and the near ones (2308.16137, 2309.17453)."""


@dataclass(frozen=True)
class Found:
    """What was measured of a method.

    Attributes:
      losses: (ℓ - 1,) nats at each position, the mean of the texts.
      seconds: for each token of a whole text, compiled before. temporary: bytes that the whole text needs beside the
        parameters. kept: bytes of keys and values with which it goes on after the text.
    """

    losses: np.ndarray
    seconds: float
    temporary: int
    kept: int


def losses_by_position(x, params, hyperparameters, attend: Attend) -> jax.Array:
    """- log P[x[t+1]] (..., ℓ - 1) of texts `x` (..., ℓ), of any length; there never are all logits."""
    X, _ = d_layers(x, params, hyperparameters, attend)
    n = x.shape[-1] - 1
    padding = -n % _POSITIONS
    X = jnp.pad(X[..., :n, :], [*[(0, 0)] * (X.ndim - 2), (0, padding), (0, 0)])
    targets = jnp.pad(x[..., 1:], [*[(0, 0)] * (x.ndim - 1), (0, padding)])

    def loss(start):
        part = jax.lax.dynamic_slice_in_dim(X, start, _POSITIONS, axis=-2)
        target = jax.lax.dynamic_slice_in_dim(targets, start, _POSITIONS, axis=-1)
        log_P = jax.nn.log_softmax(logits_of(part, params, hyperparameters))
        return -jnp.take_along_axis(log_P, target[..., None], axis=-1)[..., 0]

    found = jnp.moveaxis(jax.lax.map(loss, jnp.arange(0, n + padding, _POSITIONS)), 0, -2)
    return found.reshape(*found.shape[:-2], -1)[..., :n]


def measure(model: Model, x: np.ndarray, name: str, settings: Settings) -> Found:
    """The losses of a decoder on texts (n, ℓ) of token ids, with the attention of a method.

    Raises:
      ValueError: the model is no decoder, there is no such method, positions go beyond the model's table of them, the
        method cannot be used with its positions, or the texts are shorter than two tokens.
    """
    hp: Any = _require(model, x, name)
    method = METHODS[name]

    def run(x, params):
        return losses_by_position(x, params, hp, method.attend(hp, params, settings)).mean(axis=0)

    # One text at a time: the memory is that of a text.
    compiled = jax.jit(run).lower(x[:1], model.params).compile()
    analysis: Any = compiled.memory_analysis()
    jax.block_until_ready(compiled(x[:1], model.params))
    start = time.perf_counter()
    found = [np.asarray(compiled(text, model.params)) for text in np.split(x, len(x))]
    seconds = (time.perf_counter() - start) / x.size
    a_token = hp.L * hp.key_value_heads * (hp.d_attn + hp.d_mid) * np.dtype(found[0].dtype).itemsize
    kept = a_token * method.keeps(x.shape[1], settings)
    return Found(np.mean(found, axis=0), seconds, analysis.temp_size_in_bytes, kept)


def _require(model: Model, x: np.ndarray, name: str) -> DTransformerHyperparameters:
    if model.architecture != "decoder":
        raise ValueError(f"context: the architecture is {model.architecture!r}, expected 'decoder'")
    if name not in METHODS:
        raise ValueError(f"context: method is {name!r}, expected one of {', '.join(METHODS)}")
    hp = model.hyperparameters
    if x.ndim != 2 or not x.shape[0] or x.shape[1] < 2:
        raise ValueError(f"context: texts have shape {x.shape}, expected (n, ℓ), n ≥ 1, ℓ ≥ 2")
    if hp.table is not None and x.shape[1] > hp.l_max:
        raise ValueError(
            f"context: texts of {x.shape[1]} tokens, and the model adds positions from a table of {hp.l_max}: there is "
            "no row for those after them"
        )
    return hp


def texts_of(model: Model, text: str, length: int | None, count: int) -> np.ndarray:
    """Token ids (n, ℓ) of a text, cut into n ≤ `count` pieces; of all of it unless a length is given.

    Raises:
      ValueError: the model has no tokenizer, or the text is too short.
    """
    if model.tokenizer is None:
        raise ValueError("context: the model has no tokenizer, and its text is given as letters")
    require_count("context", "count", count, at_least=1)
    ids = np.asarray(model.tokenizer.encode(text), np.int32)
    length = len(ids) if length is None else require_count("context", "length", length, at_least=2)
    if len(ids) < max(length, 2):
        raise ValueError(f"context: the text has {len(ids)} tokens, expected at least {max(length, 2)}")
    n = min(count, len(ids) // length)
    return ids[: n * length].reshape(n, length)


def bands(losses: np.ndarray, first: int = 64) -> list[tuple[int, int, float]]:
    """Ranges of positions, each twice as long as what is before it, and the mean loss in them: (from, to, loss)."""
    edges = [0]
    while edges[-1] < len(losses):
        edges.append(min(max(first, 2 * edges[-1]), len(losses)))
    return [(a, b, float(losses[a:b].mean())) for a, b in pairwise(edges)]


def draw(found: Mapping[str, Found], out: Any) -> None:
    """The losses by position of several methods side by side with their memory and time, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    curve, bars, times = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    for name, one in found.items():
        ranges = bands(one.losses)
        curve.plot([b for _, b, _ in ranges], [loss for *_, loss in ranges], marker="o", markersize=3, label=name)
    curve.set(xscale="log", xlabel="position", ylabel="loss (nats a token)")
    curve.legend()
    curve.grid(alpha=0.3)
    bars.bar(list(found), [one.kept / 1e6 for one in found.values()])
    bars.set(title="keys and values (MB)", yscale="log")
    times.bar(list(found), [1e3 * one.seconds for one in found.values()])
    times.set(title="milliseconds a token")
    for axes in (bars, times):
        axes.tick_params(axis="x", rotation=45)
    figure.savefig(out, dpi=150)


def compare(
    model: Model, x: np.ndarray, names: Sequence[str], settings: Settings, tell: Callable[[str], None]
) -> dict[str, Found]:
    """`measure` for several methods, in turn; `tell` hears which."""
    for name in names:
        _require(model, x, name)
    found = {}
    for name in names:
        tell(name)
        found[name] = measure(model, x, name, settings)
    return found
