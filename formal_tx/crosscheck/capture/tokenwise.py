"""The lines that take one token at a time, and are no product alone: embedding, layer norm, residual, MLP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ...activations import gelu, relu
from ...embedding import embed, rows
from ...linear import affine, aligned
from ...normalization import layer_norm
from .lines import Alternative, Context, Line, with_another_bias

ACTIVATIONS: dict[str, tuple[str, Callable[[jax.Array], jax.Array]]] = {
    "activation-tanh": (
        "GELU is the approximation by tanh instead of the exact form",
        lambda x: jax.nn.gelu(x, approximate=True),
    ),
    "activation-sigmoid": (
        "GELU is the approximation x σ(1.702 x) instead of the exact form",
        lambda x: x * jax.nn.sigmoid(1.702 * x),
    ),
    "activation-relu": ("the activation is ReLU instead of GELU", relu),
    "activation-silu": ("the activation is SiLU instead of GELU", jax.nn.silu),
    "activation-saturates": ("the activation is tanh instead of GELU", jnp.tanh),
    "activation-missing": ("there is no activation", lambda x: x),
}
_OFFSETS = (1, 2, 3)
_EPSILONS = (0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-3)
_POSITIONS_FOR_FIT = 4  # two numbers a feature are fitted: with fewer positions nearly anything would fit

_norm = jax.jit(layer_norm)  # traced, it does not refuse the nan of somebody else


@dataclass(frozen=True)
class Embedding(Line):
    """Line 2: the embeddings of token and position."""

    def value(self, c: Context) -> jax.Array:
        return embed(c.x, c.W.W_e, c.W.W_p)

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        tokens, t = rows(c.W.W_e, c.x), jnp.arange(len(c.x))
        for offset in _OFFSETS:
            title = f"the first position is {offset}, not 0"
            yield Alternative("positions-shifted", title, tokens + rows(c.W.W_p, t + offset))
        yield Alternative("position-missing", "the positional embedding is missing", tokens)
        root = tokens.shape[-1] ** 0.5
        scaled = root * tokens + rows(c.W.W_p, t)
        yield Alternative("embedding-scaled", "the token's embedding is multiplied by √d_e", scaled)
        title = "the same vector is added at every position, as the embedding of a token type is"
        yield from with_another_bias(self.value(c), theirs, title, "embedding-added")


@dataclass(frozen=True)
class Embedded(Line):
    """Line 3: the first layer is given line 2."""

    def value(self, c: Context) -> jax.Array:
        return c.before["2.e"]

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        e = c.before["2.e"]
        root = e.shape[-1] ** 0.5
        yield Alternative("embedding-sum-scaled", "the embedding is multiplied by √d_e", root * e)
        title = "the embedding goes through a layer norm with a γ and a β, which the paper does not have"
        yield from _refitted(e, c.epsilon, theirs, "norm-of-embedding", title)


@dataclass(frozen=True)
class Norm(Line):
    """Layer norm of a line, with parameters of these names."""

    of: str
    gamma: str
    beta: str

    def value(self, c: Context) -> jax.Array:
        return _norm(c.before[self.of], getattr(c.W, self.gamma), getattr(c.W, self.beta), epsilon=c.epsilon)

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        e, gamma, beta = (c.before[self.of], *(getattr(c.W, name) for name in (self.gamma, self.beta)))
        other = _epsilon_of(e, aligned(gamma, e), aligned(beta, e), theirs)
        title = f"epsilon is {other:.2g}, not {c.epsilon:.2g}"
        yield Alternative("norm-epsilon-other", title, _norm(e, gamma, beta, epsilon=other))
        without = _norm(e, jnp.ones_like(gamma), beta, epsilon=c.epsilon)
        yield Alternative("norm-gamma-forgotten", f"{self.gamma} is forgotten", without)
        yield Alternative("norm-beta-forgotten", f"{self.beta} is forgotten", _norm(e, gamma, epsilon=c.epsilon))
        yield Alternative("norm-missing", "the layer norm is missing", e)
        for mistake, title, normalised in _normalised(e, c.epsilon):
            yield Alternative(mistake, title, normalised * aligned(gamma, e) + aligned(beta, e))
        title = f"{self.gamma} and {self.beta} have other values"
        yield from _refitted(e, c.epsilon, theirs, "norm-parameters-other", title)


def _epsilon_of(e: jax.Array, gamma: jax.Array, beta: jax.Array, theirs: jax.Array) -> float:
    """The ε with which layer norm would have given `theirs`, as the position says that is the most sensitive to it."""
    centred = e - e.mean(axis=-1, keepdims=True)
    scaled = centred * gamma
    v = jnp.mean(centred**2, axis=-1)
    root = jnp.sum(scaled**2, axis=-1) / jnp.sum((theirs - beta) * scaled, axis=-1)
    at = jnp.argmin(v)
    epsilon = float((root**2 - v)[at])
    usual = min(_EPSILONS, key=lambda number: abs(number - epsilon))
    roundoff = 1000 * float(jnp.finfo(v.dtype).eps * v[at])
    if abs(usual - epsilon) <= 0.05 * usual + roundoff:
        return usual
    return epsilon if 0 <= epsilon < jnp.inf else 0.0


def _normalised(e: jax.Array, epsilon: float) -> Iterator[tuple[str, str, jax.Array]]:
    """The usual other ways to normalise, before γ and β."""
    centred = e - e.mean(axis=-1, keepdims=True)
    v = jnp.mean(centred**2, axis=-1, keepdims=True)
    outside = centred / (jnp.sqrt(v) + epsilon)
    yield "norm-epsilon-outside", "epsilon is added to the standard deviation, outside the root", outside
    d = e.shape[-1]
    unbiased = centred / jnp.sqrt(v * d / (d - 1) + epsilon)
    yield "norm-variance-unbiased", "the variance is divided by d_e - 1 instead of d_e", unbiased
    rms = e / jnp.sqrt(jnp.mean(e**2, axis=-1, keepdims=True) + epsilon)
    yield "norm-rms", "the root mean square divides and nothing is centred: RMSNorm instead of layer norm", rms


def _refitted(e: jax.Array, epsilon: float, theirs: jax.Array, mistake: str, title: str) -> Iterator[Alternative]:
    """Layer norm of `e` with the γ and β that come closest to `theirs`, feature by feature."""
    if e.shape[-2] < _POSITIONS_FOR_FIT:
        return
    ones = jnp.ones(e.shape[-1], e.dtype)
    normalised = _norm(e, ones, epsilon=epsilon)
    n = normalised - normalised.mean(axis=-2, keepdims=True)
    gamma = jnp.sum(n * theirs, axis=-2, keepdims=True) / jnp.sum(n**2, axis=-2, keepdims=True)
    beta = jnp.mean(theirs - gamma * normalised, axis=-2, keepdims=True)
    yield Alternative(mistake, title, gamma * normalised + beta, fitted=True)


@dataclass(frozen=True)
class Residual(Line):
    """The attention's answer is added to what the layer was given, from which it is made by way of the line `of`."""

    of: str

    def value(self, c: Context) -> jax.Array:
        return c.before["X"] + c.before["mh_attention/4.V_tilde"]

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        del theirs
        yield from _residuals(c.before["X"], c.before[self.of], c.before["mh_attention/4.V_tilde"])


