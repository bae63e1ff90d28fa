"""The same by Hugging Face's `generate`, in float32 and with its cache."""

from collections.abc import Callable

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from .prompts import prompts


def generate(directory: str, batch: int, prompt: int, tokens: int) -> Callable[[], np.ndarray]:
    """Of a model from disk, the tokens (batch, tokens) that follow random prompts."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    x = torch.tensor(prompts(batch, prompt, model.config.vocab_size).astype(np.int64))
    options = {
        "attention_mask": torch.ones_like(x),
        "do_sample": False,
        "use_cache": True,
        "min_new_tokens": tokens,
        "max_new_tokens": tokens,
        "pad_token_id": 0,
    }

    def run() -> np.ndarray:
        with torch.inference_mode():
            return model.generate(x, **options)[:, prompt:].numpy()

    return run
