"""DistilBERT (Sanh et al., 2019): BERT with half its layers, and without types of tokens."""

from ...activations import gelu
from ...hyperparameters import Biases, ETransformerHyperparameters
from ..config import activation
from ..family import Config, Family
from ..tables import Row, row
from .bert import has_head, pair, self_attention, special_tokens


def hyperparameters(config: Config) -> ETransformerHyperparameters:
    """The hyperparameters of a config.json."""
    return ETransformerHyperparameters(
        l_max=config["max_position_embeddings"],
        L=config["n_layers"],
        H=config["n_heads"],
        d_e=config["dim"],
        d_mlp=config["hidden_dim"],
        N_V=config["vocab_size"],
        epsilon=1e-12,
        activation=activation(config.get("activation"), gelu),
        biases=Biases(u=True),
        embedding_norm=True,
        tied_embeddings=True,
        head=has_head(config),
        special_tokens=special_tokens(config),
    )


def rows(hp: ETransformerHyperparameters) -> list[Row]:
    """The table of names."""
    layer = "distilbert.transformer.layer.{i}"
    head = [
        *pair("vocab_transform", "W_f b_f"),
        *pair("vocab_layer_norm", "gamma beta"),
        row("vocab_projector.bias", "b_u"),
    ]
    return [
        row("distilbert.embeddings.word_embeddings.weight", "W_e"),
        row("distilbert.embeddings.position_embeddings.weight", "W_p"),
        *pair("distilbert.embeddings.LayerNorm", "gamma_e beta_e"),
        *self_attention({of: f"{layer}.attention.{of}_lin" for of in "qkv"}),
        *pair(f"{layer}.attention.out_lin", "layers.attention.W_o layers.attention.b_o"),
        *pair(f"{layer}.sa_layer_norm", "layers.gamma_1 layers.beta_1"),
        *pair(f"{layer}.ffn.lin1", "layers.W_mlp1 layers.b_mlp1"),
        *pair(f"{layer}.ffn.lin2", "layers.W_mlp2 layers.b_mlp2"),
        *pair(f"{layer}.output_layer_norm", "layers.gamma_2 layers.beta_2"),
        *(head if hp.head else []),
    ]


DISTILBERT = Family(
    name="distilbert",
    model_types=("distilbert",),
    architecture="encoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("distilbert.",),
    ignored=(r"^distilbert\.embeddings\.position_ids$",),
    kept=(r"^(pre_classifier|classifier|qa_outputs)\.(weight|bias)$",),
    copies={r"^vocab_projector\.weight$": "distilbert.embeddings.word_embeddings.weight"},
    published={
        "distilbert-base-uncased": {
            "dim": 768,
            "n_layers": 6,
            "n_heads": 12,
            "hidden_dim": 3072,
            "max_position_embeddings": 512,
            "vocab_size": 30522,
        },
    },
)
