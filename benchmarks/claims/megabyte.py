"""MEGABYTE: what the global stack is for, what it is worth at equal compute, and how attention's cost grows.

python -m benchmarks.claims.megabyte [--quick]
"""

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import DTransformerHyperparameters, d_transformer_logits, init_d_transformer, masks
from formal_tx.attend import attend
from formal_tx.data import batches, corpus
from formal_tx.long_context.megabyte import MegabyteHyperparameters, bits_per_byte, init_megabyte, megabyte_logits
from formal_tx.losses import d_loss

from .claim import Claim, quick
from .growth import exponent, seconds
from .training import fit

PERIOD = 16
REPEATING = MegabyteHyperparameters(N_V=64, T_max=64, P=4, D_G=16, D_L=48, L_G=2, L_L=2, H_G=4, H_L=4)
T, BATCH = (64, 2) if quick() else (512, 8)
BYTES = MegabyteHyperparameters(T_max=T, P=8, D_G=24, D_L=48, L_G=2, L_L=2, H_G=4, H_L=4)
PLAIN = DTransformerHyperparameters(l_max=T + 1, L=2, H=4, d_e=64, d_mlp=268, N_V=257)
CUBES = {16: 4096, 20: 8000, 24: 13824, 32: 32768, 40: 64000}
"""Patches of P = ℓ^(1/3) bytes and the lengths ℓ = P³."""

WIDTH = 16


def of_layers(rows: float, pairs: float, d_e: int, d_mlp: int, L: int) -> float:
    """FLOPs of layers: so many rows, and so many pairs of a query and a key."""
    return L * (rows * 2 * (4 * d_e**2 + 2 * d_e * d_mlp) + pairs * 4 * d_e)


def below(n: int) -> int:
    """How many pairs (query, key) a causal mask leaves of n × n."""
    return n * (n + 1) // 2


def flops_of_megabyte(hp: MegabyteHyperparameters, length: int) -> float:
    """FLOPs of a forward pass, a multiplication and an addition counted as two."""
    K, of_global, of_local = length // hp.P, hp.global_stack, hp.local_stack
    patches = of_layers(K, below(K), of_global.d_e, of_global.d_mlp, hp.L_G)
    slots = of_layers(length, K * below(hp.P), of_local.d_e, of_local.d_mlp, hp.L_L)
    return patches + slots + 2 * length * hp.D_L * (hp.D_G + hp.N_V)


def flops_of_decoder(hp: DTransformerHyperparameters, length: int) -> float:
    """The same of a decoder without patches."""
    return of_layers(length, below(length), hp.d_e, hp.d_mlp, hp.L) + 2 * length * hp.d_e * hp.N_V


