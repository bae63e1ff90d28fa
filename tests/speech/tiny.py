"""A Whisper of random weights, small enough to transcribe noise in a moment."""

import jax
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from formal_tx.hyperparameters import EDTransformerHyperparameters
from formal_tx.initialization import init_ed_transformer
from formal_tx.models import Model, PretrainedTokenizer
from formal_tx.models.families.whisper import variations

END, START, LANGUAGES = 30, 31, 2
FIRST_TIMESTAMP = START + LANGUAGES + 7
N_MELS, ROWS, L_MAX = 8, 1500, 28
N_V = FIRST_TIMESTAMP + ROWS + 1


def hyperparameters(**changes) -> EDTransformerHyperparameters:
    """Those of the tiny model."""
    sizes = {"l_max": L_MAX, "l_max_z": ROWS, "L_enc": 1, "L_dec": 2, "H": 2, "d_e": 12, "d_mlp": 10, "N_V": N_V}
    return EDTransformerHyperparameters(**variations(), **(sizes | {"special_tokens": (END, START, END)} | changes))


def tokenizer() -> PretrainedTokenizer:
    """Words of two letters, and the special tokens."""
    words = {f"{a}{b}": 5 * i + j for i, a in enumerate("bdfgkl") for j, b in enumerate("aeiou")}
    special = {"<|end|>": END, "<|start|>": START, "<|en|>": START + 1, "<|es|>": START + 2}
    made = Tokenizer(WordLevel(words | special, unk_token="ba"))
    made.add_special_tokens(list(special))
    return PretrainedTokenizer(made)


def model(seed: int = 0, **config) -> Model:
    """The model. The embeddings of text are large, so that it rather writes that than timestamps, which are many."""
    hp = hyperparameters()
    params = init_ed_transformer(jax.random.key(seed), hp)
    size = np.where(np.arange(N_V) < END, 6, 0.5).astype(np.float32)
    params = params.replace(W_e=params.W_e * size[:, None])
    random = np.random.default_rng(seed)
    shapes = {"conv1.weight": (12, N_MELS, 3), "conv1.bias": (12,), "conv2.weight": (12, 12, 3), "conv2.bias": (12,)}
    extras = {
        f"model.encoder.{name}": (0.3 * random.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()
    }
    entries = {"model_type": "whisper", "suppress_tokens": [3], "begin_suppress_tokens": [END], **config}
    return Model("encoder-decoder", hp, params, "whisper", tokenizer(), entries, extras)
