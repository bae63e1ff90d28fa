"""Everything that decides a training run, as one flat record: from a preset, a TOML file and options, in that order."""

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..hyperparameters import VARIATIONS, Hyperparameters
from ..practice import DTYPES, POLICIES
from .architectures import ARCHITECTURES

HYPERPARAMETERS: dict[str, type] = {name: one.hyperparameters for name, one in ARCHITECTURES.items()}
TOKENIZERS = ("characters", "bytes", "words", "bpe", "wordpiece", "unigram")
WITHOUT_SIZE = ("characters", "bytes")  # their vocabulary follows from the text
SCHEDULES = ("cosine", "inverse_square_root", "constant")
MASKINGS = ("printed", "bert")
PRESETS = ("tiny", "small", "base")  # presets/ARCHITECTURE-PRESET.toml; the first is the default


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The resolved configuration of a training run.

    Attributes:
      architecture: "decoder" (Algorithm 10), "encoder" (9) or "encoder-decoder" (8).
      L: layers; of the encoder-decoder `L_enc` and `L_dec`. H, d_e, d_mlp, l_max, d_attn, d_mid, d_f, epsilon,
        tied_embeddings: as in the hyperparameters of the paper (`formal_tx.hyperparameters`).
      tokenizer: one of `TOKENIZERS`. N_V: its vocabulary, special tokens included; characters and bytes have their own.
      held_out: share of the text, at its end, on which the loss is measured if no validation text is named.
      steps: updates of the parameters. batch_size: sequences to an update. accumulate: the number of parts, one after
        the other, in which the gradient of an update is computed. seed: of parameters, batches, masks and dropout.
      learning_rate: its peak. schedule: how it comes down after `warmup` steps: as a cosine to `final` times the peak,
        as the inverse square root of the step (1706.03762), or not at all.
      b1, b2, weight_decay: AdamW's; only matrices decay. clip: largest global norm of the gradient, 0 for no limit.
      ema: decay of a running average of the parameters, which then is what is saved; 0 for none.
      dropout, label_smoothing, dtype, remat: as in `Practice`. Unless it says otherwise, the backward pass finds what
        products gave stored, and computes the rest again: that is faster than to store it, and needs half the memory.
      mask_probability: p_mask of Algorithm 12. masking: "printed", or "bert" for its 80/10/10.
      evaluate_every, checkpoint_every, sample_every, log_every: steps between two of each; 0 for never.
      evaluate_batches: how many batches of held-out text, at most. patience: stop when so many evaluations brought no
        better loss, and keep the best parameters; 0 to go on to the end. keep: how many of the last checkpoints stay.
    Raises:
      ValueError: names the entry, its value and what was expected.
    """

    architecture: str
    L: int | None = None
    L_enc: int | None = None
    L_dec: int | None = None
    H: int = 4
    d_e: int = 128
    d_mlp: int = 512
    l_max: int = 64
    d_attn: int | None = None
    d_mid: int | None = None
    d_f: int | None = None
    epsilon: float = 1e-5
    tied_embeddings: bool = False
    tokenizer: str = "characters"
    N_V: int | None = None
    held_out: float = 0.05
    steps: int = 1000
    batch_size: int = 8
    accumulate: int = 1
    seed: int = 0
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup: int = 100
    final: float = 0.1
    b1: float = 0.9
    b2: float = 0.98
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    dtype: str = "float32"
    remat: str | None = "dots_with_no_batch_dims_saveable"
    mask_probability: float = 0.15
    masking: str = "printed"
    evaluate_every: int = 250
    evaluate_batches: int = 64
    checkpoint_every: int = 250
    sample_every: int = 0
    log_every: int = 10
    patience: int = 0
    keep: int = 2

    def __post_init__(self):
        for name, problem in _problems(self):
            raise ValueError(f"{name} is {getattr(self, name)!r}, {problem}")

    def hyperparameters(self, N_V: int) -> Hyperparameters:
        """The model's hyperparameters, for a tokenizer of `N_V` tokens.

        Raises:
          ValueError: as the hyperparameters' own class.
        """
        kind = HYPERPARAMETERS[self.architecture]
        given = {f.name: getattr(self, f.name) for f in fields(kind) if f.name not in ("N_V", *VARIATIONS)}
        return kind(**given, N_V=N_V)

    def as_dict(self) -> dict[str, Any]:
        """The entries that this architecture uses, for a file; `recorded` takes them back."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _foreign(self.architecture)}


# What a run may change when it goes on: nothing that has a say in the parameters it ends with.
MAY_CHANGE = frozenset({"checkpoint_every", "log_every", "keep", "sample_every"})

_POSITIVE = ("H", "d_e", "d_mlp", "l_max", "steps", "batch_size", "accumulate", "evaluate_batches", "log_every", "keep")
_COUNTS = ("seed", "warmup", "evaluate_every", "checkpoint_every", "sample_every", "patience")
_SHARES = ("b1", "b2", "ema", "dropout", "label_smoothing")


def _foreign(architecture: str) -> set[str]:
    """Entries of the other architectures."""
    own = {
        "decoder": {"L"},
        "encoder": {"L", "d_f", "mask_probability", "masking"},
        "encoder-decoder": {"L_enc", "L_dec"},
    }
    return set.union(*own.values()) - own[architecture]


def _problems(c: Configuration):
    """What is wrong with a configuration: (entry, what was expected instead)."""
    yield from _problems_of_entries(c)
    yield from _contradictions(c)


