"""A family of published models: what its configuration means, and what its tensors are called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .tables import Row

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Models with one configuration file and one table of names.

    Attributes:
      name: what it is called, such as "llama".
      model_types: the values of `model_type` in a config.json of Hugging Face.
      architecture: "decoder" (Algorithm 10), "encoder" (9) or "encoder-decoder" (8).
      hyperparameters: those that a config.json says.
      rows: the table of names for these hyperparameters.
      prefixes: what a file may have before every name ("model.", "transformer.").
      ignored: regular expressions of tensors that hold no parameters, and are made anew: masks, angles.
      kept: regular expressions of tensors that hold no parameters of the architecture, and are kept as a model's
        `extras`, under their names: heads of their own.
      copies: regular expressions of names under which files may have a tensor a second time, by the name of the first
        ({"^lm_head.weight$": "transformer.wte.weight"}); they are compared, and not kept. They count only where the
        table has no row for them.
      config: the config.json of hyperparameters, if the family can say it, for models that were made here.
      published: hyperparameters by published name, as parts of a config.json.
    """

    name: str
    model_types: tuple[str, ...]
    architecture: str
    hyperparameters: Callable[[Config], Any]
    rows: Callable[[Any], list[Row]]
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)
    config: Callable[[Any], dict[str, Any]] | None = None
    published: Mapping[str, Config] = field(default_factory=dict)
