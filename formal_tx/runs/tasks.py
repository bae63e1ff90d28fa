"""What differs between training a decoder, an encoder and an encoder-decoder: Algorithms 13, 12 and 11.

A task is a pair of pure functions. `update` is the algorithm with an optimiser, a batch and a `Practice`; `held_out` is
its loss, as a sum, and the number of tokens that it sums over.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax

from ..hyperparameters import Hyperparameters
from ..losses import d_loss, e_loss, ed_loss, next_tokens
from ..masking import mask_tokens, mask_tokens_as_bert
from ..practice import Practice
from ..training import d_training, e_training, ed_training
from .configuration import Configuration

Batch = dict[str, Any]
MASKING: dict[str, Callable] = {"printed": mask_tokens, "bert": mask_tokens_as_bert}


@dataclass(frozen=True)
class Task:
    """One of the three ways to train.

    Attributes:
      update: of (params, optimizer_state, batch, key) -> (params, `History`).
      held_out: of (params, batch, key) -> the summed loss in nats, and how many tokens were scored.
    """

    update: Callable[..., Any]
    held_out: Callable[..., tuple[jax.Array, jax.Array]]


def task(c: Configuration, hp: Hyperparameters, optimizer: Any) -> Task:
    """The task of a configuration's architecture."""
    options = {"epochs": 1, "optimizer": optimizer, "mean": True, "history": True}
    return {"decoder": _decoder, "encoder": _encoder, "encoder-decoder": _encoder_decoder}[c.architecture](
        c, hp, options
    )


def practice(c: Configuration, key: jax.Array) -> Practice:
    """What the configuration adds to the printed algorithm."""
    return Practice(
        key=key,
        dropout=c.dropout,
        label_smoothing=c.label_smoothing,
        dtype=None if c.dtype == "float32" else c.dtype,
        remat=c.remat,
        # The gradient of a mean over thousands of tokens would be 0 in float16.
        loss_scale=1024.0 if c.dtype == "float16" else 1.0,
    )


def masked(c: Configuration, hp: Hyperparameters, x: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What an encoder sees of `x` (..., ℓ), and which of its tokens it has to guess."""
    x_tilde, chosen = MASKING[c.masking](key, x, hp, c.mask_probability)
    return x_tilde, x_tilde == hp.mask_token if chosen is None else chosen


def total(held_out: Callable, params: Any, batches: Iterable[Batch], key: jax.Array) -> tuple[float, int]:
    """What a task's `held_out` gives for all batches together: the loss in nats, and the number of tokens."""
    nats, tokens = 0.0, 0
    for n, batch in enumerate(batches):
        loss, count = held_out(params, batch, jax.random.fold_in(key, n))
        nats, tokens = nats + float(loss), tokens + int(count)
    return nats, tokens


def _decoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    def update(params, state, batch, key):
        x = batch["x"]
        return d_training(
            x,
            params,
            hp,
            segments=batch["segments"],
            batch_size=len(x) // c.accumulate,
            practice=practice(c, key),
            optimizer_state=state,
            **options,
        )

    def held_out(params, batch, key):
        x, segments, lengths = batch["x"], batch["segments"], batch["lengths"]
        loss = d_loss(params, x, hp, lengths, segments=segments)
        return loss, next_tokens(x, lengths, segments)[1].sum()

    return Task(update, held_out)


def _encoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    def update(params, state, batch, key):
        x, (mask_key, practice_key) = batch["x"], jax.random.split(key)
        return e_training(
            x,
            params,
            hp,
            segments=batch["segments"],
            batch_size=len(x) // c.accumulate,
            mask_probability=c.mask_probability,
            masking=MASKING[c.masking],
            key=mask_key,
            practice=practice(c, practice_key),
            optimizer_state=state,
            **options,
        )

    def held_out(params, batch, key):
        x, segments, lengths = batch["x"], batch["segments"], batch["lengths"]
        x_tilde, chosen = masked(c, hp, x, key)
        chosen = batch["counted"] & chosen
        return e_loss(params, x_tilde, x, hp, lengths, segments=segments, chosen=chosen), chosen.sum()

    return Task(update, held_out)


def _encoder_decoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    def update(params, state, batch, key):
        z, x, lengths = batch["z"], batch["x"], {name: batch[name] for name in ("z_lengths", "x_lengths")}
        return ed_training(
            z,
            x,
            params,
            hp,
            batch_size=len(z) // c.accumulate,
            practice=practice(c, key),
            optimizer_state=state,
            **lengths,
            **options,
        )

    def held_out(params, batch, key):
        z, x, z_lengths, x_lengths = (batch[name] for name in ("z", "x", "z_lengths", "x_lengths"))
        loss = ed_loss(params, z, x, hp, z_lengths, x_lengths)
        return loss, next_tokens(x, x_lengths)[1].sum()

    return Task(update, held_out)