def repetition(claim: Claim) -> None:
    """Random bytes that repeat with a period of four patches: the local stack alone cannot know them."""
    steps = 10 if quick() else 500

    def batch(key):
        x = jax.random.randint(key, (32, PERIOD), 0, REPEATING.N_V)
        return jnp.tile(x, (1, REPEATING.T_max // PERIOD))

    def loss(with_global):
        def nats(params, x, key):
            if not with_global:
                params = params.replace(W_GL=jnp.zeros_like(params.W_GL))
            log_p = jax.nn.log_softmax(megabyte_logits(x, params, REPEATING))
            return -jnp.take_along_axis(log_p, x[..., None], axis=-1)[:, PERIOD:].mean()

        return nats

    params, curves, last = init_megabyte(jax.random.key(0), REPEATING), {}, {}
    for name, with_global in (("with the global stack", True), ("without it", False)):
        _, losses = fit(params, loss(with_global), batch, jax.random.key(1), steps=steps)
        curves[name] = (np.arange(0, steps, 10), np.asarray(losses)[::10])
        last[name] = claim.measured(f"period {PERIOD}, {name}: nats per repeated byte", losses[-10:].mean(), "nats")
    claim.holds("with the global stack below 0.2 nats", last["with the global stack"] < 0.2)
    claim.holds("without it above 4.0 of 4.16 nats", last["without it"] > 4.0)
    claim.panel(f"bytes with period {PERIOD}, patches of 4", "updates", "nats per byte", curves)


def english(claim: Claim) -> None:
    """Both models read raw bytes of English, for the same number of updates, each of the same number of FLOPs."""
    steps = 4 if quick() else 200
    train, held_out = (np.frombuffer(corpus.english(split).encode(), np.uint8) for split in ("train", "validation"))
    text = jnp.asarray(train)
    costs = {"MEGABYTE": flops_of_megabyte(BYTES, T), "a plain decoder": flops_of_decoder(PLAIN, T)}
    for name, cost in costs.items():
        claim.measured(f"forward FLOPs per byte, {name}", cost / T)
    claim.measured("FLOPs of MEGABYTE's training", 3 * costs["MEGABYTE"] * BATCH * steps)
    claim.measured("FLOPs of the plain decoder's training", 3 * costs["a plain decoder"] * BATCH * steps)

    def batch(key):
        start = jax.random.randint(key, (BATCH, 1), 0, len(text) - T)
        return text[start + jnp.arange(T)[None]].astype(int)

    def of_decoder(params, x, key=None):
        return d_loss(params, jnp.pad(x, ((0, 0), (1, 0)), constant_values=256), PLAIN, mean=True) / jnp.log(2.0)

    def of_megabyte(params, x, key=None):
        return bits_per_byte(params, x, BYTES)

    x = jnp.asarray(batches.consecutive(held_out, T)[: 2 if quick() else 64].astype(int))
    rivals = {
        "MEGABYTE": (init_megabyte(jax.random.key(0), BYTES), of_megabyte),
        "a plain decoder": (init_d_transformer(jax.random.key(0), PLAIN), of_decoder),
    }
    curves, found = {}, {}
    for name, (params, loss) in rivals.items():
        params, losses = fit(params, loss, batch, jax.random.key(1), steps=steps, rate=3e-3)
        curves[name] = (np.arange(0, steps, 10), [losses[i : i + 10].mean() for i in range(0, steps, 10)])
        found[name] = claim.measured(f"held-out books, {name}", jax.jit(loss)(params, x), "bits per byte")
    claim.holds("at equal compute MEGABYTE costs fewer bits per byte", found["MEGABYTE"] < found["a plain decoder"])
    claim.panel(f"English, {T} bytes, equal FLOPs", "updates", "bits per byte", curves)


@jax.jit
def attention_of_layers(of_patches, of_slots):
    """The attention of eight layers on both levels, without their matrices: queries, keys and values are the same."""

    def layer(levels, _):
        return tuple(attend(X, X, X, masks.causal) for X in levels), None

    return jax.lax.scan(layer, (of_patches, of_slots), None, length=8)[0]


def growth(claim: Claim) -> None:
    """Attention on both levels, of the same width, with P = ℓ^(1/3): counted, and measured."""
    cubes = {2: 8, 4: 64} if quick() else CUBES
    lengths = list(cubes.values())

    def of_length(length):
        P = round(length ** (1 / 3))
        axes = (1, length // P, WIDTH), (length // P, 1, P, WIDTH)
        levels = [jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate(axes)]
        return lambda: attention_of_layers(*levels)

    pairs = [below(length // P) + length // P * below(P) for P, length in cubes.items()]
    times = seconds(of_length, lengths, rounds=7)
    counted, measured = exponent(lengths, pairs), exponent(lengths, times)
    claim.measured("attention's FLOPs grow as ℓ^p with p", counted)
    claim.measured("attention's time grows as ℓ^p with p", measured)
    claim.holds("FLOPs grow as ℓ^p with p within 0.1 of 4/3", abs(counted - 4 / 3) <= 0.1)
    claim.holds("time grows as ℓ^p with p within 0.1 of 4/3", abs(measured - 4 / 3) <= 0.1)
    if measured < 4 / 3 - 0.1:
        claim.note(
            "time grows less than the operations: products of 16 × 16 and of a few hundred rows run far below the rate "
            "of the machine, and those of the longer lengths nearer to it"
        )
    if measured > 4 / 3 + 0.1:
        claim.note(
            "the scores of the longest lengths take tens of megabytes: where other programs leave them no cache, or "
            "pages are mapped anew for each, memory is what is timed, and not attention"
        )
    curves = {"measured": (lengths, times)}
    curves["ℓ^(4/3)"] = (lengths, [times[0] * (length / lengths[0]) ** (4 / 3) for length in lengths])
    claim.panel("attention of 8 layers, P = ℓ^(1/3)", "bytes", "seconds", curves, logarithmic=True)


def forward(claim: Claim) -> None:
    """A forward pass beside that of a plain decoder as wide as the global stack."""
    length = 64 if quick() else 4096
    hp = MegabyteHyperparameters(T_max=length, P=16, D_G=16, D_L=64, L_G=2, L_L=2, H_G=4, H_L=4)
    plain = DTransformerHyperparameters(l_max=length, L=2, H=4, d_e=256, d_mlp=1024, N_V=256)
    params, of_plain = init_megabyte(jax.random.key(0), hp), init_d_transformer(jax.random.key(0), plain)
    x = jax.random.randint(jax.random.key(1), (length,), 0, 256)
    models = (lambda: megabyte_logits(x, params, hp)), (lambda: d_transformer_logits(x, of_plain, plain))
    ours, others = seconds(lambda i: models[i], range(2), rounds=3)
    times = claim.measured(
        f"ℓ = {length}, P = 16: a plain decoder of width P·D_G takes so many times as long", others / ours
    )
    claim.holds("MEGABYTE's forward pass is more than 5 times as fast", times > 5)


def main() -> None:
    claim = Claim(
        system="megabyte",
        paper="2305.07185",
        says="a decoder of bytes in patches costs ℓ^(4/3) in attention, and at equal compute models them better than a "
        "plain one",
        here="random bytes of period 16; raw bytes of the English Bible; attention of 4k to 64k bytes in patches of "
        "ℓ^(1/3); a forward pass of 4096 bytes",
    )
    repetition(claim)
    english(claim)
    growth(claim)
    forward(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
