"""OPT (2205.01068): Algorithm 10 with ReLU, and a positional table whose first two rows no position has."""

from ...activations import relu
from ...hyperparameters import Biases, DTransformerHyperparameters
from ...placement import POST, PRE
from ..config import activation, require, special_tokens
from ..family import Config, Family
from ..forms import After, Heads
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json.

    Raises:
      ValueError: also if tokens are embedded in another width and projected, as in OPT-350M alone.
    """
    require(config, layer_norm_elementwise_affine=True, _remove_final_layer_norm=False)
    require(config, word_embed_proj_dim=config["hidden_size"])
    before, has_biases = config.get("do_layer_norm_before", True), config.get("enable_bias", True)
    return DTransformerHyperparameters(
        l_max=config["max_position_embeddings"],
        L=config["num_hidden_layers"],
        H=config["num_attention_heads"],
        d_e=config["hidden_size"],
        d_mlp=config["ffn_dim"],
        N_V=config["vocab_size"],
        epsilon=1e-5,
        activation=activation(config.get("activation_function"), relu),
        placement=PRE if before else POST,
        final_norm=before,
        biases=Biases(q=has_biases, k=has_biases, v=has_biases, o=has_biases, mlp=has_biases),
        tied_embeddings=config.get("tie_word_embeddings", True),
        special_tokens=special_tokens(config),
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer, heads = "model.decoder.layers.{i}", "layers.attention.heads"
    return [
        row("model.decoder.embed_tokens.weight", "W_e"),
        row("model.decoder.embed_positions.weight", "W_p", After(2)),
        row(f"{layer}.self_attn_layer_norm.weight", "layers.gamma_1"),
        row(f"{layer}.self_attn_layer_norm.bias", "layers.beta_1"),
        *(row(f"{layer}.self_attn.{of}_proj.weight", f"{heads}.W_{of}", Heads(of)) for of in "qkv"),
        *(row(f"{layer}.self_attn.{of}_proj.bias", f"{heads}.b_{of}", Heads(of)) for of in "qkv"),
        row(f"{layer}.self_attn.out_proj.weight", "layers.attention.W_o"),
        row(f"{layer}.self_attn.out_proj.bias", "layers.attention.b_o"),
        row(f"{layer}.final_layer_norm.weight", "layers.gamma_2"),
        row(f"{layer}.final_layer_norm.bias", "layers.beta_2"),
        row(f"{layer}.fc1.weight", "layers.W_mlp1"),
        row(f"{layer}.fc1.bias", "layers.b_mlp1"),
        row(f"{layer}.fc2.weight", "layers.W_mlp2"),
        row(f"{layer}.fc2.bias", "layers.b_mlp2"),
        row("model.decoder.final_layer_norm.weight", "gamma"),
        row("model.decoder.final_layer_norm.bias", "beta"),
        row("lm_head.weight", "W_u"),
    ]


def _config(L: int, d_e: int, H: int) -> Config:
    return {
        "num_hidden_layers": L,
        "hidden_size": d_e,
        "num_attention_heads": H,
        "ffn_dim": 4 * d_e,
        "max_position_embeddings": 2048,
        "vocab_size": 50272,
    }


OPT = Family(
    name="opt",
    model_types=("opt",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("model.",),
    copies={r"^lm_head\.weight$": "model.decoder.embed_tokens.weight"},
    published={
        "opt-125m": _config(12, 768, 12),
        "opt-1.3b": _config(24, 2048, 32),
        "opt-2.7b": _config(32, 2560, 32),
        "opt-6.7b": _config(32, 4096, 32),
        "opt-13b": _config(40, 5120, 40),
        "opt-30b": _config(48, 7168, 56),
        "opt-66b": _config(64, 9216, 72),
        "opt-175b": _config(96, 12288, 96),
    },
)
