"""GPT-NeoX (2204.06745) and Pythia (2304.01373): both sub-layers in parallel, each behind a norm; a quarter rotated."""

from ...activations import gelu
from ...hyperparameters import Biases, DTransformerHyperparameters
from ...placement import PARALLEL, PRE
from ..config import activation, special_tokens
from ..family import Config, Family
from ..forms import Fused
from ..rope import rotary
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    d_e, H, has_biases = config["hidden_size"], config["num_attention_heads"], config.get("attention_bias", True)
    base, part = config.get("rotary_emb_base", 10000.0), config.get("rotary_pct", 0.25)
    return DTransformerHyperparameters(
        l_max=config["max_position_embeddings"],
        L=config["num_hidden_layers"],
        H=H,
        d_e=d_e,
        d_mlp=config["intermediate_size"],
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_eps", 1e-5),
        activation=activation(config.get("hidden_act"), gelu),
        placement=PARALLEL if config.get("use_parallel_residual", True) else PRE,
        biases=Biases(q=has_biases, k=has_biases, v=has_biases, o=has_biases),
        table=None,
        rotate=rotary(config, d_e // H, base=base, part=part),
        tied_embeddings=config.get("tie_word_embeddings", False),
        special_tokens=special_tokens(config),
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names. Queries, keys and values are fused head by head."""
    layer, heads, fused = "gpt_neox.layers.{i}", "layers.attention.heads", Fused(order="heads")
    return [
        row("gpt_neox.embed_in.weight", "W_e"),
        row(f"{layer}.input_layernorm.weight", "layers.gamma_1"),
        row(f"{layer}.input_layernorm.bias", "layers.beta_1"),
        row(f"{layer}.attention.query_key_value.weight", f"{heads}.W_q {heads}.W_k {heads}.W_v", fused),
        row(f"{layer}.attention.query_key_value.bias", f"{heads}.b_q {heads}.b_k {heads}.b_v", fused),
        row(f"{layer}.attention.dense.weight", "layers.attention.W_o"),
        row(f"{layer}.attention.dense.bias", "layers.attention.b_o"),
        row(f"{layer}.post_attention_layernorm.weight", "layers.gamma_2"),
        row(f"{layer}.post_attention_layernorm.bias", "layers.beta_2"),
        row(f"{layer}.mlp.dense_h_to_4h.weight", "layers.W_mlp1"),
        row(f"{layer}.mlp.dense_h_to_4h.bias", "layers.b_mlp1"),
        row(f"{layer}.mlp.dense_4h_to_h.weight", "layers.W_mlp2"),
        row(f"{layer}.mlp.dense_4h_to_h.bias", "layers.b_mlp2"),
        row("gpt_neox.final_layer_norm.weight", "gamma"),
        row("gpt_neox.final_layer_norm.bias", "beta"),
        row("embed_out.weight", "W_u", others=("lm_head.weight",)),
    ]


def _config(L: int, d_e: int, H: int, N_V: int, part: float = 0.25) -> Config:
    return {
        "num_hidden_layers": L,
        "hidden_size": d_e,
        "num_attention_heads": H,
        "intermediate_size": 4 * d_e,
        "max_position_embeddings": 2048,
        "vocab_size": N_V,
        "rotary_pct": part,
    }


GPT_NEOX = Family(
    name="gpt_neox",
    model_types=("gpt_neox",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("gpt_neox.",),
    ignored=(r"attention\.(bias|masked_bias|rotary_emb\.inv_freq)$",),
    copies={r"^(embed_out|lm_head)\.weight$": "gpt_neox.embed_in.weight"},
    published={
        "gpt-neox-20b": _config(44, 6144, 64, 50432),
        "pythia-70m": _config(6, 512, 8, 50304),
        "pythia-160m": _config(12, 768, 12, 50304),
        "pythia-410m": _config(24, 1024, 16, 50304),
        "pythia-1b": _config(16, 2048, 8, 50304),
        "pythia-1.4b": _config(24, 2048, 16, 50304),
        "pythia-2.8b": _config(32, 2560, 32, 50304),
        "pythia-6.9b": _config(32, 4096, 32, 50432),
        "pythia-12b": _config(36, 5120, 40, 50688),
    },
)
