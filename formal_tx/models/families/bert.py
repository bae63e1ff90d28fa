"""BERT (Devlin et al., 2018): Algorithm 9, with a norm of the embeddings, types of tokens, and tied embeddings.

So are MiniLM, whose sentence embeddings are means of features, and AntiBERTy, which reads antibodies.
"""

from typing import Any

from ...activations import gelu
from ...hyperparameters import Biases, ETransformerHyperparameters
from ..config import activation, require
from ..family import Config, Family
from ..forms import Heads
from ..tables import Row, row

ANTIBERTY = "AntiBERTy"


def has_head(config: Config) -> bool:
    """Whether a model has lines 10 to 12, which fill in masked tokens: unless its class is another, it has.

    Raises:
      ValueError: they have an unembedding of their own.
    """
    classes: Any = config.get("architectures") or [""]
    if not any(name in ("", ANTIBERTY) or name.endswith(("ForMaskedLM", "ForPreTraining")) for name in classes):
        return False
    require(config, tie_word_embeddings=True)
    return True


def sizes(config: Config) -> dict[str, Any]:
    """The hyperparameters that the config.json of BERT, and of its like, says."""
    require(config, position_embedding_type="absolute", is_decoder=False, add_cross_attention=False)
    return {
        "L": config["num_hidden_layers"],
        "H": config["num_attention_heads"],
        "d_e": config["hidden_size"],
        "d_mlp": config["intermediate_size"],
        "N_V": config["vocab_size"],
        "N_S": config.get("type_vocab_size", 2),
        "epsilon": config.get("layer_norm_eps", 1e-12),
        "activation": activation(config.get("hidden_act"), gelu),
        "biases": Biases(u=True),
        "embedding_norm": True,
        "tied_embeddings": True,
        "head": has_head(config),
    }


def special_tokens(config: Config) -> tuple[int, int, int] | None:
    """[MASK], [CLS] and [SEP], which stand at 103, 101 and 102 in all vocabularies that were published with BERT."""
    if ANTIBERTY in (config.get("architectures") or ()):
        return (4, 2, 3)
    return (103, 101, 102) if config["vocab_size"] > 103 else None


def hyperparameters(config: Config) -> ETransformerHyperparameters:
    """The hyperparameters of a config.json."""
    return ETransformerHyperparameters(
        **sizes(config), l_max=config["max_position_embeddings"], special_tokens=special_tokens(config)
    )


def pair(name: str, fields: str, others: tuple[str, str] | None = None) -> list[Row]:
    """The rows of a matrix and its bias, or of the two parameters of a norm; `others` are other endings."""
    W, b = fields.split()
    old = [()] * 2 if others is None else [(f"{name}.{other}",) for other in others]
    return [row(f"{name}.weight", W, others=old[0]), row(f"{name}.bias", b, others=old[1])]


def norm(name: str, fields: str) -> list[Row]:
    """The rows of a norm, whose parameters are called as in the paper in files that come from TensorFlow."""
    return pair(name, fields, ("gamma", "beta"))


def self_attention(names: dict[str, str]) -> list[Row]:
    """The rows of queries, keys and values, whose names are given by letter."""
    return [
        row(f"{name}.{kind}", f"layers.attention.heads.{letter}_{of}", Heads(of))
        for of, name in names.items()
        for kind, letter in (("weight", "W"), ("bias", "b"))
    ]


def layers(prefix: str) -> list[Row]:
    """The rows of all layers."""
    layer = f"{prefix}.encoder.layer.{{i}}"
    names = {"q": "query", "k": "key", "v": "value"}
    return [
        *self_attention({of: f"{layer}.attention.self.{name}" for of, name in names.items()}),
        *pair(f"{layer}.attention.output.dense", "layers.attention.W_o layers.attention.b_o"),
        *norm(f"{layer}.attention.output.LayerNorm", "layers.gamma_1 layers.beta_1"),
        *pair(f"{layer}.intermediate.dense", "layers.W_mlp1 layers.b_mlp1"),
        *pair(f"{layer}.output.dense", "layers.W_mlp2 layers.b_mlp2"),
        *norm(f"{layer}.output.LayerNorm", "layers.gamma_2 layers.beta_2"),
    ]


def rows(hp: ETransformerHyperparameters) -> list[Row]:
    """The table of names."""
    head = [
        *pair("cls.predictions.transform.dense", "W_f b_f"),
        *norm("cls.predictions.transform.LayerNorm", "gamma beta"),
        row("cls.predictions.bias", "b_u"),
    ]
    return [
        row("bert.embeddings.word_embeddings.weight", "W_e"),
        row("bert.embeddings.position_embeddings.weight", "W_p"),
        row("bert.embeddings.token_type_embeddings.weight", "W_s"),
        *norm("bert.embeddings.LayerNorm", "gamma_e beta_e"),
        *layers("bert"),
        *(head if hp.head else []),
    ]


BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "vocab_size": 30522,
}
LARGE = BASE | {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
MINILM = BASE | {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536, "architectures": ["BertModel"]}

BERT = Family(
    name="bert",
    model_types=("bert",),
    architecture="encoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("bert.",),
    ignored=(r"^bert\.embeddings\.position_ids$",),
    kept=(
        r"^bert\.pooler\.dense\.(weight|bias)$",
        r"^cls\.(seq_relationship|species|chain|graft)\.(weight|bias)$",
        r"^(classifier|qa_outputs)\.(weight|bias)$",
    ),
    copies={
        r"^cls\.predictions\.decoder\.weight$": "bert.embeddings.word_embeddings.weight",
        r"^cls\.predictions\.decoder\.bias$": "cls.predictions.bias",
    },
    published={
        "bert-base-uncased": BASE,
        "bert-base-cased": BASE | {"vocab_size": 28996},
        "bert-large-uncased": LARGE,
        "bert-large-cased": LARGE | {"vocab_size": 28996},
        "all-MiniLM-L6-v2": MINILM,
        "antiberty": {
            "hidden_size": 512,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "intermediate_size": 2048,
            "max_position_embeddings": 512,
            "vocab_size": 25,
            "architectures": [ANTIBERTY],
        },
    },
)
