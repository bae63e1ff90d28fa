"""Marian (Junczys-Dowmunt et al., 2018), the OPUS-MT models: Algorithm 8 as in 2017, but for SiLU."""

from ...activations import silu
from ...hyperparameters import Biases, EDTransformerHyperparameters
from ...positional import sinusoid_halves
from ..config import activation, require
from ..family import Config, Family
from ..forms import Reshaped
from ..tables import Row, row
from .encoder_decoder_names import copies, layers, sizes, special_tokens


def hyperparameters(config: Config) -> EDTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(
        config,
        normalize_before=False,
        normalize_embedding=False,
        add_final_layer_norm=False,
        static_position_embeddings=True,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
    )
    # A vocabulary of the decoder's own goes with embeddings that are not shared.
    require(config, decoder_vocab_size=config["vocab_size"])
    return EDTransformerHyperparameters(
        **sizes(config),
        l_max=config["max_position_embeddings"],
        table=sinusoid_halves,
        activation=activation(config.get("activation_function"), silu),
        biases=Biases(u=True),
        tied_embeddings=True,
        special_tokens=special_tokens(config, start=config.get("pad_token_id", config["vocab_size"] - 1)),
    )


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return [
        row("model.shared.weight", "W_e", others=("model.encoder.embed_tokens.weight",)),
        *layers(),
        row("final_logits_bias", "b_u", Reshaped(lambda hp: (1, hp.N_V))),
    ]


MARIAN = Family(
    name="marian",
    model_types=("marian",),
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
    ignored=(r"^model\.(encoder|decoder)\.embed_positions\.weight$",),
    published={
        "opus-mt-en-de": {
            "d_model": 512,
            "encoder_layers": 6,
            "decoder_layers": 6,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
            "max_position_embeddings": 512,
            "vocab_size": 58101,
            "scale_embedding": True,
            "activation_function": "swish",
            "pad_token_id": 58100,
            "eos_token_id": 0,
            "decoder_start_token_id": 58100,
        }
    },
)
