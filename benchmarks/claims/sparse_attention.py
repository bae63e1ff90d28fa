"""What sparse attention claims: time in proportion to the length, or to ℓ√ℓ, and how far a stack of windows reaches.

python -m benchmarks.claims.sparse_attention [--quick]
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from formal_tx import DTransformerHyperparameters, init_d_transformer, init_mh_attention, masks, mh_attention
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.implementation import attend_with
from formal_tx.long_context import sparse_attention as sparse

from .claim import Claim, quick
from .growth import exponent, seconds
from .training import fit

D, WIDTH, BLOCK, DRAWN = 32, 64, 64, 3
LENGTHS = (512, 1024) if quick() else (4096, 8192, 16384, 32768, 65536)
COMPARED = 512 if quick() else 8192

WINDOW, LAYERS, SYMBOLS, TEXT = 4, 2, 8, 32
STEPS, BATCH = (20, 8) if quick() else (1500, 32)


def timed(f: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """f, compiled, of these arguments."""
    return partial(jax.jit(f), *arguments)


def rows(length: int, *more: int) -> jax.Array:
    return jax.random.normal(jax.random.key(length), (*more, length, D))


def whole_layer(mask_of: Callable[[int], masks.Mask]) -> Callable[[int], Callable[[], Any]]:
    """Algorithm 5 with a mask: attention visits the blocks that the mask's reach names."""
    params = init_mh_attention(jax.random.key(0), d_x=D, d_z=D, d_attn=D, d_mid=D, d_out=D, H=1)

    def of_length(length: int) -> Callable[[], Any]:
        return timed(lambda X, mask: mh_attention(X, X, params, mask), rows(length), mask_of(length))

    return of_length


def blocks(length: int) -> jax.Array:
    return sparse.random_blocks(jax.random.key(0), length // BLOCK, DRAWN)


def by_blocks(length: int) -> Callable[[], Any]:
    return timed(lambda A: sparse.banded_attention(A, A, A, WIDTH, WIDTH), rows(length))


def bigbird(length: int) -> Callable[[], Any]:
    return timed(lambda A, drawn: sparse.bigbird_attention(A, A, A, BLOCK, drawn), rows(length), blocks(length))


def longformer(length: int) -> Callable[[], Any]:
    params = sparse.init_longformer(jax.random.key(0), d_e=D, d_attn=D, d_mid=D, d_out=D, H=1)
    return timed(lambda X: sparse.longformer_attention(X, params, WIDTH, jnp.array([0])), rows(length))


def strided(length: int) -> Callable[[], Any]:
    """Both parts of a Sparse Transformer, one after the other, in four heads, with a stride of about √ℓ.

    Of columns of 128 tokens and more `attend` would leave out 3/8 of the scores, which mixes two curves.
    """
    s = 4 * round(length**0.5 / 4)

    def both(A: jax.Array) -> jax.Array:
        near = sparse.banded_attention(A, A, A, s - 1, 0)
        return sparse.strided_attention(near, near, near, s)

    A = rows(length, 4)
    with attend_with("dense"):
        return partial(jax.jit(both).lower(A).compile(), A)


FORMS: dict[str, tuple[float, Callable[[int], Callable[[], Any]]]] = {
    "banded, mask": (1, whole_layer(lambda length: sparse.banded(WIDTH, WIDTH))),
    "banded, blocks": (1, by_blocks),
    "global + window, mask": (1, whole_layer(lambda length: sparse.global_tokens(WIDTH, [0], length))),
    "Longformer": (1, longformer),
    "BigBird, blocks": (1, bigbird),
    "local and strided, s = √ℓ": (1.5, strided),
}


def growth(claim: Claim) -> None:
    """The exponents of time in ℓ, and how much faster than full attention a band is."""
    curves = {}
    for name, (claimed, of_length) in FORMS.items():
        times = seconds(of_length, LENGTHS, rounds=2 if quick() else 9)
        curves[name] = (LENGTHS, times)
        p = claim.measured(f"{name}: exponent", exponent(LENGTHS, times))
        claim.measured(f"{name}: time at {LENGTHS[-1]}", 1e3 * times[-1], "ms")
        claim.holds(f"{name}: time grows as ℓ^p with p within 0.1 of {claimed}", abs(p - claimed) <= 0.1)
        if p < claimed - 0.1:
            claim.note(f"{name}: the operations grow as claimed, and longer columns are computed at a higher rate")
    claim.panel("one layer", "ℓ", "seconds", curves, logarithmic=True)

    dense = whole_layer(lambda length: masks.causal)
    (full,), (band,) = seconds(dense, (COMPARED,)), seconds(by_blocks, (COMPARED,))
    times = claim.measured(f"causal attention at ℓ = {COMPARED}, times as long as the band by blocks", full / band)
    claim.holds(f"at ℓ = {COMPARED} the band is at least 10 times as fast", times >= 10)
    (mask,) = seconds(whole_layer(lambda length: sparse.bigbird(length, BLOCK, blocks(length))), (COMPARED,))
    (gathered,) = seconds(bigbird, (COMPARED,))
    claim.measured(f"BigBird's mask at ℓ = {COMPARED}, times as long as its blocks", mask / gathered)


def copying(mask: masks.Mask, distance: int) -> float:
    """The accuracy of naming the token so many positions ago, after training a decoder with this mask."""
    hp = DTransformerHyperparameters(l_max=TEXT, L=LAYERS, H=4, d_e=32, d_mlp=64, N_V=SYMBOLS)

    def logits(params: Any, x: jax.Array) -> jax.Array:
        return logits_of(d_layers(x, params, hp, self_attend(mask))[0], params, hp)[:, distance:]

    def texts(key: jax.Array) -> jax.Array:
        return jax.random.randint(key, (BATCH, TEXT), 0, SYMBOLS)

    def loss(params: Any, x: jax.Array, key: jax.Array) -> jax.Array:
        del key
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), x[:, : TEXT - distance]).mean()

    of_params, data, test = jax.random.split(jax.random.key(distance), 3)
    params, _ = fit(init_d_transformer(of_params, hp), loss, texts, data, steps=STEPS, rate=5e-3)
    x = texts(test)
    return float((jnp.argmax(logits(params, x), axis=-1) == x[:, : TEXT - distance]).mean())


