"""Linear attention (2006.16236): the softmax's exp(q·k) becomes φ(q)·φ(k), and keys and values are summed once.

    Y_i = Σ_s φ(q_i)·φ(k_s) v_s / (Σ_s φ(q_i)·φ(k_s) + ε) = φ(q_i)ᵀ S / (φ(q_i)·z + ε),
    S = Σ_s φ(k_s) v_sᵀ, z = Σ_s φ(k_s)

With a causal mask the sums run along with the queries. They are a state of fixed size: the transformer is a recurrent
network. Token by token, chunk by chunk and all at once it is the same function. It is another one than softmax
attention: a model has to be trained with it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int

from ..contracts import algorithm, is_concrete
from ..linear import aligned, wide
from ..tagging import line
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_count,
    require_floats,
    require_kind,
    require_number,
    require_shapes,
)
from .feature_maps import FeatureMap, as_feature_map, elu_plus_one, require_features

CHUNK, EPSILON = 64, 1e-6
"""The length of a chunk, and what is added to a sum of weights, unless given. The authors' ε; the paper has none."""


@struct.dataclass
class LinearState:
    """What causal linear attention knows of the past: `S` (..., n, D) the sum of φ(k) vᵀ, `z` (..., n) that of φ(k).

    Both are in at least float32: they add up many small numbers.
    """

    S: Float[Array, "*batch n D"]
    z: Float[Array, "*batch n"]


def empty_state(batch: tuple[int, ...], n: int, D: int, dtype: Any = jnp.float32) -> LinearState:
    """The state before the first token, of sequences (and heads) `batch`, n features and values of width D."""
    return LinearState(jnp.zeros((*batch, n, D), dtype), jnp.zeros((*batch, n), dtype))


def _averages(values: jax.Array, weights: jax.Array, epsilon: float) -> jax.Array:
    """Sums of weighted values (..., ℓ, D) by sums of weights (..., ℓ); ε stands outside, so 0 by 0 is 0."""
    return values / (weights + epsilon)[..., None]


def _times(Q: jax.Array, z: jax.Array) -> jax.Array:
    """q·z for each row q of Q (..., ℓ, n)."""
    return (Q @ z[..., None])[..., 0]


def require_qkv(function: str, Q: Any, K: Any, V: Any, same_length: bool) -> dict[str, jax.Array]:
    """Queries (..., ℓ_x, E), keys (..., ℓ_z, E) and values (..., ℓ_z, D) as arrays that fit each other."""
    Q, K, V = as_arrays(function, Q=Q, K=K, V=V)
    l_x = "l" if same_length else "l_x"
    l_z = "l" if same_length else "l_z"
    sizes = require_shapes(function, Q=(Q, f"... {l_x} E"), K=(K, f"... {l_z} E"), V=(V, f"... {l_z} D"))
    require_floats(function, Q=Q, K=K, V=V)
    require_at_least_one(function, Q=sizes[l_x], K=sizes[l_z])
    require_batch(function, Q=Q.shape[:-2], K=K.shape[:-2], V=V.shape[:-2])
    return {"Q": jnp.asarray(Q), "K": jnp.asarray(K), "V": jnp.asarray(V)}


def _require_epsilon(function: str, epsilon: Any) -> None:
    if not is_concrete(epsilon):
        raise TypeError(f"{function}: epsilon is traced, expected a static number")
    require_number(function, "epsilon", epsilon)
    if not 0 <= epsilon < np.inf:
        raise ValueError(f"{function}: epsilon is {epsilon}, expected a finite number of at least 0")


def _require_chunk(function: str, chunk: Any) -> None:
    if chunk is not None:
        require_count(function, "chunk", chunk, at_least=1)


