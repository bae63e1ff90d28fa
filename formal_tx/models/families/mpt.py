"""MPT (2023): Algorithm 10 with ALiBi instead of a positional table, and no biases at all, not even β."""

from ...activations import gelu
from ...hyperparameters import NO_BIASES, DTransformerHyperparameters
from ...positional import Alibi
from ..config import require, special_tokens
from ..family import Config, Family
from ..forms import Fused
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json.

    Raises:
      ValueError: also if queries, keys and values are clipped (`clip_qkv`), as in some later models.
    """
    require(config, no_bias=True, logit_scale=None, tie_word_embeddings=True, expansion_ratio=4)
    attention = config.get("attn_config") or {}
    require(attention, alibi=True, clip_qkv=None, qk_ln=False, prefix_lm=False, attn_type="multihead_attention")
    return DTransformerHyperparameters(
        l_max=config["max_seq_len"],
        L=config["n_layers"],
        H=config["n_heads"],
        d_e=config["d_model"],
        d_mlp=4 * config["d_model"],
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_epsilon") or 1e-5,
        activation=gelu,
        biases=NO_BIASES,
        table=None,
        score=Alibi(attention.get("alibi_bias_max", 8)),
        scale=attention.get("softmax_scale"),
        tied_embeddings=True,
        special_tokens=special_tokens(config),
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer, heads = "transformer.blocks.{i}", "layers.attention.heads"
    return [
        row("transformer.wte.weight", "W_e"),
        row(f"{layer}.norm_1.weight", "layers.gamma_1"),
        row(f"{layer}.attn.Wqkv.weight", f"{heads}.W_q {heads}.W_k {heads}.W_v", Fused()),
        row(f"{layer}.attn.out_proj.weight", "layers.attention.W_o"),
        row(f"{layer}.norm_2.weight", "layers.gamma_2"),
        row(f"{layer}.ffn.up_proj.weight", "layers.W_mlp1"),
        row(f"{layer}.ffn.down_proj.weight", "layers.W_mlp2"),
        row("transformer.norm_f.weight", "gamma"),
    ]


MPT = Family(
    name="mpt",
    model_types=("mpt",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("transformer.",),
    copies={r"^lm_head\.weight$": "transformer.wte.weight"},
    published={
        "mpt-7b": {"n_layers": 32, "d_model": 4096, "n_heads": 32, "max_seq_len": 2048, "vocab_size": 50432},
        "mpt-30b": {"n_layers": 48, "d_model": 7168, "n_heads": 64, "max_seq_len": 8192, "vocab_size": 50432},
    },
)
