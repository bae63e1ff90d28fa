"""The parameters of a Hugging Face GPT-2 or BERT as those of Algorithms 10 and 9."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ...hyperparameters import DTransformerHyperparameters, ETransformerHyperparameters
from ...parameters import (
    AttentionParameters,
    DTransformerParameters,
    ETransformerParameters,
    LayerParameters,
    MHAttentionParameters,
)

State = Mapping[str, Any]
"""Arrays by the names of a module's `state_dict`."""


def kind_of(model: Any, function: str) -> str:
    """`gpt2` or `bert`.

    Raises:
      TypeError: for anything else.
    """
    kind = getattr(getattr(model, "config", None), "model_type", None)
    if kind not in ("gpt2", "bert") or not hasattr(model, "state_dict"):
        raise TypeError(
            f"{function}: model is of type {type(model).__name__}, expected a GPT-2 (GPT2LMHeadModel, GPT2Model) or a "
            "BERT (BertForMaskedLM, BertModel) of Hugging Face transformers"
        )
    return kind


def body_of(model: Any) -> Any:
    """The model without its head."""
    return getattr(model, model.base_model_prefix, model)


def head_of(model: Any) -> Any:
    """GPT-2's `lm_head`, or BERT's module of transform and decoder; None for a model without."""
    return getattr(model, "lm_head", None) or getattr(getattr(model, "cls", None), "predictions", None)


def parameters_of(model: Any) -> tuple[Any, Any]:
    """The parameters of a GPT-2 or BERT, as arrays of its dtype, and its hyperparameters.

    What the paper has no place for:

    * BERT's token types: the embedding of type 0, which every token has by default, is added to `W_p`.
    * BERT's layer norm of the embedding, and the bias of its logits: left out, so line 3 and the logits differ.
    * The form of GELU: the paper's is exact, so line 8 (GPT-2) and lines 7 and 10 (BERT) differ for another.

    A model without a head gets the paper's own least one: tied embeddings, and for BERT W_f = I, b_f = 0, γ = 1, β = 0.

    Raises:
      TypeError: for another model. ValueError: for one in half precision, or without layers.
    """
    kind = kind_of(model, "parameters_of")
    require_dtype(model, "parameters_of")
    if model.config.num_hidden_layers < 1:
        raise ValueError("parameters_of: model has no layers, expected at least 1")
    return _gpt2(model) if kind == "gpt2" else _bert(model)


def require_dtype(model: Any, function: str) -> str:
    """The model's dtype, float32 or float64."""
    name = str(model.dtype).removeprefix("torch.")
    if name not in ("float32", "float64"):
        raise ValueError(f"{function}: model is in {name}, expected float32 or float64: model.double() is best")
    return name


def _state(module: Any) -> State:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def _gpt2(model: Any) -> tuple[DTransformerParameters, DTransformerHyperparameters]:
    config, body, head = model.config, body_of(model), head_of(model)
    s = _state(body)
    tied = head is None or head.weight is body.wte.weight
    layers = [_gpt2_layer(s, f"h.{i}.", config.num_attention_heads) for i in range(config.num_hidden_layers)]
    hyperparameters = DTransformerHyperparameters(
        L=len(layers),
        d_mlp=s["h.0.mlp.c_fc.bias"].size,
        epsilon=config.layer_norm_epsilon,
        **_sizes(s["wte.weight"], s["wpe.weight"], config, tied),
    )
    params = DTransformerParameters(
        W_e=s["wte.weight"],
        W_p=s["wpe.weight"],
        layers=_stacked(layers),
        gamma=s["ln_f.weight"],
        beta=s["ln_f.bias"],
        W_u=None if tied else _state(head)["weight"],
    )
    return params, hyperparameters


def _gpt2_layer(s: State, at: str, H: int) -> LayerParameters:
    """Matrices are (d_in, d_out) in GPT-2, and W_q, W_k and W_v are one."""
    W_q, W_k, W_v = np.split(s[f"{at}attn.c_attn.weight"].T, 3)
    b_q, b_k, b_v = np.split(s[f"{at}attn.c_attn.bias"], 3)
    return LayerParameters(
        attention=MHAttentionParameters(
            heads=_heads(H, W_q, b_q, W_k, b_k, W_v, b_v),
            W_o=s[f"{at}attn.c_proj.weight"].T,
            b_o=s[f"{at}attn.c_proj.bias"],
        ),
        gamma_1=s[f"{at}ln_1.weight"],
        beta_1=s[f"{at}ln_1.bias"],
        W_mlp1=s[f"{at}mlp.c_fc.weight"].T,
        b_mlp1=s[f"{at}mlp.c_fc.bias"],
        W_mlp2=s[f"{at}mlp.c_proj.weight"].T,
        b_mlp2=s[f"{at}mlp.c_proj.bias"],
        gamma_2=s[f"{at}ln_2.weight"],
        beta_2=s[f"{at}ln_2.bias"],
    )


