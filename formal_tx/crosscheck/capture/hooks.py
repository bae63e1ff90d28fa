"""Reads what the modules of a Hugging Face model compute, by forward hooks, and names it as the paper does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from .architectures import ARCHITECTURES
from .parameters import body_of, head_of, kind_of, require_dtype

Pick = Callable[[tuple[Any, ...], Any], Any]
"""(a module's positional inputs, its output) -> the tensor to keep, or None."""

Reading = tuple[Any, dict[str, Pick]]
"""A module, and what to keep of each call by its name."""

_ATTENTION = "mh_attention/attention/"


def capture(model: Any, ids: Any, **options: Any) -> dict[str, np.ndarray]:
    """What a GPT-2 or BERT computes, by the names of the lines of Algorithm 10 or 9.

    The names are selectors of `formal_tx.tagging`: `2.e`, `layers/0/5.X_tilde`, `layers/0/mh_attention/attention/1.Q`,
    `10.X`, …, and `logits`. Arrays are laid out as `reap` gives them: rows are tokens, heads lead, (H, ℓ, d_attn).
    BERT's `2.e` has the token-type embedding in it, and its `3.X` is what the layer norm of the embedding makes of it.
    The weights `6.A` are there only if the model hands them out, which it does with attn_implementation="eager"; the
    scores before them are not.

    Args:
      model: GPT2LMHeadModel, GPT2Model, BertForMaskedLM or BertModel, in evaluation mode. It is run as it is.
      ids: (ℓ,) or (B, ℓ) token ids, as a tensor, array or list. Values have a leading axis for a batch only.
      options: further arguments of the model, such as `position_ids`.
    Raises:
      TypeError: for another model. ValueError: for a model that trains, in half precision, or ids of another shape.
    """
    kind = kind_of(model, "capture")
    require_dtype(model, "capture")
    import torch  # type: ignore[import-not-found,unused-ignore]

    if model.training:
        raise ValueError("capture: model is in training mode, where dropout is random: call model.eval() first")
    tokens = torch.as_tensor(ids, device=model.device)
    if tokens.ndim not in (1, 2) or tokens.is_floating_point() or tokens.numel() == 0:
        raise ValueError(
            f"capture: ids are {str(tokens.dtype).removeprefix('torch.')} of shape {tuple(tokens.shape)}, expected "
            "integers of shape (ℓ,) or (batch, ℓ)"
        )
    found: dict[str, np.ndarray] = {}
    alone = tokens.ndim == 1
    with ExitStack() as hooks, torch.no_grad():
        for module, picks in _READINGS[kind](model):
            hooks.callback(module.register_forward_hook(_keeping(found, picks, alone)).remove)
        model(tokens[None] if alone else tokens, use_cache=False, **options)
    names = ARCHITECTURES[kind].names(model.config.num_hidden_layers)
    return {name: found[name] for name in names if name in found}


def _keeping(found: dict[str, np.ndarray], picks: dict[str, Pick], alone: bool) -> Callable[..., None]:
    """A hook that keeps copies; what is in place afterwards does not reach them."""

    def hook(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        del module
        for name, pick in picks.items():
            tensor = pick(inputs, output)
            if tensor is not None:
                array = tensor.detach().cpu().numpy().copy()
                found[name] = array[0] if alone else array

    return hook


def _gpt2(model: Any) -> Iterator[Reading]:
    body, head, H = body_of(model), head_of(model), model.config.num_attention_heads
    yield body.drop, {"2.e": _input, "3.X": _output}
    for i, block in enumerate(body.h):
        at, attention = f"layers/{i}/", f"layers/{i}/{_ATTENTION}"
        yield block.ln_1, {f"{at}5.X_tilde": _output}
        yield block.attn.c_attn, {f"{attention}{n + 1}.{name}": _third(n, H) for n, name in enumerate("QKV")}
        yield block.attn, {f"{attention}6.A": _weights}
        yield block.attn.c_proj, {f"{attention}6.V_tilde": _joined(H), f"{at}mh_attention/4.V_tilde": _output}
        yield block.ln_2, {f"{at}6.X": _input, f"{at}7.X_tilde": _output}
        yield block, {f"{at}8.X": _output}
    yield body.ln_f, {"10.X": _output}
    if head is not None:
        yield head, {"logits": _output}


def _bert(model: Any) -> Iterator[Reading]:
    body, head, H = body_of(model), head_of(model), model.config.num_attention_heads
    yield body.embeddings.LayerNorm, {"2.e": _input}
    yield body.embeddings, {"3.X": _output}
    for i, layer in enumerate(body.encoder.layer):
        at, attention = f"layers/{i}/", f"layers/{i}/{_ATTENTION}"
        own, after = layer.attention.self, layer.attention.output
        for n, (name, module) in enumerate(zip("QKV", (own.query, own.key, own.value), strict=True)):
            yield module, {f"{attention}{n + 1}.{name}": lambda inputs, output: _heads(output, H)}
        yield own, {f"{attention}6.A": _weights}
        yield after.dense, {f"{attention}6.V_tilde": _joined(H), f"{at}mh_attention/4.V_tilde": _output}
        yield after.LayerNorm, {f"{at}5.X": _input, f"{at}6.X": _output}
        yield layer.output.LayerNorm, {f"{at}7.X": _input}
        yield layer, {f"{at}8.X": _output}
    if head is not None:
        yield head.transform.LayerNorm, {"10.X": _input, "11.X": _output}
        yield head.decoder, {"logits": _output}


_READINGS: dict[str, Callable[[Any], Iterator[Reading]]] = {"gpt2": _gpt2, "bert": _bert}


def _input(inputs: tuple[Any, ...], output: Any) -> Any:
    del output
    return inputs[0]


def _output(inputs: tuple[Any, ...], output: Any) -> Any:
    del inputs
    return output[0] if isinstance(output, tuple) else output  # a layer's is a tuple in older versions


def _weights(inputs: tuple[Any, ...], output: Any) -> Any:
    del inputs
    return output[1]


def _third(n: int, H: int) -> Pick:
    """The queries, keys or values in what GPT-2's fused matrix gives."""
    return lambda inputs, output: _heads(output.chunk(3, dim=-1)[n], H)


def _joined(H: int) -> Pick:
    """The answers of the heads, in what the output projection is given."""
    return lambda inputs, output: _heads(inputs[0], H)


def _heads(tensor: Any, H: int) -> Any:
    """(…, ℓ, H·d) as (…, H, ℓ, d)."""
    return tensor.unflatten(-1, (H, -1)).transpose(-2, -3)
