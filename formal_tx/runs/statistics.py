"""What is worth knowing before the first step: how much text there is, what it is made of, how large the model is."""

from typing import Any

import jax

from .configuration import Configuration
from .preparation import Prepared


def statistics(c: Configuration, data: Prepared, params: Any) -> dict[str, Any]:
    """Sizes of text, vocabulary, model and epochs, for people and for JSON."""
    return {
        "architecture": c.architecture,
        "parameters": sum(W.size for W in jax.tree.leaves(params)),
        "tokenizer": c.tokenizer,
        "steps": c.steps,
        "epochs": round(c.steps / data.batches.steps_per_epoch, 2),
        "train": data.batches.statistics(),
        "held_out": data.held_out_batches.statistics(),
    }
