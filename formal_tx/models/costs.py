"""What a model costs, line by line of its algorithm: parameters, and FLOPs for a token. From shapes alone."""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from ..runs.outline import by_name
from . import tables

ALGORITHMS = {"decoder": 10, "encoder": 9, "encoder-decoder": 8}


@dataclass(frozen=True)
class LineCost:
    """What a line costs in all layers together.

    Attributes:
      line: its number in the algorithm. does: what it does.
      parameters: how many there are.
      flops: for one token, a multiplication and an addition counted as two.
      flops_per_seen: further ones for each token that it attends to.
      of: whose token: "x", or in Algorithm 8 "z" for one of the context. seen: which ones it attends to.
    """

    line: int
    does: str
    parameters: int
    flops: int
    flops_per_seen: int = 0
    of: str = "x"
    seen: str = "x"


# Line, what it does, the paths of its parameters, and the attention that it has: "self", "cross" or none.
_Entry = tuple[int, str, str, str]

_STACK = r"(W_mlp\d|b_mlp\d|W_gate|b_gate|gamma_mlp|beta_mlp|branch_{})\b"


def _norm(n: int, layers: str = "layers") -> str:
    return rf"{layers}\.(gamma|beta)_{n}$"


def _decoder(after: bool) -> list[_Entry]:
    return [
        (2, "embeddings", r"(W_e|W_p|gamma_e|beta_e)$", ""),
        (6 if after else 5, "norm", _norm(1), ""),
        (6, "attention", r"layers\.(attention|branch_1)\b|W_r$", "self"),
        (8 if after else 7, "norm", _norm(2), ""),
        (8, "MLP", r"layers\." + _STACK.format(2), ""),
        (10, "final norm", r"(gamma|beta)$", ""),
        (11, "unembedding", r"(W_u|b_u)$", ""),
    ]


def _encoder(after: bool) -> list[_Entry]:
    return [
        (2, "embeddings", r"(W_e|W_p|W_s|gamma_e|beta_e)$", ""),
        (5, "attention", r"layers\.(attention|branch_1)\b|W_r$", "self"),
        (6 if after else 5, "norm", _norm(1), ""),
        (7, "MLP", r"layers\." + _STACK.format(2), ""),
        (8 if after else 7, "norm", _norm(2), ""),
        (9, "norm after the last layer", r"(gamma|beta)_x$", ""),
        (10, "final projection", r"(W_f|b_f)$", ""),
        (11, "final norm", r"(gamma|beta)$", ""),
        (12, "unembedding", r"(W_u|b_u)$", ""),
    ]


def _encoder_decoder(after: bool) -> list[_Entry]:
    shift = 1 if after else 0
    return [
        (2, "embeddings", r"(W_e|W_p|W_pz|(gamma|beta)_e[zx])$", ""),
        (5, "attention of the encoder", r"encoder\.(attention|branch_1)\b|W_rz$", "self"),
        (5 + shift, "norm", _norm(1, "encoder"), ""),
        (7, "MLP of the encoder", r"encoder\." + _STACK.format(2), ""),
        (7 + shift, "norm", _norm(2, "encoder"), ""),
        (9, "norm after the encoder", r"(gamma|beta)_z$", ""),
        (14, "attention of the decoder", r"decoder\.(self_attention|branch_3)\b|W_rx$", "self"),
        (14 + shift, "norm", _norm(3, "decoder"), ""),
        (16, "attention to the context", r"decoder\.(cross_attention|branch_4)\b", "cross"),
        (16 + shift, "norm", _norm(4, "decoder"), ""),
        (18, "MLP of the decoder", r"decoder\." + _STACK.format(5), ""),
        (18 + shift, "norm", _norm(5, "decoder"), ""),
        (20, "norm after the decoder", r"(gamma|beta)_x$", ""),
        (21, "unembedding", r"(W_u|b_u)$", ""),
    ]


_ENTRIES = {"decoder": _decoder, "encoder": _encoder, "encoder-decoder": _encoder_decoder}


def costs(architecture: str, hyperparameters: Any) -> list[LineCost]:
    """The lines that have parameters or multiply by some, in the order in which they run."""
    hp = hyperparameters
    shapes = {name: leaf.shape for name, leaf in by_name(tables.expected(architecture, hp)).items()}
    entries = _ENTRIES[architecture](hp.placement.after)
    found: list[LineCost] = []
    for line, does, pattern, attention in entries:
        own = {name: shape for name, shape in shapes.items() if re.match(pattern, name)}
        unembeds = does == "unembedding" and hp.tied_embeddings and getattr(hp, "head", True)
        if not own and not unembeds:
            continue
        context = architecture == "encoder-decoder" and line < 10
        parameters = sum(map(prod, own.values()))
        if attention == "cross":
            found += _cross(line, does, own, parameters, hp)
            continue
        flops = _products(own) + (2 * hp.N_V * hp.d_e if unembeds else 0)
        per_seen = _scores(own, hp) if attention else 0
        of = "z" if context else "x"
        found.append(LineCost(line, does, parameters, flops, per_seen, of, of))
    return sorted(found, key=lambda cost: cost.line)


def _cross(line: int, does: str, own: dict[str, Any], parameters: int, hp: Any) -> list[LineCost]:
    """Keys and values are computed once for each token of the context, the rest for each token of the primary."""
    of_context = {name: shape for name, shape in own.items() if re.search(r"\.[Wb]_[kv]$|\.gamma_k$", name)}
    kept = sum(map(prod, of_context.values()))
    of_primary = {name: shape for name, shape in own.items() if name not in of_context}
    return [
        LineCost(line, "keys and values of the context", kept, _products(of_context), 0, "z", "z"),
        LineCost(line, does, parameters - kept, _products(of_primary), _scores(own, hp), "x", "z"),
    ]


def _products(own: dict[str, Any]) -> int:
    """FLOPs of a token's products with these."""
    return 2 * sum(prod(shape) for name, shape in own.items() if _multiplies(name))


def _multiplies(name: str) -> bool:
    """Whether a parameter is a matrix by which a token is multiplied, and not a table of which a row is taken."""
    return bool(re.search(r"(^|\.)W_(q|k|v|o|mlp\d|gate|f|u)$", name))


def _scores(own: dict[str, Any], hp: Any) -> int:
    """Lines 4 and 6 of Algorithm 4 in all layers and heads, for one query and one key."""
    layers = next(shape[0] for name, shape in own.items() if name.endswith("W_o"))
    return 2 * layers * hp.H * (hp.d_attn + hp.d_mid)


def cache_numbers(architecture: str, hyperparameters: Any) -> int:
    """How many numbers the key/value cache has for each token; 0 for an encoder, which has none."""
    hp = hyperparameters
    layers = {"decoder": lambda: hp.L, "encoder": lambda: 0, "encoder-decoder": lambda: hp.L_dec}[architecture]()
    return layers * hp.key_value_heads * (hp.d_attn + hp.d_mid)
