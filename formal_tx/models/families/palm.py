"""PaLM (2204.02311): its shape; the weights were never published.

Both sub-layers in parallel behind one norm, no biases, a gated SiLU, one head of keys and values, rotary positions, and
logits of the embedding table divided by √d_e, since embeddings start as N(0, 1).
"""

from ...activations import silu
from ...hyperparameters import NO_BIASES, DTransformerHyperparameters
from ...placement import PARALLEL_ONE_NORM
from ...positional import Rotary
from ..family import Config, Family
from ..tables import Row


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of layers, width and heads (table 1 of the paper)."""
    d_e = config["d_e"]
    return DTransformerHyperparameters(
        l_max=2048,
        L=config["L"],
        H=config["H"],
        H_kv=1,
        d_e=d_e,
        d_mlp=4 * d_e,
        N_V=256000,
        d_attn=256,
        d_mid=256,
        activation=silu,
        gated=True,
        placement=PARALLEL_ONE_NORM,
        biases=NO_BIASES,
        table=None,
        rotate=Rotary(),
        tied_embeddings=True,
        logit_scale=d_e**-0.5,
    )


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """There are no files, and hence no names."""
    return []


PALM = Family(
    name="palm",
    model_types=(),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    published={
        "palm-8b": {"L": 32, "d_e": 4096, "H": 16},
        "palm-62b": {"L": 64, "d_e": 8192, "H": 32},
        "palm-540b": {"L": 118, "d_e": 18432, "H": 48},
    },
)