def _legal_lengths(function: str, lengths: Any, batch: tuple[int, ...], l: int) -> jax.Array | None:
    """How many keys are real (...), one for each sequence; traced ones out of range become -1, which gives nan."""
    if lengths is None:
        return None
    (lengths,) = as_arrays(function, lengths=lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"{function}: lengths have dtype {lengths.dtype}, expected integers")
    require_batch(function, lengths=lengths.shape, K=batch)
    if is_concrete(lengths) and not ((np.asarray(lengths) >= 1) & (np.asarray(lengths) <= l)).all():
        raise ValueError(
            f"{function}: lengths are {np.asarray(lengths).tolist()}, expected each in [1, ℓ_z] = [1, {l}]"
        )
    lengths = jnp.asarray(lengths)
    return jnp.where((lengths >= 1) & (lengths <= l), lengths, -1)


def _linear_requires(Q, K, V, feature_map, epsilon, lengths, function="linear_attention"):
    qkv = require_qkv(function, Q, K, V, same_length=False)
    phi = as_feature_map(function, feature_map)
    require_features(function, phi, Q=qkv["Q"], K=qkv["K"])
    _require_epsilon(function, epsilon)
    lengths = _legal_lengths(function, lengths, qkv["K"].shape[:-2], qkv["K"].shape[-2])
    return qkv | {"feature_map": phi, "lengths": lengths}


@algorithm(_linear_requires, static=("epsilon",))
def linear_attention(
    Q: Float[Array, "*#batch l_x E"],
    K: Float[Array, "*#batch l_z E"],
    V: Float[Array, "*#batch l_z D"],
    feature_map: FeatureMap = elu_plus_one,
    epsilon: float = EPSILON,
    lengths: Int[Array, "*#batch"] | None = None,
) -> Float[Array, "*batch l_x D"]:
    """Linear attention without a mask: every query is answered by all keys, in O((ℓ_x + ℓ_z) n D).

    Args:
      Q: (..., ℓ_x, E). K: (..., ℓ_z, E). V: (..., ℓ_z, D).
      feature_map: φ, a `FeatureMap` or a function of (..., ℓ, E) to (..., ℓ, n), nowhere negative.
      epsilon: ε ≥ 0, static. An answer is smaller by the factor 1 - ε / (Σ φ(q)·φ(k) + ε) than an average would be.
      lengths: (...) how many of the keys are real; broadcasts against the axes before the last two.
    Returns:
      (..., ℓ_x, D). nan where a traced feature is negative, or a traced length out of range.
    Raises:
      TypeError, ValueError: for shapes that do not fit, features or an ε below 0, lengths outside [1, ℓ_z].
    """
    Q_prime = line(1, "Q_prime", feature_map(Q))
    K_prime = line(2, "K_prime", feature_map(K))
    if lengths is not None:  # after φ, which makes something of zeros
        real = aligned(jnp.arange(K.shape[-2]), K_prime[..., 0]) < aligned(lengths, K_prime[..., 0, 0])[..., None]
        K_prime = jnp.where(real[..., None], K_prime, 0)
        K_prime = jnp.where(aligned(lengths, K_prime[..., 0, 0])[..., None, None] < 0, jnp.nan, K_prime)
    K_prime = line(3, "K_prime", K_prime)
    S = line(4, "S", K_prime.mT @ wide(V))
    z = line(5, "z", K_prime.sum(axis=-2))
    return line(6, "Y", _averages(Q_prime @ S, _times(Q_prime, z), epsilon)).astype(V.dtype)


def _causal_requires(Q, K, V, feature_map, chunk, epsilon, function="causal_linear_attention"):
    qkv = require_qkv(function, Q, K, V, same_length=True)
    phi = as_feature_map(function, feature_map)
    require_features(function, phi, Q=qkv["Q"], K=qkv["K"])
    _require_epsilon(function, epsilon)
    _require_chunk(function, chunk)
    return qkv | {"feature_map": phi}