def _problems_of_entries(c: Configuration):
    if c.architecture not in HYPERPARAMETERS:
        yield "architecture", f"expected one of {', '.join(HYPERPARAMETERS)}"
    for name in _foreign(c.architecture):
        if getattr(c, name) != Configuration.__dataclass_fields__[name].default:
            yield name, f"which has no meaning for the architecture {c.architecture}"
    layers = ("L_enc", "L_dec") if c.architecture == "encoder-decoder" else ("L",)
    for name in (*layers, *_POSITIVE):
        if (getattr(c, name) or 0) < 1:
            yield name, "expected an integer of at least 1"
    for name in _COUNTS:
        if getattr(c, name) < 0:
            yield name, "expected an integer of at least 0"
    for name in _SHARES:
        if not 0 <= getattr(c, name) < 1:
            yield name, "expected a number in [0, 1)"
    if not 0 < c.held_out < 1:
        yield "held_out", "expected a number inside (0, 1)"
    if not 0 < c.mask_probability < 1:
        yield "mask_probability", "expected a number inside (0, 1)"
    if not 0 <= c.final <= 1:
        yield "final", "expected a number in [0, 1]"
    for name in ("weight_decay", "clip"):
        if not 0 <= getattr(c, name) < float("inf"):
            yield name, "expected a number of at least 0"
    if not 0 < c.learning_rate < float("inf"):
        yield "learning_rate", "expected a number greater than 0"
    for name, known in (
        ("tokenizer", TOKENIZERS),
        ("schedule", SCHEDULES),
        ("masking", MASKINGS),
        ("dtype", DTYPES[:3]),
        ("remat", (None, *POLICIES)),
    ):
        if getattr(c, name) not in known:
            yield name, f"expected one of {', '.join(map(str, known))}"


def _contradictions(c: Configuration):
    if c.batch_size % c.accumulate:
        yield "accumulate", f"which does not divide batch_size = {c.batch_size}"
    if c.warmup >= c.steps and c.schedule == "cosine":
        yield "warmup", f"which leaves no step of steps = {c.steps} for the cosine"
    if c.tokenizer in WITHOUT_SIZE and c.N_V is not None:
        yield "N_V", f"but the vocabulary of the tokenizer {c.tokenizer} follows from the text: leave N_V out"
    if c.tokenizer not in WITHOUT_SIZE and (c.N_V is None or c.N_V < 5):
        yield "N_V", f"expected a vocabulary of at least 5 for the tokenizer {c.tokenizer}"
    if c.patience and not c.evaluate_every:
        yield "patience", "but evaluate_every = 0 brings no loss to wait for"
    if c.architecture != "encoder" or c.N_V is not None:
        c.hyperparameters(c.N_V or 5)  # raises for what does not fit together, such as H and d_e
    if c.l_max < 2:
        yield "l_max", "expected at least 2: a token to see and a token to guess"


def configured(
    architecture: str, preset: str | None = None, file: Path | None = None, options: Mapping[str, Any] | None = None
) -> Configuration:
    """The configuration of a preset, in which a TOML file and then options replace entries.

    Raises:
      ValueError: for a preset or an entry that does not exist (the nearest name is given), a value of another type, or
        values that contradict each other. OSError: if the file cannot be read.
    """
    if architecture not in HYPERPARAMETERS:
        raise ValueError(f"architecture is {architecture!r}, expected one of {', '.join(HYPERPARAMETERS)}")
    from_file = {} if file is None else _parsed(file.read_bytes(), str(file))
    named = from_file.pop("preset", None)
    preset = preset or named or PRESETS[0]
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}, expected one of {', '.join(PRESETS)}")
    resource = files(__package__).joinpath("presets", f"{architecture}-{preset}.toml")
    entries = _parsed(resource.read_bytes(), resource.name)
    for source, given in ((str(file), from_file), ("option", options or {})):
        for name, value in given.items():
            entries[name] = _typed(source, name, value)
    tokenizer = entries.get("tokenizer")
    asked = set(from_file) | set(options or {})
    if tokenizer in WITHOUT_SIZE and "N_V" not in asked:
        entries["N_V"] = None  # the preset's was for another tokenizer
    return Configuration(**{**entries, "architecture": architecture})


def recorded(entries: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Configuration:
    """The configuration whose `as_dict` a file has, with options in place of its entries. Raises as `configured`."""
    own = {name: value for name, value in entries.items() if name != "architecture"}
    return configured(entries["architecture"], options={**own, **(options or {})})


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text: byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is not TOML: {error}") from None


_TYPES = get_type_hints(Configuration)


def _typed(source: str, name: str, value: Any) -> Any:
    """The value in the type of the entry: a whole number may stand for a float, and text, as of an option, for both."""
    if name not in _TYPES:
        near = difflib.get_close_matches(name, _TYPES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{source}: there is no entry {name}{hint}")
    kinds = get_args(_TYPES[name]) if get_origin(_TYPES[name]) in (Union, UnionType) else (_TYPES[name],)
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        converted = _as(kind, value)
        if converted is not None:
            return converted
    expected = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    raise ValueError(f"{source}: {name} is {value!r}, expected {expected}")


def _as(kind: type, value: Any) -> Any:
    """`value` as this type, or None if it is none."""
    if isinstance(value, bool) or kind is bool:
        truth = {"true": True, "false": False}.get(str(value).lower())
        return truth if kind is bool else None
    if kind is float and isinstance(value, int | float):
        return float(value)
    if isinstance(value, kind):
        return value
    if isinstance(value, str) and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            return None
    return None


def differences(old: Configuration, new: Configuration) -> list[str]:
    """The entries that a run cannot go on with, as "steps: 100 before, 200 now"."""
    return [
        f"{f.name}: {getattr(old, f.name)} before, {getattr(new, f.name)} now"
        for f in dataclasses.fields(Configuration)
        if f.name not in MAY_CHANGE and getattr(old, f.name) != getattr(new, f.name)
    ]
