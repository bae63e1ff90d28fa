"""BART (Lewis et al., 2019): Algorithm 8 with GELU, a norm of the embeddings, two positional tables."""

from ...activations import gelu
from ...hyperparameters import Biases, EDTransformerHyperparameters
from ..config import activation, require
from ..family import Config, Family
from ..forms import After, Reshaped
from ..tables import Row, row
from .encoder_decoder_names import copies, layers, norms, sizes, special_tokens

UNUSED_POSITIONS = 2  # the released tables begin with two rows that no position has


def hyperparameters(config: Config) -> EDTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(
        config,
        normalize_before=False,
        normalize_embedding=True,
        add_final_layer_norm=False,
        static_position_embeddings=False,
        extra_pos_embeddings=UNUSED_POSITIONS,
        tie_word_embeddings=True,
    )
    return EDTransformerHyperparameters(
        **sizes(config),
        l_max=config["max_position_embeddings"],
        l_max_z=config["max_position_embeddings"],
        activation=activation(config.get("activation_function"), gelu),
        biases=Biases(u=True),
        embedding_norm=True,
        tied_embeddings=True,
        special_tokens=special_tokens(config, start=2),
    )


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    positions = After(UNUSED_POSITIONS)
    return [
        row("model.shared.weight", "W_e", others=("model.encoder.embed_tokens.weight",)),
        row("model.encoder.embed_positions.weight", "W_pz", positions),
        row("model.decoder.embed_positions.weight", "W_p", positions),
        *norms("layernorm_embedding", "e"),
        *layers(),
        row("final_logits_bias", "b_u", Reshaped(lambda hp: (1, hp.N_V))),
    ]


BASE = {
    "d_model": 768,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
    "max_position_embeddings": 1024,
    "vocab_size": 50265,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
_LARGER = {"d_model": 1024, "encoder_layers": 12, "decoder_layers": 12}
_LARGER |= {"encoder_attention_heads": 16, "decoder_attention_heads": 16}
_LARGER |= {"encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096}

BART = Family(
    name="bart",
    model_types=("bart",),
    architecture="encoder-decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("model.",),
    copies=copies(
        "model.shared.weight",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ),
    ignored=(r"^model\.(encoder|decoder)\.version$",),
    published={"bart-base": BASE, "bart-large": {**BASE, **_LARGER}},
)
