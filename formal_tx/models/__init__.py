"""Published models through the paper's algorithms: GPT-2, Llama, BERT and others are values of hyperparameters.

model = load("path/to/SmolLM2-135M")
model.logits(model.tokenizer.encode("Once upon a time"))
save("copy", model)
published("gpt2-xl")
"""

from .family import Family
from .loading import load
from .model import Model
from .registry import families, names, published
from .saving import save
from .tokenizer import PretrainedTokenizer

__all__ = ["Family", "Model", "PretrainedTokenizer", "families", "load", "names", "published", "save"]
