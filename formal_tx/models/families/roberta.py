"""RoBERTa (Liu et al., 2019): BERT with one type of tokens, whose positions begin after the token of padding."""

from typing import Any

from ...hyperparameters import ETransformerHyperparameters
from ..config import require
from ..family import Config, Family
from ..forms import After
from ..tables import Row, row
from .bert import BASE, LARGE, layers, norm, pair, sizes

PADDING = 1  # the id of the token; the table of positions begins with a row for each id up to it, which no position has


def hyperparameters(config: Config) -> ETransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(config, pad_token_id=PADDING)
    of_config: dict[str, Any] = sizes(config)
    if of_config["head"]:
        require(config, hidden_act="gelu")  # which its head has, whatever the layers have
    special = (config["vocab_size"] - 1, config.get("bos_token_id", 0), config.get("eos_token_id", 2))
    return ETransformerHyperparameters(
        **of_config, l_max=config["max_position_embeddings"] - PADDING - 1, special_tokens=special
    )


def rows(hp: ETransformerHyperparameters) -> list[Row]:
    """The table of names."""
    head = [*pair("lm_head.dense", "W_f b_f"), *pair("lm_head.layer_norm", "gamma beta"), row("lm_head.bias", "b_u")]
    return [
        row("roberta.embeddings.word_embeddings.weight", "W_e"),
        row("roberta.embeddings.position_embeddings.weight", "W_p", After(PADDING + 1)),
        row("roberta.embeddings.token_type_embeddings.weight", "W_s"),
        *norm("roberta.embeddings.LayerNorm", "gamma_e beta_e"),
        *layers("roberta"),
        *(head if hp.head else []),
    ]


_OF_ROBERTA = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}

ROBERTA = Family(
    name="roberta",
    model_types=("roberta",),
    architecture="encoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("roberta.",),
    ignored=(r"^roberta\.embeddings\.position_ids$",),
    kept=(
        r"^roberta\.pooler\.dense\.(weight|bias)$",
        r"^classifier\.(dense|out_proj)\.(weight|bias)$",
        r"^(classifier|qa_outputs)\.(weight|bias)$",
    ),
    copies={
        r"^lm_head\.decoder\.weight$": "roberta.embeddings.word_embeddings.weight",
        r"^lm_head\.decoder\.bias$": "lm_head.bias",
    },
    published={"roberta-base": BASE | _OF_ROBERTA, "roberta-large": LARGE | _OF_ROBERTA},
)