def _bert(model: Any) -> tuple[ETransformerParameters, ETransformerHyperparameters]:
    config, body, head = model.config, body_of(model), head_of(model)
    s = _state(body)
    W_e, W_p = (s[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position"))
    tied = head is None or head.decoder.weight is body.embeddings.word_embeddings.weight
    layers = [
        _bert_layer(s, f"encoder.layer.{i}.", config.num_attention_heads) for i in range(config.num_hidden_layers)
    ]
    hyperparameters = ETransformerHyperparameters(
        L=len(layers),
        d_mlp=config.intermediate_size,
        epsilon=config.layer_norm_eps,
        **_sizes(W_e, W_p, config, tied),
    )
    params = ETransformerParameters(
        W_e=W_e,
        W_p=W_p + s["embeddings.token_type_embeddings.weight"][0],
        layers=_stacked(layers),
        W_u=None if tied else _state(head)["decoder.weight"],
        **_bert_transform(head, W_e),
    )
    return params, hyperparameters


def _bert_layer(s: State, at: str, H: int) -> LayerParameters:
    names = [f"{at}attention.self.{name}." for name in ("query", "key", "value")]
    attention, mlp1, mlp2 = f"{at}attention.output.", f"{at}intermediate.", f"{at}output."
    return LayerParameters(
        attention=MHAttentionParameters(
            heads=_heads(H, *(s[f"{name}{part}"] for name in names for part in ("weight", "bias"))),
            W_o=s[f"{attention}dense.weight"],
            b_o=s[f"{attention}dense.bias"],
        ),
        gamma_1=s[f"{attention}LayerNorm.weight"],
        beta_1=s[f"{attention}LayerNorm.bias"],
        W_mlp1=s[f"{mlp1}dense.weight"],
        b_mlp1=s[f"{mlp1}dense.bias"],
        W_mlp2=s[f"{mlp2}dense.weight"],
        b_mlp2=s[f"{mlp2}dense.bias"],
        gamma_2=s[f"{mlp2}LayerNorm.weight"],
        beta_2=s[f"{mlp2}LayerNorm.bias"],
    )


def _bert_transform(head: Any, like: np.ndarray) -> dict[str, Any]:
    """Line 10's W_f and b_f and line 11's γ and β."""
    d_e, dtype = like.shape[1], like.dtype
    if head is None:
        zeros = np.zeros(d_e, dtype)
        return {"W_f": np.eye(d_e, dtype=dtype), "b_f": zeros, "gamma": zeros + 1, "beta": zeros}
    names = {"W_f": "dense.weight", "b_f": "dense.bias", "gamma": "LayerNorm.weight", "beta": "LayerNorm.bias"}
    s = _state(head.transform)
    return {ours: s[theirs] for ours, theirs in names.items()}


def _sizes(W_e: np.ndarray, W_p: np.ndarray, config: Any, tied: bool) -> dict[str, Any]:
    return {
        "N_V": len(W_e),
        "l_max": len(W_p),
        "d_e": W_e.shape[1],
        "H": config.num_attention_heads,
        "tied_embeddings": tied,
    }


def _heads(H: int, *rows: Any) -> AttentionParameters:
    """`W_q`, `b_q`, `W_k`, …, whose rows are those of one head after the other."""
    W_q, b_q, W_k, b_k, W_v, b_v = (a.reshape(H, -1, *a.shape[1:]) for a in rows)
    return AttentionParameters(
        W_q=W_q, b_q=b_q.reshape(H, -1), W_k=W_k, b_k=b_k.reshape(H, -1), W_v=W_v, b_v=b_v.reshape(H, -1)
    )


def _stacked(layers: list[LayerParameters]) -> LayerParameters:
    return jax.tree.map(lambda *arrays: np.stack(arrays), *layers)
