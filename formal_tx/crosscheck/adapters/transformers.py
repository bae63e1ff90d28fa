"""Hugging Face's GPT-2 and BERT as models: `attention_mask` is 1 for a real token, positions count from 0."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch  # type: ignore[import-not-found,unused-ignore]

from .models import SequenceModel


def gpt2(model: Any, *, own_positions: bool = True) -> SequenceModel:
    """A `GPT2LMHeadModel` that evaluates.

    Args:
      own_positions: whether `position_ids` go along with padding, counted over the real tokens; without them GPT-2
        counts the padding too.
    """

    def prefill(ids: Any) -> Any:
        return model(ids[None], use_cache=True).past_key_values

    def step(token: int, t: int, cache: Any) -> tuple[Any, Any]:
        del t  # the cache knows
        done = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
        return done.logits[0, -1], done.past_key_values

    return replace(
        _model(model, "transformers GPT-2", own_positions=own_positions, causal=True), prefill=prefill, step=step
    )


def bert(model: Any, *, own_positions: bool = True) -> SequenceModel:
    """A `BertForMaskedLM` that evaluates, without a decoder's mask. Arguments as `gpt2`."""
    return _model(model, "transformers BERT", own_positions=own_positions, causal=False)


def _model(model: Any, name: str, *, own_positions: bool, causal: bool) -> SequenceModel:
    def rows(model: Any) -> Callable[[Any], Any]:
        return lambda ids: model(ids[None], use_cache=False).logits[0]

    def padded(ids: Any, real: Any) -> Any:
        positions = {"position_ids": (real.cumsum(-1) - 1).clamp(min=0)} if own_positions else {}
        return model(ids, attention_mask=real.long(), use_cache=False, **positions).logits

    return SequenceModel(
        name=name if own_positions else f"{name}, no position_ids",
        framework="torch",
        dtype=str(model.dtype).removeprefix("torch."),
        rows=rows(model),
        batched=lambda ids: model(ids, use_cache=False).logits,
        embed=model.get_input_embeddings(),
        embedded=lambda X: model(inputs_embeds=X[None], use_cache=False).logits[0],
        padded=padded,
        padded_left=True,
        without_positions=rows(_without_positions(model)),
        weights=lambda ids: torch.cat(model(ids[None], use_cache=False, output_attentions=True).attentions),
        N_V=model.config.vocab_size,
        l_max=model.config.max_position_embeddings,
        causal=causal,
        watched=list(model.parameters()),
    )


def _without_positions(model: Any) -> Any:
    """A copy in which every position has the embedding 0."""
    other = copy.deepcopy(model)
    for name, table in other.named_parameters():
        if "wpe" in name or "position_embeddings" in name:
            torch.nn.init.zeros_(table)
    return other
