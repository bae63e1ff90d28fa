"""What a model is: which algorithm, its hyperparameters, what its lines cost, and how it differs from the print.

Of a file no more than the header is read, or the config.json; of a published model nothing but its name is needed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hyperparameters import VARIATIONS
from .costs import ALGORITHMS, LineCost, cache_numbers, costs
from .differences import differences, spelled
from .gguf import read_outline
from .glassllm import outline_glassllm
from .huggingface import CONFIG, hyperparameters_of, read_json
from .loading import load
from .registry import families, family_of, names, published

LETTERS = {"l_max": "ℓ_max"}
"""Hyperparameters whose name in the paper is another than here."""


@dataclass(frozen=True)
class Description:
    """What a model is.

    Attributes:
      name: of the file or directory, or the one under which it was published. family: such as "llama".
      architecture: "decoder", "encoder" or "encoder-decoder". hyperparameters: the model's.
      lines: what they cost.
      stored: how many bytes its tensors have in the file, by type; empty where that is not known.
    """

    name: str
    family: str
    architecture: str
    hyperparameters: Any
    lines: tuple[LineCost, ...]
    stored: dict[str, int]

    @property
    def algorithm(self) -> int:
        """The number of its algorithm."""
        return ALGORITHMS[self.architecture]

    @property
    def letters(self) -> dict[str, Any]:
        """The printed hyperparameters by the paper's letters, numbers of layers first."""
        hp = self.hyperparameters
        printed = [name for name in hp.__dataclass_fields__ if name not in VARIATIONS and name != "tied_embeddings"]
        printed.sort(key=lambda name: not name.startswith("L"))
        return {LETTERS.get(name, name): getattr(hp, name) for name in printed}

    @property
    def parameters(self) -> int:
        """How many there are."""
        return sum(line.parameters for line in self.lines)

    @property
    def differences(self) -> list[str]:
        """How it differs from the printed algorithm, in words."""
        return differences(self.hyperparameters)

    def flops(self, of: str = "x") -> dict[str, int]:
        """FLOPs for one token of the primary sequence "x" or the context "z".

        `fixed` whatever came before it; `per_x` and `per_z` for each token of these that it attends to.
        """
        own = [line for line in self.lines if line.of == of]
        return {"fixed": sum(line.flops for line in own)} | {
            f"per_{seen}": sum(line.flops_per_seen for line in own if line.seen == seen) for seen in "xz"
        }

    def as_json(self) -> dict[str, Any]:
        """All of it, for JSON."""
        hp = self.hyperparameters
        return {
            "name": self.name,
            "family": self.family,
            "architecture": self.architecture,
            "algorithm": self.algorithm,
            "hyperparameters": self.letters,
            "tied_embeddings": hp.tied_embeddings,
            "variations": {name: spelled(value) for name, value in hp.varied().items()},
            "differences": self.differences,
            "parameters": self.parameters,
            "lines": [vars(line) for line in self.lines],
            "bytes": {
                "parameters_float32": 4 * self.parameters,
                "cache_per_token_float32": 4 * cache_numbers(self.architecture, hp),
                "stored": self.stored,
            },
            "flops_per_token": {of: self.flops(of) for of in dict.fromkeys(line.of for line in self.lines)},
        }


def describe(path: str | os.PathLike[str]) -> Description:
    """What a model is.

    Args:
      path: what `load` takes, or the name of a published model, such as "gpt2-xl".
    Raises:
      OSError, ValueError: as `load`; for what is neither a path nor a name, with the nearest name.
    """
    name, family, architecture, hp, stored = _outline(Path(path))
    return Description(name, family, architecture, hp, tuple(costs(architecture, hp)), stored)


def _outline(path: Path) -> tuple[str, str, str, Any, dict[str, int]]:
    if not path.exists():
        if str(path) not in names() and (path.suffix in (".gguf", ".npz") or len(path.parts) > 1):
            raise FileNotFoundError(f"{path}: there is no such file or directory")
        hyperparameters = published(str(path))
        family = next(each for each in families().values() if str(path) in each.published)
        return str(path), family.name, family.architecture, hyperparameters, {}
    if path.suffix == ".npz":
        family, hyperparameters = outline_glassllm(path)
        return path.name, family.name, family.architecture, hyperparameters, {}
    if path.is_file() and _begins_with(path, b"GGUF"):
        outline = read_outline(path)
        stored: dict[str, int] = {}
        for tensor in outline.file.header.tensors.values():
            stored[tensor.type.name] = stored.get(tensor.type.name, 0) + tensor.end - tensor.begin
        return path.name, outline.family.name, outline.family.architecture, outline.hyperparameters, stored
    if path.is_dir() and (path / CONFIG).is_file() and not (path / "model.bin").is_file():
        config = read_json(path / CONFIG)
        if "model_type" in config:
            try:
                family = family_of(config)
                return path.name, family.name, family.architecture, hyperparameters_of(family, config), {}
            except ValueError as error:
                raise ValueError(f"{path / CONFIG}: {error}") from None
    model = load(path)
    return path.name, model.family, model.architecture, model.hyperparameters, {}


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
