"""The ∞-former: is what was long ago still there, at a cost that does not depend on how long ago?

python -m benchmarks.claims.infinite_memory [--quick]
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks, mh_attention
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.long_context.infinite_decoder import infinite_d_transformer, init_infinite_decoder
from formal_tx.long_context.infinite_memory import (
    Density,
    MemoryHyperparameters,
    basis,
    basis_regression,
    memory_update,
    sticky_points,
)

from .claim import Claim, quick
from .growth import exponent, seconds
from .training import fit

# A random walk as a function of time.


def reconstruction(claim: Claim) -> None:
    """Relative errors of a random walk (64 steps, 4 channels), by basis and penalty."""
    X = np.cumsum(np.random.default_rng(0).normal(size=(64, 4)), axis=0)
    t = jnp.asarray((np.arange(64) + 0.5) / 64)
    errors = {}
    for N, widths in ((16, (0.05, 0.1)), (64, (0.01, 0.05)), (128, (0.01, 0.05)), (128, (0.005, 0.01))):
        for ridge in (1e-6, 0.5, 1.0):
            hp = MemoryHyperparameters(N=N, widths=widths, ridge=ridge)
            x = basis(t, hp) @ basis_regression(jnp.asarray(X), hp)
            error = np.linalg.norm(x - X) / np.linalg.norm(X)
            errors[N, widths, ridge] = claim.measured(f"error, N {N}, widths {widths}, ridge {ridge}", error)
    wide = [errors[N, widths, 0.5] for N, widths in ((16, (0.05, 0.1)), (64, (0.01, 0.05)), (128, (0.01, 0.05)))]
    claim.holds("a random walk is reconstructed better with more basis functions", wide[0] > wide[1] > wide[2])


# A bump that is followed through eight updates.

BUMP = MemoryHyperparameters(N=128, widths=(0.01, 0.05), ridge=0.5, tau=0.75, M=256)
UPDATES, SEEDS = 8, 5
PLACES = 32


def looking(at: float) -> Density:
    """Half of the queries look at a place, the others everywhere alike."""
    everywhere = (np.arange(PLACES) + 0.5) / PLACES
    m, width = np.stack([np.full(PLACES, at), everywhere]), np.array([[0.05], [1 / PLACES]])
    return Density(jnp.asarray(m), jnp.asarray(np.broadcast_to(width**2, m.shape)))


def bump(sticky: bool, seed: int) -> list[float]:
    """The height of a bump of height 1 in one channel of a first segment, after each of the updates that follow."""
    rows, rng = np.arange(64), np.random.default_rng(seed)
    X = rng.normal(size=(64, 4))
    X[:, 0] = np.exp(-((rows - 32) ** 2) / (2 * 3**2))
    times = jnp.linspace(0, 1, 4001)
    B, heights = basis_regression(jnp.asarray(X), BUMP), []
    at = float(times[int(jnp.argmax(basis(times, BUMP) @ B[:, 0]))])
    for _ in range(UPDATES):
        X = rng.normal(size=(64, 4))
        X[:, 0] = 0
        u = sticky_points(looking(at), jnp.asarray(rng.uniform(size=BUMP.M)), BUMP) if sticky else None
        B = memory_update(B, jnp.asarray(X), BUMP, u)
        x = basis(times, BUMP) @ B[:, 0]
        at = float(times[int(jnp.argmax(x))])
        heights.append(float(x.max()))
    return heights


def bumps(claim: Claim) -> None:
    """Uniform points lose the bump, sticky ones keep it."""
    found = {}
    for name in ("uniform", "sticky"):
        heights = np.mean([bump(name == "sticky", seed) for seed in range(1 if quick() else SEEDS)], axis=0)
        found[name] = heights
        claim.measured(f"height of the bump after {UPDATES} updates, {name} points", heights[-1])
    claim.holds("with sticky points at least 0.95 of it is left", bool(found["sticky"][-1] >= 0.95))
    claim.holds("with points at equal distances at most 0.85", bool(found["uniform"][-1] <= 0.85))
    curves = {name: (range(1, UPDATES + 1), heights) for name, heights in found.items()}
    claim.panel("a bump in the first segment", "updates since", "its height", curves)


# The paper's task: tokens are drawn from a distribution that changes, and are to be sorted by how often they came.

SYMBOLS, SEPARATOR = 10, 10
SEGMENT = 32
SEGMENTS = 4 if quick() else 16
STEPS, BATCH = (3, 4) if quick() else (400, 32)
HP = DTransformerHyperparameters(l_max=SEGMENT, L=1, H=4, d_e=48, d_mlp=96, N_V=SYMBOLS + 1)
MEMORY = MemoryHyperparameters(N=32, widths=(0.01, 0.05), ridge=0.5, tau=0.75, M=64, D=32, v_min=1e-4)
POOLED = 4


def tasks(key: jax.Array, batch: int = BATCH) -> jax.Array:
    """Sequences (batch, SEGMENTS · SEGMENT) that end in the separator and the symbols, most frequent first."""
    length = SEGMENTS * SEGMENT - SYMBOLS - 1

    def one(key):
        first, last, drawn = jax.random.split(key, 3)
        p, q = (jax.random.randint(k, (SYMBOLS,), 1, 10).astype(float) for k in (first, last))
        p, q = p / p.sum(), q / q.sum()
        r = (jnp.arange(length) + 1)[:, None] / length
        x = jax.random.categorical(drawn, jnp.log((1 - r) * p[None] + r * q[None]))
        often = jnp.zeros(SYMBOLS, int).at[x].add(1)
        return jnp.concatenate([x, jnp.array([SEPARATOR]), jnp.argsort(-often, stable=True)])

    return jax.vmap(one)(jax.random.split(key, batch))


def plain(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    """The logits of the last segment by a decoder that sees nothing else."""
    del key
    X, _ = d_layers(x[:, -SEGMENT:], params, HP, self_attend(masks.causal))
    return logits_of(X, params, HP)


def infinite(params: Any, x: jax.Array, key: jax.Array, hp: MemoryHyperparameters = MEMORY) -> jax.Array:
    """The same with the memory of all before; no gradient reaches there anyway, so none is asked for."""
    before, last = x[:, :-SEGMENT], x[:, -SEGMENT:]
    fixed = jax.lax.stop_gradient(params)
    memory = infinite_d_transformer(before, fixed, HP, hp, segment=SEGMENT, key=key).memory
    return infinite_d_transformer(last, params, HP, hp, segment=SEGMENT, memory=memory).logits


def compressive(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    """The same with a memory of as many numbers: the means of four states each, of which the oldest are dropped."""
    del key

    def attend(X, W, memory, window):
        del window
        C, n = memory
        Z = jnp.concatenate([C, X], axis=-2)
        slots, l = C.shape[-2], X.shape[-2]
        t_x, t_z = jnp.arange(l)[:, None], jnp.arange(slots + l)[None]
        see = jnp.where(t_z < slots, t_z >= slots - n, t_z - slots <= t_x)
        means = X.reshape(*X.shape[:-2], l // POOLED, POOLED, -1).mean(axis=-2)
        kept = jnp.concatenate([C, means], axis=-2)[..., -slots:, :]
        return mh_attention(X, Z, W, see), (jax.lax.stop_gradient(kept), jnp.minimum(n + l // POOLED, slots))

    batch, by_segment = len(x), jnp.moveaxis(x.reshape(len(x), SEGMENTS, SEGMENT), 1, 0)
    empty = (jnp.zeros((HP.L, batch, MEMORY.N, HP.d_e)), jnp.zeros(HP.L, int))
    fixed = jax.lax.stop_gradient(params)
    memory, _ = jax.lax.scan(lambda m, x: (d_layers(x, fixed, HP, attend, states=m)[1], None), empty, by_segment[:-1])
    X, _ = d_layers(by_segment[-1], params, HP, attend, states=memory)
    return logits_of(X, params, HP)


def answers(logits: jax.Array) -> jax.Array:
    """The logits of the tokens that are to be given."""
    return logits[:, -SYMBOLS - 1 : -1, :SYMBOLS]


def sorting_loss(params: Any, x: jax.Array, key: jax.Array, model: Any) -> jax.Array:
    log_p = jax.nn.log_softmax(answers(model(params, x, key)))
    return -jnp.mean(jnp.take_along_axis(log_p, x[:, -SYMBOLS:, None], axis=-1))


def sorting(claim: Claim) -> None:
    """How many of the tokens are right, by each model."""
    uniform = MemoryHyperparameters(**{**vars(MEMORY), "sticky": False})
    models = {
        "window": (plain, init_d_transformer(jax.random.key(0), HP)),
        "compressive": (compressive, init_d_transformer(jax.random.key(0), HP)),
        "infinite, uniform": (partial(infinite, hp=uniform), init_infinite_decoder(jax.random.key(0), HP, uniform)),
        "infinite, sticky": (infinite, init_infinite_decoder(jax.random.key(0), HP, MEMORY)),
    }
    test, right = tasks(jax.random.key(9), 8 if quick() else 256), {}
    curves = {}
    for name, (model, params) in models.items():
        loss = partial(sorting_loss, model=model)
        params, losses = fit(params, loss, tasks, jax.random.key(1), steps=STEPS, rate=1e-2)
        guesses = jnp.argmax(answers(jax.jit(model)(params, test, jax.random.key(2))), axis=-1)
        right[name] = claim.measured(f"tokens in their place, {name}", float((guesses == test[:, -SYMBOLS:]).mean()))
        smooth = np.asarray(losses).reshape(-1, max(STEPS // 40, 1)).mean(axis=1)
        curves[name] = (np.arange(1, len(smooth) + 1) * STEPS / len(smooth), smooth)
    best = max(right["infinite, uniform"], right["infinite, sticky"])
    claim.holds("the ∞-former sorts better than a decoder with a window", best > right["window"] + 0.02)
    claim.holds("and better than a compressive memory of the same size", best > right["compressive"])
    claim.panel(f"sorting {SEGMENTS * SEGMENT} tokens", "updates", "loss", curves)


# The cost.


def cost(claim: Claim) -> None:
    """The time of a whole stream by its length, and of a segment early and late."""
    lengths = [512, 1024] if quick() else [4096, 8192, 16384, 32768, 65536]
    hp = DTransformerHyperparameters(l_max=256, L=2, H=4, d_e=64, d_mlp=128, N_V=32)
    memory = MemoryHyperparameters(N=128, M=128)
    params = init_infinite_decoder(jax.random.key(0), hp, memory)

    @jax.jit
    def run(x, params, key):
        return infinite_d_transformer(x, params, hp, memory, segment=256, key=key).logits

    def of_length(l):
        x = jax.random.randint(jax.random.key(1), (l,), 0, hp.N_V)
        return lambda: run(x, params, jax.random.key(2))

    times = seconds(of_length, lengths, rounds=2 if quick() else 7)
    p = claim.measured("exponent of time in the length of the stream", exponent(lengths, times))
    claim.holds("time grows as ℓ^p with p within 0.1 of 1", abs(p - 1) <= 0.1)
    each = [1000 * t * 256 / l for t, l in zip(times, lengths, strict=True)]
    for l, ms in zip(lengths, each, strict=True):
        claim.measured(f"a segment of 256 tokens in a stream of {l}", ms, "ms")
    claim.panel("a stream, 256 tokens at a time", "tokens", "seconds", {"∞-former": (lengths, times)}, logarithmic=True)


def main() -> None:
    claim = Claim(
        "infinite_memory",
        "2109.00301",
        "attention to an unbounded past costs the same however long it is, sticky memories keep what was looked at, "
        "and sequences are sorted better than with memories that drop the oldest",
        "a bump followed through 8 updates; 501 tokens of 10 symbols, drawn from a distribution that changes, sorted "
        "by frequency by a layer that reads 32 tokens at a time; streams of 4k to 64k tokens",
    )
    reconstruction(claim)
    bumps(claim)
    cost(claim)
    sorting(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
