"""How a model differs from the printed algorithm, in words: from the hyperparameters that the paper does not have."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from .. import activations, normalization, positional, scores
from ..hyperparameters import Biases
from ..placement import BRANCH, PARALLEL, PARALLEL_ONE_NORM, POST, PRE, SANDWICH, SUB_LN

_ACTIVATIONS = {
    activations.relu: "ReLU",
    activations.gelu: "the exact GELU",
    activations.gelu_tanh: "the GELU by tanh",
    activations.gelu_sigmoid: "the GELU by a sigmoid, x σ(1.702 x)",
    activations.silu: "SiLU, x σ(x)",
    activations.sigmoid: "the sigmoid",
    activations.tanh: "tanh",
}
_NORMS = {
    normalization.layer_norm: "layer norm",
    normalization.rms_norm: "RMSNorm: divided by the root of the mean square, no mean is taken off",
    normalization.rms_norm_about_one: "RMSNorm with the scale 1 + γ",
}
_PLACEMENTS = {
    PRE: "norms stand before each sub-layer, and not after its sum",
    POST: "norms stand after the sum of each sub-layer, and not before it",
    SANDWICH: "norms stand before and after each sub-layer, within its branch",
    BRANCH: "norms stand after each sub-layer, within its branch, and not before it",
    SUB_LN: "norms stand before each sub-layer and before its last matrix (sub-LN)",
    PARALLEL: "attention and the MLP read the same vector, each through its own norm, and are added together",
    PARALLEL_ONE_NORM: "attention and the MLP read the same vector through one norm, and are added together",
}
_GATES = {
    activations.silu: "SwiGLU",
    activations.sigmoid: "GLU",
    activations.gelu: "GEGLU",
    activations.gelu_tanh: "GEGLU",
}
_BIASES = {
    "q": "queries",
    "k": "keys",
    "v": "values",
    "o": "attention's output",
    "mlp": "the MLP",
    "norm": "the norms (β)",
    "u": "the logits",
}
_TABLES = {
    None: "no table of positions is added to the embeddings",
    positional.interleaved_sinusoids: "positions are sinusoids, and not learned",
    positional.sinusoid_halves: "positions are sinusoids, all sines first, and not learned",
    positional.whisper_sinusoids: "positions are sinusoids, sines first, the slowest of base 10000, and not learned",
}


def differences(hyperparameters: Any) -> list[str]:
    """A sentence for each variation that differs from the print; none for the printed algorithm."""
    hp = hyperparameters
    found = [_WORDS.get(name, _by_value(name))(value, hp) for name, value in hp.varied().items()]
    if hp.tied_embeddings:
        found.append("the unembedding matrix is W_e (the paper's option)")
    return [sentence for sentence in found if sentence]


def _by_value(name: str) -> Callable[[Any, Any], str]:
    return lambda value, hp: f"{name} is {spelled(value)}"


def spelled(value: Any) -> str:
    """A value as a reader writes it: functions by their names, objects by their names and what is set of them."""
    if is_dataclass(value) and not isinstance(value, type):
        given = [(f.name, getattr(value, f.name)) for f in fields(value)]
        return f"{type(value).__name__}({', '.join(f'{n}={spelled(v)}' for n, v in given if v is not None)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))})"
    return getattr(value, "__name__", repr(value))


def _activation(value: Any, hp: Any) -> str:
    return f"the activation is {_ACTIVATIONS.get(value, spelled(value))}"


def _gated(value: bool, hp: Any) -> str:
    name = f" ({_GATES[hp.activation]})" if hp.activation in _GATES else ""
    return f"the MLP has a gate{name}: a third matrix, whose activation multiplies what the first one gives"


def _biases(value: Biases, hp: Any) -> str:
    printed = Biases()
    without = [word for name, word in _BIASES.items() if getattr(printed, name) and not getattr(value, name)]
    more = [word for name, word in _BIASES.items() if getattr(value, name) and not getattr(printed, name)]
    if len(without) == sum(getattr(printed, f.name) for f in fields(printed)):
        without = ["anything"]
    said = [f"no biases of {', '.join(without)}"] if without else []
    return "; ".join(said + ([f"biases of {', '.join(more)}"] if more else []))


def _heads(value: Any, hp: Any) -> str:
    n = hp.key_value_heads
    if n == 1:
        return "all queries share one head of keys and values (multi-query attention)"
    return f"keys and values have {n} heads, each shared by {hp.H // n} consecutive queries (grouped-query attention)"


def _rotate(value: Any, hp: Any) -> str:
    if not isinstance(value, positional.Rotary):
        return f"queries and keys are turned by {spelled(value)}"
    r = hp.d_attn if value.size is None else value.size
    which = "all features" if r == hp.d_attn else f"the first {r} of {hp.d_attn} features"
    pairs = "neighbours in pairs" if value.neighbours else "each half's with the other half's"
    scaled = "" if value.scaling is None else f", frequencies changed by {spelled(value.scaling)}"
    return f"queries and keys are turned by their positions (RoPE): {which}, {pairs}, base {value.base:g}{scaled}"


def _score(value: Any, hp: Any) -> str:
    if isinstance(value, scores.InTurn):
        return "; ".join(_score(one, hp) for one in value.scores)
    if isinstance(value, positional.Alibi):
        return "scores fall with distance, by a slope of each head's own (ALiBi)"
    if isinstance(value, positional.RelativeBuckets):
        return f"scores have a learned term for the distance, in {value.rows} buckets"
    if isinstance(value, scores.SoftCap):
        return f"scores are {value.cap:g} tanh(S / {value.cap:g})"
    return f"scores are changed by {spelled(value)}"


def _windows(value: tuple[int | None, ...], hp: Any) -> str:
    said = ["everything" if w is None else f"the last {w} tokens" for w in value]
    if len(set(said)) == 1:
        return f"a token sees {said[0]}"
    return f"layers see, in turn, {', '.join(said)}" if len(said) <= 4 else "some layers see " + sorted(set(said))[-1]


_WORDS: dict[str, Callable[[Any, Any], str]] = {
    "special_tokens": lambda value, hp: (
        f"mask, bos and eos are the tokens {', '.join(map(str, value))}, not the last three"
    ),
    "H_kv": _heads,
    "norm": lambda value, hp: f"the norm is {_NORMS.get(value, spelled(value))}",
    "placement": lambda value, hp: _PLACEMENTS.get(value, f"norms stand as {spelled(value)}"),
    "activation": _activation,
    "gated": _gated,
    "biases": _biases,
    "table": lambda value, hp: _TABLES.get(value, f"positions are {spelled(value)}, and not learned"),
    "rotate": _rotate,
    "score": _score,
    "decoder_score": lambda value, hp: f"in the decoder {_score(value, hp)}",
    "scale": lambda value, hp: f"scores are multiplied by {value:g}, not 1/√d_attn = {hp.d_attn**-0.5:g}",
    "normalise_qk": lambda value, hp: (
        "queries and keys are normalised"
        + (", all heads together" if getattr(value, "all_heads", False) else ", each head for itself")
    ),
    "windows": _windows,
    "embedding_scale": lambda value, hp: (
        f"embeddings are multiplied by {value:g}" + (" = √d_e" if abs(value - hp.d_e**0.5) < 1e-9 else "")
    ),
    "embedding_norm": lambda value, hp: "embeddings are normalised before the first layer",
    "layer_scale": lambda value, hp: "each sub-layer's output is scaled feature by feature (LayerScale)",
    "logit_scale": lambda value, hp: f"logits are multiplied by {value:g}",
    "logit_cap": lambda value, hp: (
        f"logits are {value.cap:g} tanh(logit / {value.cap:g})"
        if isinstance(value, scores.SoftCap)
        else f"logits are changed by {spelled(value)}"
    ),
    "final_norm": lambda value, hp: (
        "there is a norm after the last layer" if value else "there is no norm after the last layer"
    ),
    "N_S": lambda value, hp: f"{value} types of tokens have embeddings, which are added",
    "head": lambda value, hp: "" if value else "it ends with line 9: there are no logits",
    "l_max_z": lambda value, hp: f"the context has its own table of {value} positions",
}
