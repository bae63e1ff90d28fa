"""The placements: what people write wrongly, in JAX, file by file."""

from . import (
    attention,
    decoder,
    embedding,
    encoder,
    encoder_decoder,
    heads,
    inference,
    masks,
    normalization,
    shapes,
    single_query,
    training,
)

PLACEMENTS = (
    *embedding.PLACEMENTS,
    *single_query.PLACEMENTS,
    *attention.PLACEMENTS,
    *masks.PLACEMENTS,
    *heads.PLACEMENTS,
    *shapes.PLACEMENTS,
    *normalization.PLACEMENTS,
    *decoder.PLACEMENTS,
    *encoder.PLACEMENTS,
    *encoder_decoder.PLACEMENTS,
    *training.PLACEMENTS,
    *inference.PLACEMENTS,
)
