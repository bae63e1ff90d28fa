"""GPT-J (2021): Algorithm 10 with both sub-layers in parallel behind one norm, and neighbours rotated."""

from ...activations import gelu_tanh
from ...hyperparameters import Biases, DTransformerHyperparameters
from ...placement import PARALLEL_ONE_NORM
from ...positional import Rotary
from ..config import activation, require, special_tokens
from ..family import Config, Family
from ..forms import Heads
from ..tables import Row, row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(config, tie_word_embeddings=False)
    size = config.get("rotary_dim", 64)
    if size is None:
        raise ValueError("rotary_dim is None, expected how many features of a head turn")
    return DTransformerHyperparameters(
        l_max=config["n_positions"],
        L=config["n_layer"],
        H=config["n_head"],
        d_e=config["n_embd"],
        d_mlp=config.get("n_inner") or 4 * config["n_embd"],
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_epsilon", 1e-5),
        activation=activation(config.get("activation_function"), gelu_tanh),
        placement=PARALLEL_ONE_NORM,
        biases=Biases(q=False, k=False, v=False, o=False, u=True),
        table=None,
        rotate=Rotary(size=size, neighbours=True),
        special_tokens=special_tokens(config),
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer = "transformer.h.{i}"
    return [
        row("transformer.wte.weight", "W_e"),
        row(f"{layer}.ln_1.weight", "layers.gamma_1"),
        row(f"{layer}.ln_1.bias", "layers.beta_1"),
        *(row(f"{layer}.attn.{of}_proj.weight", f"layers.attention.heads.W_{of}", Heads(of)) for of in "qkv"),
        row(f"{layer}.attn.out_proj.weight", "layers.attention.W_o"),
        row(f"{layer}.mlp.fc_in.weight", "layers.W_mlp1"),
        row(f"{layer}.mlp.fc_in.bias", "layers.b_mlp1"),
        row(f"{layer}.mlp.fc_out.weight", "layers.W_mlp2"),
        row(f"{layer}.mlp.fc_out.bias", "layers.b_mlp2"),
        row("transformer.ln_f.weight", "gamma"),
        row("transformer.ln_f.bias", "beta"),
        row("lm_head.weight", "W_u"),
        row("lm_head.bias", "b_u"),
    ]


GPTJ = Family(
    name="gptj",
    model_types=("gptj",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("transformer.",),
    ignored=(r"\.attn\.(bias|masked_bias|embed_positions)$",),
    published={
        "gpt-j-6b": {
            "n_layer": 28,
            "n_embd": 4096,
            "n_head": 16,
            "n_positions": 2048,
            "rotary_dim": 64,
            "vocab_size": 50400,
        }
    },
)
