"""Transformer-XL's claims: context beyond the segment, and evaluation that computes nothing twice.

python -m benchmarks.claims.transformer_xl [--quick]
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters
from formal_tx.long_context.transformer_xl import init_transformer_xl, transformer_xl_logits, xl_hyperparameters
from formal_tx.placement import PRE

from .claim import Claim, quick
from .growth import grows_in_proportion, seconds
from .training import fit

SYMBOLS, BACK, LENGTH, SEGMENT = 8, 10, 64, 16
STEPS, BATCH = (20, 8) if quick() else (1200, 32)
WINDOWS = (32, 64) if quick() else (64, 128, 256, 512)
LENGTHS = (512, 1024) if quick() else (4096, 8192, 16384, 32768, 65536)
TOKENS = 64 if quick() else 512  # evaluated one after the other


def decoder(N_V: int, **widths: int) -> DTransformerHyperparameters:
    """Two layers, norms before the sub-layers."""
    sizes = {"L": 2, "H": 4, "d_e": 48, "d_mlp": 192, "l_max": 1024} | widths
    return xl_hyperparameters(N_V=N_V, placement=PRE, final_norm=True, **sizes)


def copying(mem_len: int, seed: int) -> np.ndarray:
    """The accuracies (LENGTH,), by position, of naming the token BACK positions ago, after training with a memory."""
    hp = decoder(SYMBOLS)

    def logits(params, x):
        return transformer_xl_logits(x, params, hp, segment=SEGMENT, mem_len=mem_len)[0][:, BACK:]

    def texts(key):
        return jax.random.randint(key, (BATCH, LENGTH), 0, SYMBOLS)

    def loss(params, x, key):
        del key
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), x[:, :-BACK]).mean()

    key, data, test = jax.random.split(jax.random.key(seed), 3)
    params, _ = fit(init_transformer_xl(key, hp), loss, texts, data, steps=STEPS)
    x = jnp.concatenate([texts(k) for k in jax.random.split(test, 16)])
    right = jnp.argmax(logits(params, x), axis=-1) == x[:, :-BACK]
    return np.concatenate([np.full(BACK, np.nan), right.mean(axis=0)])


def by_place(accuracy: np.ndarray) -> tuple[float, float]:
    """The mean accuracies where the source stands in the same segment, and where it stands in the one before."""
    t = np.arange(LENGTH)
    same = (t - BACK) // SEGMENT == t // SEGMENT
    return float(accuracy[BACK:][same[BACK:]].mean()), float(accuracy[BACK:][~same[BACK:]].mean())


def copies(claim: Claim) -> None:
    """What a memory of a segment is worth."""
    curves = {}
    for mem_len in (SEGMENT, 0):
        curves[f"mem_len {mem_len}"] = copying(mem_len, seed=0)
        same, before = by_place(curves[f"mem_len {mem_len}"])
        claim.measured(f"copying, mem_len {mem_len}: accuracy within the segment", same)
        claim.measured(f"copying, mem_len {mem_len}: accuracy from the segment before", before)
    claim.holds("with a memory ≥ 0.95 from the segment before", by_place(curves[f"mem_len {SEGMENT}"])[1] >= 0.95)
    claim.holds("without one ≤ 0.2, chance being 0.125", by_place(curves["mem_len 0"])[1] <= 0.2)
    places = np.arange(BACK, LENGTH)
    claim.panel(
        f"the token {BACK} back, segments of {SEGMENT}",
        "position",
        "accuracy",
        {name: (places, curve[BACK:]) for name, curve in curves.items()},
    )


def reuse(claim: Claim) -> None:
    """Evaluation with a memory, beside one that recomputes a window for each token."""
    hp = decoder(64)
    params = init_transformer_xl(jax.random.key(0), hp)
    x = jax.random.randint(jax.random.key(1), (4 * max(WINDOWS) + TOKENS,), 0, 64)

    n = 64 if quick() else 1024
    whole = transformer_xl_logits(x[:n], params, hp, segment=n, mem_len=0)[0]
    again = transformer_xl_logits(x[:n], params, hp, segment=16, mem_len=n)[0]
    error = claim.measured("reuse beside recomputation: largest difference of logits", jnp.abs(whole - again).max())
    claim.holds("evaluation with reuse is recomputation, up to rounding in float32", error <= 1e-5)

    ratios = []
    for window in WINDOWS:

        @jax.jit
        def sliding(x, window=window):
            """A window of its own for each token, of which the last logits are used."""

            def last(t):
                seen = jax.lax.dynamic_slice_in_dim(x, t, window)
                return transformer_xl_logits(seen, params, hp, segment=window, mem_len=0)[0][-1]

            return jax.lax.map(last, jnp.arange(TOKENS), batch_size=16)

        @jax.jit
        def recurrent(x, window=window):
            options = {"segment": 16, "mem_len": window - 16, "same_length": True}
            return transformer_xl_logits(x[:TOKENS], params, hp, **options)[0]

        rounds = 2 if quick() else 3
        slow, fast = (seconds(lambda _, f=f: lambda: f(x), [0], rounds)[0] for f in (sliding, recurrent))
        ratios.append(claim.measured(f"window {window}: reuse is as many times as fast", slow / fast, "×"))
    claim.holds("reuse is faster, and by more the longer the window", ratios[-1] > ratios[0] > 1)
    claim.panel(
        "evaluation", "window", "times as fast as a sliding window", {"reuse": (WINDOWS, ratios)}, logarithmic=True
    )


def growth(claim: Claim) -> None:
    """Time in the length of the text, the segment and the memory fixed."""
    hp = decoder(64)
    params = init_transformer_xl(jax.random.key(0), hp)

    def of_length(length):
        x = jax.random.randint(jax.random.key(2), (length,), 0, 64)
        run = jax.jit(lambda x: transformer_xl_logits(x, params, hp, segment=128, mem_len=128)[0].sum())
        return lambda: run(x)

    grows_in_proportion(claim, "segment 128, memory 128", of_length, LENGTHS, rounds=2 if quick() else 5)


if __name__ == "__main__":
    claim = Claim(
        system="transformer_xl",
        paper="1901.02860",
        says="attends beyond its segment, and evaluates up to 1800 times as fast as a sliding window of 3,800 tokens",
        here="copies the token 10 back with segments of 16; logits with reuse; windows up to 512; ℓ up to 65,536",
    )
    copies(claim)
    reuse(claim)
    growth(claim)
    claim.conclude()
