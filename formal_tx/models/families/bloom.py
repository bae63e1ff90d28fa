"""BLOOM (2211.05100): Algorithm 10 with ALiBi instead of a positional table, and a norm of the embeddings."""

from ...activations import gelu_tanh
from ...hyperparameters import DTransformerHyperparameters
from ...positional import Alibi
from ..config import first_of, require, special_tokens
from ..family import Config, Family
from ..forms import Fused
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json. ALiBi has no longest sequence: `seq_length` is what it was trained with."""
    require(config, apply_residual_connection_post_layernorm=False, tie_word_embeddings=True, n_inner=None)
    d_e = first_of(config, "hidden_size", "n_embed")
    return DTransformerHyperparameters(
        l_max=config.get("seq_length", 2048),
        L=first_of(config, "n_layer", "num_hidden_layers"),
        H=first_of(config, "n_head", "num_attention_heads"),
        d_e=d_e,
        d_mlp=4 * d_e,
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_epsilon", 1e-5),
        activation=gelu_tanh,
        table=None,
        score=Alibi(),
        embedding_norm=True,
        tied_embeddings=True,
        special_tokens=special_tokens(config),
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names. Queries, keys and values are fused head by head."""
    layer, heads, fused = "transformer.h.{i}", "layers.attention.heads", Fused(order="heads")
    return [
        row("transformer.word_embeddings.weight", "W_e"),
        row("transformer.word_embeddings_layernorm.weight", "gamma_e"),
        row("transformer.word_embeddings_layernorm.bias", "beta_e"),
        row(f"{layer}.input_layernorm.weight", "layers.gamma_1"),
        row(f"{layer}.input_layernorm.bias", "layers.beta_1"),
        row(f"{layer}.self_attention.query_key_value.weight", f"{heads}.W_q {heads}.W_k {heads}.W_v", fused),
        row(f"{layer}.self_attention.query_key_value.bias", f"{heads}.b_q {heads}.b_k {heads}.b_v", fused),
        row(f"{layer}.self_attention.dense.weight", "layers.attention.W_o"),
        row(f"{layer}.self_attention.dense.bias", "layers.attention.b_o"),
        row(f"{layer}.post_attention_layernorm.weight", "layers.gamma_2"),
        row(f"{layer}.post_attention_layernorm.bias", "layers.beta_2"),
        row(f"{layer}.mlp.dense_h_to_4h.weight", "layers.W_mlp1"),
        row(f"{layer}.mlp.dense_h_to_4h.bias", "layers.b_mlp1"),
        row(f"{layer}.mlp.dense_4h_to_h.weight", "layers.W_mlp2"),
        row(f"{layer}.mlp.dense_4h_to_h.bias", "layers.b_mlp2"),
        row("transformer.ln_f.weight", "gamma"),
        row("transformer.ln_f.bias", "beta"),
    ]


BLOOM = Family(
    name="bloom",
    model_types=("bloom",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("transformer.",),
    copies={r"^lm_head\.weight$": "transformer.word_embeddings.weight"},
    published={
        name: {"n_layer": L, "hidden_size": d_e, "n_head": H, "vocab_size": 250880}
        for name, L, d_e, H in (
            ("bloom-560m", 24, 1024, 16),
            ("bloom-1b1", 24, 1536, 16),
            ("bloom-1b7", 24, 2048, 16),
            ("bloom-3b", 30, 2560, 32),
            ("bloom-7b1", 30, 4096, 32),
            ("bloom", 70, 14336, 112),
        )
    },
)
