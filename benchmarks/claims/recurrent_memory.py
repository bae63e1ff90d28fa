"""The claims of the Recurrent Memory Transformer: facts are kept over many segments, at the memory of one.

python -m benchmarks.claims.recurrent_memory [--quick]
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from formal_tx import ETransformerHyperparameters
from formal_tx.linear import affine
from formal_tx.long_context.recurrent_memory import init_recurrent_memory, rmt_encoder
from formal_tx.placement import PRE

from .claim import Claim, quick
from .growth import grows_in_proportion
from .training import fit

FACTS, NOISE, SEGMENT, MEMORY = 8, 15, 8, 2
QUESTION = FACTS + NOISE
STAGES, STEPS, BATCH = ((1, 2), 10, 8) if quick() else ((1, 2, 3, 4), 250, 64)
TESTED = (1, 2, 4) if quick() else (1, 2, 3, 4, 6, 8, 16, 32)
LENGTHS = (512, 1024) if quick() else (4096, 8192, 16384, 32768, 65536)
SEGMENTS = (2, 8) if quick() else (8, 16, 32)


def encoder(segment: int, m: int) -> ETransformerHyperparameters:
    """Two layers, norms before the sub-layers, learned positions, no head."""
    sizes = {"L": 2, "H": 4, "d_e": 48, "d_mlp": 96, "N_V": QUESTION + 1 + 3, "l_max": segment + m + 3}
    return ETransformerHyperparameters(**sizes, placement=PRE, final_norm=True, head=False)


def texts(key: jax.Array, n: int, batch: int) -> jax.Array:
    """n segments of noise, of which the first token is a fact and the last one the question for it."""
    of_facts, of_noise = jax.random.split(key)
    x = jax.random.randint(of_noise, (batch, n * SEGMENT), FACTS, QUESTION)
    return x.at[:, 0].set(jax.random.randint(of_facts, (batch,), 0, FACTS)).at[:, -1].set(QUESTION)


def answers(params, x: jax.Array, hp: ETransformerHyperparameters) -> jax.Array:
    """Scores (batch, FACTS) of the facts: how like the row of CLS is to the embedding of each."""
    cls = rmt_encoder(x, params, hp, segment=SEGMENT).cls
    return affine(cls, params.backbone.W_e[:FACTS]) / hp.d_e**0.5


def trained(m: int, stages, steps: int, seed: int):
    """Parameters after a curriculum of numbers of segments, and the accuracy at each of TESTED."""
    hp = encoder(SEGMENT, m)
    key, *keys = jax.random.split(jax.random.key(seed), 2 + len(stages))
    params = init_recurrent_memory(key, hp, m)

    def loss(params, x, key):
        del key
        return optax.softmax_cross_entropy_with_integer_labels(answers(params, x, hp), x[:, 0]).mean()

    for n, of_stage in zip(stages, keys[1:], strict=True):
        params, _ = fit(params, loss, partial(texts, n=n, batch=BATCH), of_stage, steps=steps)

    accuracies = []
    for n in TESTED:
        x = texts(jax.random.fold_in(keys[0], n), n, 64 if quick() else 1024)
        accuracies.append(float((jnp.argmax(answers(params, x, hp), axis=-1) == x[:, 0]).mean()))
    return accuracies


def recalls(claim: Claim) -> None:
    """With a memory and a curriculum, with a memory trained on the longest alone, and without a memory."""
    kinds = {
        f"m = {MEMORY}, segments 1 to {STAGES[-1]} in turn": (MEMORY, STAGES, STEPS),
        f"m = {MEMORY}, {STAGES[-1]} segments alone": (MEMORY, STAGES[-1:], STEPS * len(STAGES)),
        f"m = 0, segments 1 to {STAGES[-1]} in turn": (0, STAGES, STEPS),
    }
    curves = {name: trained(*kind, seed=0) for name, kind in kinds.items()}
    for name, curve in curves.items():
        for n, accuracy in zip(TESTED, curve, strict=True):
            claim.measured(f"{name}: accuracy at {n} segments", accuracy)
    curriculum, longest, without = (dict(zip(TESTED, curve, strict=True)) for curve in curves.values())
    last, further = STAGES[-1], next(n for n in TESTED if n > STAGES[-1] or quick())
    claim.holds(f"at {last} segments ≥ 0.9 with a memory", curriculum[last] >= 0.9)
    claim.holds(f"at {last} segments ≤ 0.25 without, chance being 0.125", without[last] <= 0.25)
    claim.holds(f"at {further} segments, more than it was trained on, ≥ 0.9", curriculum[further] >= 0.9)
    claim.holds(f"at 1 segment the curriculum is better than {last} segments alone", curriculum[1] > longest[1])
    claim.panel("a fact from the first segment", "segments", "accuracy", {n: (TESTED, c) for n, c in curves.items()})


def memory(claim: Claim) -> None:
    """What training keeps beside parameters and data, as the compiler counts it."""
    segment, m = 128, 4
    hp = encoder(segment, m)
    params = init_recurrent_memory(jax.random.key(0), hp, m)

    def megabytes(n, remat):
        def loss(params, x):
            return jnp.mean(rmt_encoder(x, params, hp, segment=segment, remat=remat).cls ** 2)

        compiled = jax.jit(jax.grad(loss)).lower(params, jnp.zeros((8, n * segment), int)).compile()
        return compiled.memory_analysis().temp_size_in_bytes / 1e6

    curves = {}
    for name, remat in (("recomputed", True), ("stored", False)):
        curves[name] = [megabytes(n, remat) for n in SEGMENTS]
        for n, value in zip(SEGMENTS, curves[name], strict=True):
            claim.measured(f"training with {n} segments of {segment}, activations {name}", value, "MB")
    few, many = curves["recomputed"][0], curves["recomputed"][-1]
    claim.holds(
        f"the memory of training {SEGMENTS[-1]} segments is within 5 % of that of {SEGMENTS[0]}", many <= 1.05 * few
    )
    claim.panel("memory of training", "segments", "MB", {n: (SEGMENTS, c) for n, c in curves.items()}, logarithmic=True)


def growth(claim: Claim) -> None:
    """Time in the length of the text, the segment and the memory fixed."""
    segment, m = 128, 4
    hp = encoder(segment, m)
    params = init_recurrent_memory(jax.random.key(0), hp, m)

    def of_length(length):
        x = jax.random.randint(jax.random.key(2), (length,), 0, QUESTION)
        run = jax.jit(lambda x: rmt_encoder(x, params, hp, segment=segment).cls)
        return lambda: run(x)

    grows_in_proportion(claim, "segment 128, m = 4", of_length, LENGTHS, rounds=2 if quick() else 5)


if __name__ == "__main__":
    claim = Claim(
        system="recurrent_memory",
        paper="2304.11062",
        says="10 vectors carry facts over 4,096 segments, after training on 7, at the memory of one segment",
        here="a fact, noise and a question, segments of 8 tokens, m = 2, trained on 1 to 4 segments, asked at up to 32",
    )
    recalls(claim)
    memory(claim)
    growth(claim)
    claim.conclude()
