"""GPT-1 (Radford et al., 2018): Algorithm 10 with the norms after, and hence none at the end."""

from dataclasses import replace

from ...hyperparameters import DTransformerHyperparameters
from ...placement import POST
from ..config import require
from ..family import Config, Family
from ..tables import Row
from . import gpt2


def hyperparameters(config: Config) -> DTransformerHyperparameters:
    """The hyperparameters of a config.json. What it calls "gelu" is the one by tanh."""
    require(config, afn="gelu", tie_word_embeddings=True)
    hp = gpt2.hyperparameters({**config, "activation_function": "gelu_new", "n_inner": None})
    return replace(hp, placement=POST, final_norm=False)


def rows(hp: DTransformerHyperparameters) -> list[Row]:
    """The table of names: GPT-2's, with other ones for the two tables."""
    others = {"transformer.wte.weight": "tokens_embed", "transformer.wpe.weight": "positions_embed"}
    table = gpt2.rows(hp)
    return [replace(r, name=f"transformer.{others[r.name]}.weight") if r.name in others else r for r in table]


GPT1 = Family(
    name="gpt1",
    model_types=("openai-gpt",),
    architecture="decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("transformer.",),
    ignored=(r"\.attn\.bias$",),
    copies={r"^lm_head\.weight$": "transformer.tokens_embed.weight"},
    published={"gpt1": {"n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 512, "vocab_size": 40478}},
)
