"""Tiny models in the form of Hugging Face, written without transformers."""

import json

import jax
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from formal_tx.models import families
from formal_tx.models.safetensors_file import write_safetensors
from formal_tx.models.tables import expected, write

GPT2 = {"model_type": "gpt2", "n_embd": 6, "n_layer": 2, "n_head": 2, "n_positions": 8, "vocab_size": 11}
OPT = {
    "model_type": "opt",
    "hidden_size": 6,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "ffn_dim": 5,
    "max_position_embeddings": 8,
    "vocab_size": 11,
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 5,
    "max_position_embeddings": 8,
    "vocab_size": 11,
}
IDS = np.array([3, 1, 4, 1, 5])


def random_params(hp, dtype=np.float32):
    """Random parameters of a decoder."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda W: random.normal(size=W.shape).astype(dtype), expected("decoder", hp))


def tensors_of(config, dtype=np.float32):
    """Random tensors of a model with this configuration."""
    family = families()[config["model_type"]]
    hp = family.hyperparameters(config)
    return write(random_params(hp, dtype), family.rows(hp), hp)


def make(directory, config=GPT2, tensors=None, dtype=np.float32):
    """A directory with a model of this configuration."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    write_safetensors(directory / "model.safetensors", tensors_of(config, dtype) if tensors is None else tensors)
    return directory


def words(n):
    """A tokenizer of n words."""
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(n)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def same(a, b):
    """The same parameters, to the bit."""
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