def reaches(claim: Claim) -> None:
    """What can be copied from within the reach of two layers, and from beyond."""
    reach = LAYERS * (WINDOW - 1)
    distances = (reach, reach + 1) if quick() else (WINDOW - 1, reach - 1, reach, reach + 1)
    beyond = distances[-1:]
    local = [copying(sparse.local(WINDOW), k) for k in distances]
    strides = [copying(sparse.strided(WINDOW, WINDOW), k) for k in beyond]
    for k, accuracy in zip(distances, local, strict=True):
        claim.measured(f"window of {WINDOW}, {LAYERS} layers: accuracy at distance {k}", accuracy)
    claim.measured(f"window and stride of {WINDOW}, {LAYERS} layers: accuracy at distance {beyond[0]}", strides[0])
    claim.holds(f"within the reach N (w - 1) = {reach} a window copies (≥ 0.95)", min(local[:-1]) >= 0.95)
    claim.holds("one token beyond, it is chance (≤ 0.2, chance being 0.125)", local[-1] <= 0.2)
    claim.holds("with a stride beside it, it is not (≥ 0.95)", strides[0] >= 0.95)
    curves = {"window": (distances, local), "window and stride": (beyond, strides)}
    claim.panel(f"the token k back, {LAYERS} layers", "k", "accuracy", curves)


def main() -> None:
    claim = Claim(
        system="sparse_attention",
        paper="1904.10509, 2004.05150, 2007.14062",
        says="windows, global tokens and random blocks cost time in proportion to ℓ, strided attention ℓ√ℓ; stacked "
        "windows reach N (w - 1) tokens back, a window and a stride every token in two layers",
        here=f"one layer of one head of width {D}, 2w + 1 keys with w = {WIDTH}, blocks of {BLOCK}, {DRAWN} of them "
        f"random; and two layers that learn to copy a token from a given distance, w = {WINDOW}",
    )
    reaches(claim)
    growth(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