@algorithm(_causal_requires, static=("chunk", "epsilon"))
def causal_linear_attention(
    Q: Float[Array, "*#batch l E"],
    K: Float[Array, "*#batch l E"],
    V: Float[Array, "*#batch l D"],
    feature_map: FeatureMap = elu_plus_one,
    chunk: int | None = CHUNK,
    epsilon: float = EPSILON,
) -> Float[Array, "*batch l D"]:
    """Linear attention in which token i is answered by those up to itself, in O(ℓ n D + ℓ C (n + D)).

    Args:
      Q, K, V, feature_map, epsilon: as `linear_attention`, of one length ℓ.
      chunk: C, how many tokens are computed by a masked matrix at a time, which is faster than one after the other; any
        number, whether or not ℓ is a multiple. None is the recurrence itself, token by token. The result is the same.
    Returns:
      (..., ℓ, D). nan where a traced feature is negative.
    Raises:
      TypeError, ValueError: as `linear_attention`, and for lengths that differ, or a chunk of less than 1.
    """
    return _continued(Q, K, V, None, feature_map, chunk, epsilon)[0]


def _continue_requires(Q, K, V, state, feature_map, chunk, epsilon):
    name = "continue_linear_attention"
    canonical = _causal_requires(Q, K, V, feature_map, chunk, epsilon, name)
    _require_state(name, state, canonical["feature_map"], **{A: canonical[A] for A in ("Q", "K", "V")})
    return canonical


def _require_state(function: str, state: Any, phi: FeatureMap, Q: Any, K: Any, V: Any) -> None:
    """The state of as many sequences, features and values."""
    require_kind(function, "state", state, LinearState, made_by="empty_state")
    batch = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2])
    n = jax.eval_shape(phi, K).shape[-1]
    for name, array, expected in (("S", state.S, (*batch, n, V.shape[-1])), ("z", state.z, (*batch, n))):
        if array.shape != expected:
            raise ValueError(
                f"{function}: state.{name} has shape {array.shape}, expected {expected}: that of another batch, "
                "feature map or model?"
            )


@algorithm(_continue_requires, static=("chunk", "epsilon"))
def continue_linear_attention(
    Q: Float[Array, "*#batch l E"],
    K: Float[Array, "*#batch l E"],
    V: Float[Array, "*#batch l D"],
    state: LinearState,
    feature_map: FeatureMap = elu_plus_one,
    chunk: int | None = CHUNK,
    epsilon: float = EPSILON,
) -> tuple[Float[Array, "*batch l D"], LinearState]:
    """Causal linear attention for the tokens that follow others, of which `state` is all that is left.

    Args:
      state: `LinearState` of the tokens before, as `empty_state` or this function gives it. The others as
        `causal_linear_attention`.
    Returns:
      (..., ℓ, D), and the state after these tokens.
    Raises:
      TypeError, ValueError: as `causal_linear_attention`, and for a state of another batch or other features.
    """
    return _continued(Q, K, V, state, feature_map, chunk, epsilon)


def _continued(Q, K, V, state, phi, chunk, epsilon):
    batch, dtype = jnp.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2]), V.dtype
    Q_prime = line(1, "Q_prime", phi(Q))
    K_prime = line(2, "K_prime", phi(K))
    Q, K, V = (jnp.broadcast_to(A, (*batch, *A.shape[-2:])) for A in (Q_prime, K_prime, wide(V)))
    if state is None:
        state = empty_state(batch, K.shape[-1], V.shape[-1], V.dtype)
    run = _token_by_token if chunk is None else _chunk_by_chunk
    Y, state = run(Q, K, V, state, min(chunk or 1, Q.shape[-2]), epsilon)
    return Y.astype(dtype), state


def _answer(q, S, z, epsilon):
    """The answer (..., D) to one query (..., n)."""
    return (q[..., None, :] @ S)[..., 0, :] / ((q * z).sum(axis=-1) + epsilon)[..., None]


