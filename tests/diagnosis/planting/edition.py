"""The JAX edition with something planted in it: a copy of the library's modules, imported fresh under another name."""

import dataclasses
import importlib
import itertools
import re
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import formal_tx
from formal_tx.hyperparameters import VARIATIONS

_LIBRARY = Path(formal_tx.__file__).parent
_HERE = Path(__file__).parent
_COPIED = (
    "activations.py",
    "architecture_contracts.py",
    "architectures.py",
    "attend.py",
    "attending.py",
    "attention.py",
    "blockwise.py",
    "contracts.py",
    "embedding.py",
    "groups.py",
    "hyperparameters.py",
    "inference/algorithms.py",
    "inference/cache.py",
    "inference/contracts.py",
    "inference/decoding.py",
    "inference/drawing.py",
    "initialization.py",
    "linear.py",
    "losses.py",
    "losses_in_parts.py",
    "masking.py",
    "mask_adapters.py",
    "mask_blocks.py",
    "masks.py",
    "mlp.py",
    "normalization.py",
    "placement.py",
    "quantization.py",
    "training.py",
)
_SHARED = (
    "implementation",
    "inference.buckets",
    "inference.compiling",
    "inference.filters",
    "parameters",
    "practice",
    "tagging",
    "validation",
    "vocabulary",
)
"""What holds no line of the paper, or types that `isinstance` asks for, is the library's own.

Hyperparameters hold functions, the norm and the activation among them, so a copy has its own (`hyperparameters`); what
the contracts remember of them goes with the copy.
"""

ADAPTED = {
    "inference/drawing.py": (  # the library draws with keys of its own, a candidate with `sample(q)`
        "y = likeliest(scaled + jax.random.gumbel(key, scaled.shape, scaled.dtype))",
        "y = jnp.asarray(sample(jax.nn.softmax(scaled)), int)",
    ),
    "contracts.py": (  # without `jit` a function would refuse the nan that another one has made
        "            refuse_nan_input(f.__name__, arguments, result)\n",
        "",
    ),
}

_numbers = itertools.count()


def source(file: str) -> str:
    """The text of a file of the library, or of `uncached.py`, which stands beside this one."""
    if file == "uncached.py":
        return (_HERE / file).read_text().replace("from formal_tx.", "from .")
    return (_LIBRARY / file).read_text()


def patched(file: str, changes: Iterable[tuple[str, str]]) -> str:
    """The text of a file with the first of each pair replaced by the second.

    Raises:
      ValueError: if a text to be replaced does not occur exactly once.
    """
    text, written = source(file), dict(changes)
    for old in written:
        if text.count(old) != 1:
            raise ValueError(f"{file}: this text occurs {text.count(old)} times, expected once:\n{old}")
    return re.sub("|".join(map(re.escape, written)), lambda found: written[found[0]], text)


class Edition:
    """A copy of the library in which the text of one file may be another.

    Args:
      folder: an empty folder for the copy. file, text: which file, and its text.
    """

    def __init__(self, folder: Path, file: str = "", text: str = ""):
        self.name = f"planted_{next(_numbers):03d}"
        for copied in (*_COPIED, "uncached.py"):
            content = text if copied == file else source(copied)
            path = folder / copied
            path.parent.mkdir(exist_ok=True)
            path.write_text(content.replace(*ADAPTED[copied]) if copied in ADAPTED else content)
        for package, place in ((self.name, folder), (f"{self.name}.inference", folder / "inference")):
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [str(place)]
        for shared in _SHARED:
            sys.modules[f"{self.name}.{shared}"] = importlib.import_module(f"formal_tx.{shared}")

    def module(self, name: str) -> ModuleType:
        """A module of the copy, such as "inference.algorithms"."""
        return importlib.import_module(f"{self.name}.{name}")

    def hyperparameters(self, printed: Any) -> Any:
        """The copy's hyperparameters with these values, which hold its own functions; W_u is never W_e.

        Raises:
          ValueError: if they are not as printed: the functions of a variation would be the library's.
        """
        if printed.varied():
            raise ValueError(f"an edition is planted as printed, and the hyperparameters vary {printed.varied()}")
        kind = getattr(self.module("hyperparameters"), type(printed).__name__)
        values = {f.name: getattr(printed, f.name) for f in dataclasses.fields(printed) if f.name not in VARIATIONS}
        return kind(**values | {"tied_embeddings": False})

    def forget(self) -> None:
        """Take the copy out of `sys.modules`."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