def _residuals(X: jax.Array, X_tilde: jax.Array, answer: jax.Array) -> Iterator[Alternative]:
    title = "the residual is missing: the sublayer's answer replaces its input"
    yield Alternative("residual-missing", title, answer)
    yield Alternative("residual-doubled", "the residual is added twice", X + X + answer)
    title = "the residual adds the normalised activations instead of those that are not normalised"
    yield Alternative("residual-of-normalised", title, X_tilde + answer)


@dataclass(frozen=True)
class MLP(Line):
    """The MLP of the line `of`, added to line 6."""

    of: str

    def value(self, c: Context) -> jax.Array:
        return c.before["6.X"] + self._answer(c, gelu)

    def _answer(self, c: Context, activation: Callable[[jax.Array], jax.Array], **other: jax.Array) -> jax.Array:
        W = c.W.replace(**other)
        return affine(activation(affine(c.before[self.of], W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        X = c.before["6.X"]
        for mistake, (title, activation) in ACTIVATIONS.items():
            yield Alternative(mistake, title, X + self._answer(c, activation))
        for name in ("W_mlp1", "W_mlp2"):
            W = getattr(c.W, name)
            if W.shape[0] == W.shape[1]:
                yield Alternative(
                    "weight-transposed", f"{name} is transposed", X + self._answer(c, gelu, **{name: W.T})
                )
        for name in ("b_mlp1", "b_mlp2"):
            without = self._answer(c, gelu, **{name: 0 * getattr(c.W, name)})
            yield Alternative("bias-forgotten", f"the bias {name} is forgotten", X + without)
        yield from _residuals(X, c.before[self.of], self._answer(c, gelu))
        yield from with_another_bias(self.value(c), theirs, "b_mlp2 has other values")