def _token_by_token(Q, K, V, state, _, epsilon):
    def token(state, of_token):
        q, k, v = of_token
        S = line(6, "S", state.S + k[..., :, None] * v[..., None, :])
        z = line(7, "z", state.z + k)
        return LinearState(S, z), _answer(q, S, z, epsilon)

    S = line(3, "S", state.S)
    z = line(4, "z", state.z)
    state, Y = lax.scan(token, LinearState(S, z), tuple(jnp.moveaxis(A, -2, 0) for A in (Q, K, V)))
    return line(8, "Y", jnp.moveaxis(Y, 0, -2)), state


def _chunk_by_chunk(Q, K, V, state, C, epsilon):
    l = Q.shape[-2]

    def chunks(A, filling):
        """(chunks, ..., C, d), the last one filled up."""
        A = jnp.pad(A, [*[(0, 0)] * (A.ndim - 2), (0, -l % C), (0, 0)], constant_values=filling)
        return jnp.moveaxis(A.reshape(*A.shape[:-2], -1, C, A.shape[-1]), -3, 0)

    def one(state, of_chunk):
        Q_c, K_c, V_c = of_chunk
        A = line(6, "A", jnp.tril(Q_c @ K_c.mT))
        weights = _times(Q_c, state.z) + A.sum(axis=-1)
        Y_c = line(7, "Y_c", _averages(Q_c @ state.S + A @ V_c, weights, epsilon))
        S = line(8, "S", state.S + K_c.mT @ V_c)
        z = line(9, "z", state.z + K_c.sum(axis=-2))
        return LinearState(S, z), Y_c

    S = line(3, "S", state.S)
    z = line(4, "z", state.z)
    # Queries that fill up are ones: of zeros the weights would be 0, and without ε the derivative of 0/0 nan.
    state, Y = lax.scan(one, LinearState(S, z), (chunks(Q, 1), chunks(K, 0), chunks(V, 0)))
    Y = jnp.moveaxis(Y, 0, -3)
    return Y.reshape(*Y.shape[:-3], -1, Y.shape[-1])[..., :l, :], state


def _step_requires(q, k, v, state, feature_map, epsilon):
    name = "linear_attention_step"
    q, k, v = as_arrays(name, q=q, k=k, v=v)
    require_shapes(name, q=(q, "... E"), k=(k, "... E"), v=(v, "... D"))
    require_floats(name, q=q, k=k, v=v)
    require_batch(name, q=q.shape[:-1], k=k.shape[:-1], v=v.shape[:-1])
    _require_epsilon(name, epsilon)
    phi = as_feature_map(name, feature_map)
    q, k, v = (jnp.asarray(a) for a in (q, k, v))
    require_features(name, phi, q=q[..., None, :], k=k[..., None, :])
    _require_state(name, state, phi, *(a[..., None, :] for a in (q, k, v)))
    return {"q": q, "k": k, "v": v, "feature_map": phi}


@algorithm(_step_requires, static=("epsilon",))
def linear_attention_step(
    q: Float[Array, "*#batch E"],
    k: Float[Array, "*#batch E"],
    v: Float[Array, "*#batch D"],
    state: LinearState,
    feature_map: FeatureMap = elu_plus_one,
    epsilon: float = EPSILON,
) -> tuple[Float[Array, "*batch D"], LinearState]:
    """One more token of causal linear attention, in O(n D) however many there were before it.

    Args:
      q, k: (..., E). v: (..., D). state: `LinearState` of the tokens before. feature_map, epsilon: as
        `linear_attention`.
    Returns:
      (..., D), and the new state.
    Raises:
      TypeError, ValueError: as `continue_linear_attention`.
    """
    k_prime = line(1, "k_prime", feature_map(k[..., None, :])[..., 0, :])
    S = line(2, "S", state.S + k_prime[..., :, None] * wide(v)[..., None, :])
    z = line(3, "z", state.z + k_prime)
    q_prime = line(4, "q_prime", feature_map(q[..., None, :])[..., 0, :])
    y = line(5, "y", _answer(q_prime, S, z, epsilon))
    return y.astype(v.dtype), LinearState(S, z)
