"""Models that keep every law, and for each law one that breaks it in the way in which people do."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx.crosscheck.adapters import AttentionModel, ContextModel, SequenceModel
from formal_tx.crosscheck.adapters.parts import (
    GenerationModel,
    LookupModel,
    NormalizationModel,
    TrainingModel,
    UnembeddingModel,
)

RNG = np.random.default_rng(0)
W_Q, W_K, W_V = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 3, 5))
W_O = RNG.normal(size=(5, 6))
W_E = RNG.normal(size=(13, 5))
W_P = RNG.normal(size=(11, 5))


# Attention: two heads, whatever the framework's namespace `xp` is


def attention(
    X,
    Z,
    mask,
    *,
    hidden=-np.inf,
    xp=np,
    weigh=None,
    order=(0, 1),
    W_o=None,
    shift=0.0,
):
    """The answers; `weigh` makes weights of scores, by default their softmax."""
    heads = []
    for h in order:
        S = xp.where(mask, (X @ W_Q[h].T) @ (Z @ W_K[h].T).T + shift, hidden)
        heads.append((weigh or softmax)(S, xp) @ (Z @ W_V[h].T))
    return xp.concatenate(heads, axis=-1) @ (W_O if W_o is None else W_o).T


def softmax(S, xp):
    A = xp.exp(S - S.max(axis=-1, keepdims=True))
    return A / A.sum(axis=-1, keepdims=True)


def loop(X, Z, mask):
    return np.stack([attention(*one) for one in zip(X, Z, mask, strict=True)])


def in_jax(X, Z, mask, **options):
    return attention(X, Z, mask, xp=jnp, **options)


def reordered(order):
    columns = np.concatenate([np.arange(3) + 3 * h for h in order])
    return lambda X, Z, mask: attention(X, Z, mask, order=order, W_o=W_O[:, columns])


def weights(X, Z, mask):
    S = np.where(mask, (X @ W_Q[0].T) @ (Z @ W_K[0].T).T, -np.inf)
    return softmax(S, np)


def causally(X, Z, mask):
    return attention(X, Z, mask & np.tri(len(X), len(Z), dtype=bool))


def causally_in_jax(X, Z, mask):
    return in_jax(X, Z, mask & jnp.tri(len(X), len(Z), dtype=bool))


def step(x, cache):
    past = np.concatenate([cache, x[None]])
    return attention(x[None], past, np.ones((1, len(past)), bool))[0], past


def bounded_step(x, cache, refuse=True):
    if len(cache) == 7:
        if refuse:
            raise IndexError("the cache is full")
        cache = cache[:-1]
    return step(x, cache)


SIZES = {"d_x": 5, "d_z": 5}
PLAIN = AttentionModel(
    name="attention",
    call=attention,
    batched=loop,
    weights=weights,
    reordered=reordered,
    heads=2,
    shifted=lambda X, Z, mask: attention(X, Z, mask, shift=np.arange(len(X))[:, None]),
    **SIZES,
)
JAX = AttentionModel(name="attention in JAX", framework="jax", call=in_jax, **SIZES)
CAUSAL = AttentionModel(
    name="causal", call=causally, causal=True, prefill=lambda X: X, step=bounded_step, room=7, **SIZES
)
CAUSAL_JAX = AttentionModel(name="causal in JAX", framework="jax", call=causally_in_jax, causal=True, **SIZES)


def spoiled(S, xp):
    """If one query sees nothing, none has an answer."""
    return softmax(S, xp) * (1.0 if np.isfinite(S).any(axis=-1).all() else np.nan)


def sigmoid(S, xp):
    return 1 / (1 + xp.exp(-S))


def late_mask(X, Z, mask):
    """The mask is applied to the weights, which then do not sum to one."""
    return attention(X, Z, np.ones_like(mask), weigh=lambda S, xp: softmax(S, xp) * mask)


def strict(X, Z, mask):
    """A query with several keys is kept from the last of them."""
    last = np.arange(mask.shape[1]) == mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)[:, None]
    return attention(X, Z, mask & ~(last & (mask.sum(axis=1, keepdims=True) > 1)))


def with_positions(X, Z, mask):
    return attention(X + np.arange(len(X))[:, None], Z, mask)


def traced(x):
    return isinstance(x, jax.core.Tracer)


def by_tracing(X, Z, mask):
    return in_jax(X, Z, mask) * (2.0 if traced(X) else 1.0)


def in_place(X, Z, mask):
    X *= 2
    return attention(X, Z, mask)


def random(X, Z, mask):
    return attention(X, Z, mask) + RNG.normal()


BROKEN_ATTENTION = {
    "masked-keys": replace(PLAIN, call=lambda X, Z, mask: attention(X, Z, mask, hidden=-10.0)),
    "visible-keys": replace(PLAIN, call=strict),
    "masked-keys-by-gradient": replace(JAX, call=lambda X, Z, mask: in_jax(X, Z, mask, hidden=-10.0)),
    "no-visible-key": replace(PLAIN, call=lambda X, Z, mask: attention(X, Z, mask, hidden=-1e300)),
    "no-visible-key-stays-alone": replace(PLAIN, call=lambda X, Z, mask: attention(X, Z, mask, weigh=spoiled)),
    "padding": replace(PLAIN, call=late_mask),
    "causality": replace(CAUSAL, call=attention),
    "causality-by-gradient": replace(CAUSAL_JAX, call=in_jax),
    "permutation-equivariance": replace(PLAIN, call=with_positions),
    "equal-context": replace(PLAIN, call=lambda X, Z, mask: attention(X, Z, mask, weigh=sigmoid)),
    "weights-sum-to-one": replace(PLAIN, weights=lambda X, Z, mask: weights(X, Z, np.ones_like(mask)) * mask),
    "score-shift": replace(PLAIN, shifted=lambda X, Z, mask: attention(X, Z, mask, weigh=sigmoid, shift=1.0)),
    "head-permutation": replace(PLAIN, reordered=lambda order: lambda X, Z, mask: attention(X, Z, mask, order=order)),
    "batch-is-loop": replace(PLAIN, batched=lambda X, Z, mask: loop(X, Z, np.stack([mask[0]] * len(mask)))),
    "cache-is-no-cache": replace(CAUSAL, step=lambda x, cache: step(x, cache[1:])),
    "full-cache": replace(CAUSAL, step=lambda x, cache: bounded_step(x, cache, refuse=False)),
    "determinism": replace(PLAIN, call=random),
    "input-kept": replace(PLAIN, call=in_place),
    "dtype-kept": replace(PLAIN, call=lambda X, Z, mask: attention(X, Z, mask).astype("float32")),
    "jit": replace(JAX, call=by_tracing),
    "vmap": replace(JAX, call=by_tracing),
}


# Sequences: the mean of the embeddings that a token sees, and a distribution of it


def sequence(ids, *, see=None, positions=True, first=0):
    """Rows of the tokens of one sequence; `see` (ℓ, ℓ), by default causal. It ends where there is no position left."""
    t = first + np.arange(len(ids))
    X = np.tanh(W_E[ids] + (W_P[t] if positions else 0))
    A = np.tri(len(ids)) if see is None else see
    P = A / A.sum(axis=1, keepdims=True) @ X @ W_E.T
    P = np.exp(P)
    return P / P.sum(axis=1, keepdims=True)


def everything(ids):
    return np.ones((len(ids), len(ids)))


def both_ways(ids, **options):
    return sequence(ids, see=everything(ids), **options)


def padded(ids, real, see=None, keep=True):
    """Each sequence by itself, with its own positions; without `keep`, the padding counts."""
    found = np.zeros((*ids.shape, len(W_E)))
    for row, one, real_one in zip(found, ids, real, strict=True):
        chosen = real_one if keep else np.ones_like(real_one)
        row[chosen] = sequence(one[chosen], see=None if see is None else see(one[chosen]))
    return found


def embedded_in_jax(X, see):
    return see / see.sum(axis=1, keepdims=True) @ X @ W_E.T


def sequence_step(token, t, cache, refuse=True):
    ids = [*cache, token]
    if t >= len(W_P) and not refuse:
        ids = ids[: len(W_P)]
    return sequence(np.array(ids))[-1], ids


DECODER = SequenceModel(
    name="decoder",
    rows=sequence,
    N_V=13,
    l_max=11,
    causal=True,
    distributions=True,
    batched=lambda ids: np.stack([sequence(one) for one in ids]),
    padded=padded,
    padded_left=True,
    weights=lambda ids: np.tri(len(ids)) / np.arange(1, len(ids) + 1)[:, None],
    prefill=lambda ids: list(ids),
    step=sequence_step,
)
ENCODER = SequenceModel(
    name="encoder",
    rows=both_ways,
    N_V=13,
    l_max=11,
    causal=False,
    padded=lambda ids, real: padded(ids, real, see=everything),
    without_positions=lambda ids: both_ways(ids, positions=False),
)
BY_GRADIENT = SequenceModel(
    name="decoder in JAX",
    framework="jax",
    rows=lambda ids: embedded_in_jax(jnp.asarray(W_E)[ids], jnp.tri(len(ids), dtype=float)),
    N_V=13,
    l_max=11,
    causal=True,
    embed=lambda ids: jnp.asarray(W_E)[ids],
    embedded=lambda X: embedded_in_jax(X, jnp.tri(len(X), dtype=float)),
)
CONTEXT = ContextModel(
    name="context",
    rows=lambda z: both_ways(z)[:1],
    N_V=13,
    padded=lambda z, real: padded(z, real, see=everything)[:, :1],
    without_positions=lambda z: both_ways(z, positions=False).mean(axis=0, keepdims=True),
)


def strictly(ids):
    """The tokens before it, and not itself, but for the first."""
    return sequence(ids, see=np.tri(len(ids), k=-1) + (np.arange(len(ids)) == 0))


BROKEN_SEQUENCES = {
    "sequence-causality": replace(DECODER, rows=both_ways),
    "visible-tokens": replace(DECODER, rows=strictly),
    "sequence-causality-by-gradient": replace(BY_GRADIENT, embedded=lambda X: embedded_in_jax(X, jnp.ones((7, 7)))),
    "prefix": replace(DECODER, rows=lambda ids: sequence(ids) * len(ids)),
    "order-of-tokens": replace(ENCODER, without_positions=both_ways),
    "rows-sum-to-one": replace(DECODER, rows=lambda ids: sequence(ids) * 1.001),
    "attention-sums-to-one": replace(DECODER, weights=lambda ids: everything(ids) / len(ids)),
    "right-padding": replace(ENCODER, padded=lambda ids, real: padded(ids, real, see=everything, keep=False)),
    "left-padding": replace(DECODER, padded=lambda ids, real: padded(ids, real, keep=False)),
    "batch-of-sequences": replace(DECODER, batched=lambda ids: np.stack([sequence(ids[0])] * len(ids))),
    "decoding-cache": replace(
        DECODER, step=lambda token, t, cache: (sequence(np.array([*cache, token]), first=1)[-1], [*cache, token])
    ),
    "end-of-positions": replace(DECODER, step=lambda token, t, cache: sequence_step(token, t, cache, refuse=False)),
    "order-of-context": replace(CONTEXT, without_positions=both_ways),
    "context-padding": replace(CONTEXT, padded=lambda z, real: padded(z, real, see=everything, keep=False)[:, :1]),
}


# Parts


def norm(e, gamma, beta, epsilon):
    return (e - e.mean()) / np.sqrt(e.var() + epsilon) * gamma + beta


def without_centring(e, gamma, beta, epsilon):
    return e / np.sqrt((e**2).mean() + epsilon) * gamma + beta


def probabilities(e, W_u):
    p = np.exp(W_u @ e)
    return p / p.sum()


def train(theta, epochs):
    for _ in range(epochs):
        theta = theta - 0.1 * theta
    return theta


def decaying(theta, epochs):
    for epoch in range(epochs):
        theta = theta - 0.1 / (1 + epoch) * theta
    return theta


def generate(prompt, length):
    x = list(prompt)
    for _ in range(length):
        x.append((x[-1] * 3 + len(x)) % 13)
    return np.array(x[len(prompt) :])


NORM = NormalizationModel(name="norm", call=norm)
UNEMBEDDING = UnembeddingModel(name="unembedding", call=probabilities)
LOOKUP = LookupModel(name="lookup", call=lambda index, table: table[index])
LOOKUP_JAX = LookupModel(name="lookup in JAX", framework="jax", call=lambda index, table: table[index])
TRAINING = TrainingModel(name="training", train=train, parameters=np.arange(5.0))
GENERATION = GenerationModel(name="generation", generate=generate, prompt=[1, 2])
BROKEN_PARTS = {
    "norm-of-shifted": replace(NORM, call=without_centring),
    "norm-of-scaled": replace(NORM, call=lambda *a: norm(*a[:3], 1e-5)),
    "norm-is-affine": replace(NORM, call=lambda e, gamma, beta, epsilon: norm(e, gamma, beta * gamma, epsilon)),
    "norm-has-moments": replace(
        NORM, call=lambda e, gamma, beta, epsilon: norm(e, gamma * np.sqrt((len(e) - 1) / len(e)), beta, epsilon)
    ),
    "norm-of-permuted": replace(NORM, call=lambda e, gamma, beta, epsilon: norm(e, gamma[::-1], beta, epsilon)),
    "distribution": replace(UNEMBEDDING, call=lambda e, W_u: np.exp(W_u @ e)),
    "logit-shift": replace(UNEMBEDDING, call=lambda e, W_u: probabilities(e, np.maximum(W_u, 0))),
    "relabelling": replace(UNEMBEDDING, call=lambda e, W_u: probabilities(e, W_u + np.arange(len(W_u))[:, None])),
    "table-relabelling": replace(LOOKUP, call=lambda index, table: table[index] + (index == 0)),
    "table-gradient": replace(LOOKUP_JAX, call=lambda index, table: table[index] + 1e-3 * table.sum(axis=0)),
    "no-epochs": replace(TRAINING, train=lambda theta, epochs: train(theta, epochs + 1)),
    "epochs-add-up": replace(TRAINING, train=decaying),
    "continuation": replace(GENERATION, generate=lambda prompt, length: generate(prompt, length) + len(prompt)),
}

RIGHT = [
    PLAIN, JAX, CAUSAL, CAUSAL_JAX, DECODER, ENCODER, BY_GRADIENT, CONTEXT,
    NORM, UNEMBEDDING, LOOKUP, LOOKUP_JAX, TRAINING, GENERATION,
]  # fmt: skip
BROKEN = BROKEN_ATTENTION | BROKEN_SEQUENCES | BROKEN_PARTS
