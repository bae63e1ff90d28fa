"""The Transformer of "Attention Is All You Need" (1706.03762): Algorithm 8 with sinusoids and tied embeddings.

Its weights were never published in the form of Hugging Face: here are its hyperparameters.
"""

from ...hyperparameters import EDTransformerHyperparameters
from ...positional import interleaved_sinusoids
from ..family import Config, Family
from ..tables import Row
from .encoder_decoder_names import sizes


def hyperparameters(config: Config) -> EDTransformerHyperparameters:
    """The hyperparameters, in the names that BART and Marian have for them."""
    return EDTransformerHyperparameters(
        **sizes(config),
        l_max=config["max_position_embeddings"],
        table=interleaved_sinusoids,
        tied_embeddings=True,
        epsilon=1e-6,
    )


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """Raises `ValueError`: there are no files."""
    raise ValueError("the Transformer of 2017 was published without files in this form; it has hyperparameters alone")


def _published(d_e: int, H: int, N_V: int) -> Config:
    return {
        "d_model": d_e,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": H,
        "decoder_attention_heads": H,
        "encoder_ffn_dim": 4 * d_e,
        "decoder_ffn_dim": 4 * d_e,
        "vocab_size": N_V,
        "max_position_embeddings": 512,
        "scale_embedding": True,
    }


TRANSFORMER_2017 = Family(
    name="transformer-2017",
    model_types=(),
    architecture="encoder-decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    published={
        # English–German, with a vocabulary of about 37000 that both languages share.
        "transformer-base": _published(512, 8, 37000),
        "transformer-big": _published(1024, 16, 37000),
    },
)
