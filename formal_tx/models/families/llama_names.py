"""The names that Llama and its relatives share in files of Hugging Face."""

from collections.abc import Mapping

from ..forms import Heads
from ..tables import Row, row

COPIES = {r"^lm_head\.weight$": "model.embed_tokens.weight"}
IGNORED = (r"rotary_emb\.inv_freq$",)

PRE_NORMS = {"input_layernorm": "layers.gamma_1", "post_attention_layernorm": "layers.gamma_2"}
"""Llama's: the one "after attention" is the one before the MLP."""


def table(norms: Mapping[str, str] = PRE_NORMS) -> list[Row]:
    """All rows. `norms` are the names of a layer's norms, and which γ each is."""
    layer, heads = "model.layers.{i}", "layers.attention.heads"
    return [
        row("model.embed_tokens.weight", "W_e"),
        *(row(f"{layer}.{name}.weight", field) for name, field in norms.items()),
        *(row(f"{layer}.self_attn.{of}_proj.weight", f"{heads}.W_{of}", Heads(of)) for of in "qkv"),
        *(row(f"{layer}.self_attn.{of}_proj.bias", f"{heads}.b_{of}", Heads(of)) for of in "qkv"),
        row(f"{layer}.self_attn.o_proj.weight", "layers.attention.W_o"),
        row(f"{layer}.self_attn.o_proj.bias", "layers.attention.b_o"),
        row(f"{layer}.mlp.gate_proj.weight", "layers.W_gate"),
        row(f"{layer}.mlp.gate_proj.bias", "layers.b_gate"),
        row(f"{layer}.mlp.up_proj.weight", "layers.W_mlp1"),
        row(f"{layer}.mlp.up_proj.bias", "layers.b_mlp1"),
        row(f"{layer}.mlp.down_proj.weight", "layers.W_mlp2"),
        row(f"{layer}.mlp.down_proj.bias", "layers.b_mlp2"),
        row("model.norm.weight", "gamma"),
        row("lm_head.weight", "W_u"),
    ]
