"""GPT-2 (Radford et al., 2019): Algorithm 10 with the GELU by tanh and tied embeddings."""

from typing import Any

from ...activations import gelu_tanh
from ...hyperparameters import DTransformerHyperparameters
from ..config import activation, name_of, require, special_tokens
from ..family import Config, Family
from ..forms import TRANSPOSED, Fused
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(config, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    return DTransformerHyperparameters(
        l_max=config["n_positions"],
        L=config["n_layer"],
        H=config["n_head"],
        d_e=config["n_embd"],
        d_mlp=config.get("n_inner") or 4 * config["n_embd"],
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_epsilon", 1e-5),
        activation=activation(config.get("activation_function"), gelu_tanh),
        tied_embeddings=config.get("tie_word_embeddings", True),
        special_tokens=special_tokens(config),
    )


def config(hp: DTransformerHyperparameters) -> dict[str, Any]:
    """The config.json of such hyperparameters."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": hp.l_max,
        "n_layer": hp.L,
        "n_head": hp.H,
        "n_embd": hp.d_e,
        "n_inner": hp.d_mlp,
        "vocab_size": hp.N_V,
        "layer_norm_epsilon": hp.epsilon,
        "activation_function": name_of(hp.activation),
        "tie_word_embeddings": hp.tied_embeddings,
        "bos_token_id": hp.bos_token,
        "eos_token_id": hp.eos_token,
    }


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names. Matrices are (in, out)."""
    fused = Fused(inside=TRANSPOSED)
    heads = "layers.attention.heads"
    return [
        row("transformer.wte.weight", "W_e"),
        row("transformer.wpe.weight", "W_p"),
        row("transformer.h.{i}.ln_1.weight", "layers.gamma_1"),
        row("transformer.h.{i}.ln_1.bias", "layers.beta_1"),
        row("transformer.h.{i}.attn.c_attn.weight", f"{heads}.W_q {heads}.W_k {heads}.W_v", fused),
        row("transformer.h.{i}.attn.c_attn.bias", f"{heads}.b_q {heads}.b_k {heads}.b_v", Fused()),
        row("transformer.h.{i}.attn.c_proj.weight", "layers.attention.W_o", TRANSPOSED),
        row("transformer.h.{i}.attn.c_proj.bias", "layers.attention.b_o"),
        row("transformer.h.{i}.ln_2.weight", "layers.gamma_2"),
        row("transformer.h.{i}.ln_2.bias", "layers.beta_2"),
        row("transformer.h.{i}.mlp.c_fc.weight", "layers.W_mlp1", TRANSPOSED),
        row("transformer.h.{i}.mlp.c_fc.bias", "layers.b_mlp1"),
        row("transformer.h.{i}.mlp.c_proj.weight", "layers.W_mlp2", TRANSPOSED),
        row("transformer.h.{i}.mlp.c_proj.bias", "layers.b_mlp2"),
        row("transformer.ln_f.weight", "gamma"),
        row("transformer.ln_f.bias", "beta"),
        row("lm_head.weight", "W_u"),
    ]


GPT2 = Family(
    name="gpt2",
    model_types=("gpt2",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("transformer.",),
    ignored=(r"\.attn\.(bias|masked_bias)$",),
    copies={r"^lm_head\.weight$": "transformer.wte.weight"},
    config=config,
    published={
        name: {"n_layer": L, "n_embd": d_e, "n_head": H, "n_positions": 1024, "vocab_size": 50257}
        for name, L, d_e, H in (
            ("gpt2", 12, 768, 12),
            ("gpt2-medium", 24, 1024, 16),
            ("gpt2-large", 36, 1280, 20),
            ("gpt2-xl", 48, 1600, 25),
        )
    },
)
