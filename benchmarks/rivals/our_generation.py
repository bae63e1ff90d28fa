"""Greedy continuations by Algorithm 14."""

from collections.abc import Callable

import jax
import numpy as np

from formal_tx import d_inference
from formal_tx.inference.filters import greedy
from formal_tx.models import load
from formal_tx.quantization import quantize

from .prompts import prompts


def generate(path: str, batch: int, prompt: int, tokens: int, weights: str = "float32") -> Callable[[], np.ndarray]:
    """Of a model from disk, the tokens (batch, tokens) that follow random prompts; `weights` may be int8."""
    model = load(path)
    params = quantize(model.params) if weights == "int8" else model.params
    x = prompts(batch, prompt, model.hyperparameters.N_V)
    key = jax.random.key(0)

    def run() -> np.ndarray:
        y = d_inference(x, params, model.hyperparameters, length=tokens, key=key, filters=greedy())
        return np.asarray(y)

    return run
