"""ANNalog: from a molecule to similar ones, both written as SMILES.

Algorithm 8 as in 2017, but for learned positions in each half, and embeddings of its own for each.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from ..hyperparameters import Biases, EDTransformerHyperparameters
from . import tables
from .forms import Heads
from .model import Model
from .pickle_stream import read_stream
from .pickles import read_pickle
from .tables import Row, row

H = 8  # the only number that the checkpoint does not say


def load_annalog(
    checkpoint: str | os.PathLike[str], vocabulary: str | os.PathLike[str], dtype: Any = np.float32
) -> Model:
    """ANNalog from its checkpoint (`Lev_extended.pt`) and its vocabulary (`stereo_experiment_vocab_ttf.pkl`).

    Both are pickles, and nothing in them is executed.

    Raises:
      OSError: a file cannot be read.
      ValueError: a file is none of these, or a tensor is missing, left over, or of another shape than expected.
    """
    tensors = read_pickle(checkpoint)
    tokenizer = SMILESTokenizer.load(vocabulary)
    try:
        hyperparameters = _hyperparameters(tensors, tokenizer)
        params = tables.read(tensors, _rows(), "encoder-decoder", hyperparameters, dtype=dtype)
    except ValueError as error:
        raise ValueError(f"{checkpoint}: {error}") from None
    return Model("encoder-decoder", hyperparameters, jax.tree.map(jax.device_put, params), tokenizer=tokenizer)


def _hyperparameters(tensors: dict[str, np.ndarray], tokenizer: "SMILESTokenizer") -> EDTransformerHyperparameters:
    def shape(name: str) -> tuple[int, int]:
        if name not in tensors or tensors[name].ndim != 2:
            raise ValueError(f"there is no matrix {name}")
        rows, columns = tensors[name].shape
        return rows, columns

    def layers(half: str) -> int:
        return sum(bool(re.fullmatch(rf"{half}\.layers\.\d+\.ff_layer_norm\.weight", name)) for name in tensors)

    N_V, d_e = shape("decoder.tok_embedding.weight")
    return EDTransformerHyperparameters(
        l_max=shape("decoder.pos_embedding.weight")[0],
        l_max_z=shape("encoder.pos_embedding.weight")[0],
        L_enc=layers("encoder"),
        L_dec=layers("decoder"),
        H=H,
        d_e=d_e,
        d_mlp=shape("encoder.layers.0.positionwise_feedforward.fc_1.weight")[0],
        N_V=N_V,
        N_V_z=shape("encoder.tok_embedding.weight")[0],
        embedding_scale=d_e**0.5,
        biases=Biases(u=True),
        special_tokens=tokenizer.special_tokens,
    )


def _rows() -> list[Row]:
    """The table of names."""
    return [
        row("encoder.tok_embedding.weight", "W_ez"),
        row("encoder.pos_embedding.weight", "W_pz"),
        row("decoder.tok_embedding.weight", "W_e"),
        row("decoder.pos_embedding.weight", "W_p"),
        *_attention("encoder", "self_attention", "attention"),
        *_pair("encoder", "self_attn_layer_norm", "gamma_1 beta_1"),
        *_pair("encoder", "positionwise_feedforward.fc_1", "W_mlp1 b_mlp1"),
        *_pair("encoder", "positionwise_feedforward.fc_2", "W_mlp2 b_mlp2"),
        *_pair("encoder", "ff_layer_norm", "gamma_2 beta_2"),
        *_attention("decoder", "self_attention", "self_attention"),
        *_pair("decoder", "self_attn_layer_norm", "gamma_3 beta_3"),
        *_attention("decoder", "encoder_attention", "cross_attention"),
        *_pair("decoder", "enc_attn_layer_norm", "gamma_4 beta_4"),
        *_pair("decoder", "positionwise_feedforward.fc_1", "W_mlp3 b_mlp3"),
        *_pair("decoder", "positionwise_feedforward.fc_2", "W_mlp4 b_mlp4"),
        *_pair("decoder", "ff_layer_norm", "gamma_5 beta_5"),
        row("decoder.fc_out.weight", "W_u"),
        row("decoder.fc_out.bias", "b_u"),
    ]


def _attention(half: str, name: str, field: str) -> list[Row]:
    heads = [
        row(f"{half}.layers.{{i}}.{name}.fc_{of}.{kind}", f"{half}.{field}.heads.{letter}_{of}", Heads(of))
        for of in "qkv"
        for kind, letter in (("weight", "W"), ("bias", "b"))
    ]
    return [*heads, *_pair(half, f"{name}.fc_o", f"{field}.W_o {field}.b_o")]


def _pair(half: str, name: str, fields: str) -> list[Row]:
    weight, bias = fields.split()
    layer = f"{half}.layers.{{i}}.{name}"
    return [row(f"{layer}.weight", f"{half}.{weight}"), row(f"{layer}.bias", f"{half}.{bias}")]


@dataclass(frozen=True)
class SMILESTokenizer:
    """Atoms in brackets, ring numbers of two digits, Br and Cl are tokens; so is every other character.

    Attributes:
      tokens: the vocabulary, each token at its id, "<unk>", "<pad>", "<sos>" and "<eos>" among them.
    Raises:
      ValueError: a special token is missing, or a token is there twice.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [token for token in ("<unk>", "<pad>", "<sos>", "<eos>") if token not in self.tokens]
        if missing:
            raise ValueError(f"the vocabulary has no {', '.join(missing)}")
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("the vocabulary has a token twice")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SMILESTokenizer":
        """Reads the vocabulary of a pickle, a dict in which "itos" is the list of tokens; executes nothing.

        Raises:
          OSError: the file cannot be read. ValueError: it is none.
        """
        try:
            content = read_stream(Path(path).read_bytes())
            tokens = content.get("itos") if isinstance(content, dict) else None
            if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
                raise ValueError("it has no list of tokens 'itos'")
            return cls(tuple(tokens))
        except ValueError as error:
            raise ValueError(f"{path} is no vocabulary of ANNalog: {error}") from None

    @property
    def N_V(self) -> int:
        """The size of the vocabulary."""
        return len(self.tokens)

    @property
    def special_tokens(self) -> tuple[int, int, int]:
        """Mask, for which there is none and padding stands in, bos and eos."""
        mask, bos, eos = (self.tokens.index(token) for token in ("<pad>", "<sos>", "<eos>"))
        return mask, bos, eos

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        """The ids (ℓ,) of a molecule, from "<sos>" to "<eos>"; what is not in the vocabulary is "<unk>"."""
        known = {token: i for i, token in enumerate(self.tokens)}
        parts = ["<sos>", *_PARTS.findall(text), "<eos>"]
        return np.array([known.get(part, known["<unk>"]) for part in parts], np.int32)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The molecule of ids (ℓ,): up to the first "<eos>", without special tokens."""
        _, _, eos = self.special_tokens
        found: Sequence[int] = np.asarray(ids).tolist()
        found = found[: found.index(eos)] if eos in found else found
        return "".join(self.tokens[i] for i in found if not self.tokens[i].startswith("<"))


_PARTS = re.compile(r"\[[^\]]*\]|%\d{2}|Br|Cl|.", re.DOTALL)
