"""What differs between training a decoder, an encoder and an encoder-decoder: Algorithms 13, 12 and 11.

A task is a pair of pure functions. `update` is the algorithm with an optimiser, a batch and a `Practice`; `held_out` is
its loss, as a sum, and the number of tokens that it sums over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from ..hyperparameters import Hyperparameters
from ..initialization import init_d_transformer, init_e_transformer, init_ed_transformer
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
      init: random parameters, of (key, hyperparameters).
      update: of (params, optimizer_state, batch, key) -> (params, `History`).
      held_out: of (params, batch, key) -> the summed loss in nats, and how many tokens were scored.
    """

    init: Callable[..., Any]
    update: Callable[..., Any]
    held_out: Callable[..., tuple[jax.Array, jax.Array]]


def task(c: Configuration, hp: Hyperparameters, optimizer: Any) -> Task:
    """The task of a configuration's architecture."""
    options = {
        "epochs": 1,
        "optimizer": optimizer,
        "batch_size": c.batch_size // c.accumulate,
        "mean": True,
        "history": True,
    }
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


def _decoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    def update(params, state, batch, key):
        x, segments = batch["x"], batch["segments"]
        return d_training(x, params, hp, segments=segments, practice=practice(c, key), optimizer_state=state, **options)

    def held_out(params, batch, key):
        x, segments, lengths = batch["x"], batch["segments"], batch["lengths"]
        loss = d_loss(params, x, hp, lengths, segments=segments)
        return loss, next_tokens(x, lengths, segments)[1].sum()

    return Task(init_d_transformer, update, held_out)


def _encoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    masking = MASKING[c.masking]

    def update(params, state, batch, key):
        mask_key, practice_key = jax.random.split(key)
        return e_training(
            batch["x"],
            params,
            hp,
            segments=batch["segments"],
            mask_probability=c.mask_probability,
            masking=masking,
            key=mask_key,
            practice=practice(c, practice_key),
            optimizer_state=state,
            **options,
        )

    def held_out(params, batch, key):
        x, segments, lengths = batch["x"], batch["segments"], batch["lengths"]
        x_tilde, chosen = masking(key, x, hp, c.mask_probability)
        chosen = batch["counted"] & (x_tilde == hp.mask_token if chosen is None else chosen)
        return e_loss(params, x_tilde, x, hp, lengths, segments=segments, chosen=chosen), chosen.sum()

    return Task(init_e_transformer, update, held_out)


def _encoder_decoder(c: Configuration, hp: Any, options: dict[str, Any]) -> Task:
    def update(params, state, batch, key):
        z, x, lengths = batch["z"], batch["x"], {name: batch[name] for name in ("z_lengths", "x_lengths")}
        size = len(z) // c.accumulate
        return ed_training(
            z,
            x,
            params,
            hp,
            practice=practice(c, key),
            optimizer_state=state,
            **lengths,
            **{**options, "batch_size": size},
        )

    def held_out(params, batch, key):
        z, x, z_lengths, x_lengths = (batch[name] for name in ("z", "x", "z_lengths", "x_lengths"))
        loss = ed_loss(params, z, x, hp, z_lengths, x_lengths)
        return loss, next_tokens(x, x_lengths)[1].sum()

    return Task(init_ed_transformer, update, held_out)
