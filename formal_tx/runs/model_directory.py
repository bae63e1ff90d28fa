"""A trained model on disk: parameters, configuration and tokenizer, in one directory that can be moved.

`model.safetensors` has the parameters by path (`W_e`, `layers.attention.heads.W_q`, …), `config.json` what the model is
and how it was trained, `tokenizer.json` the tokenizer. `config.json` is written last and knows the SHA-256 of the
others, so that files that do not belong together are noticed.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..architecture_contracts import require_parameters
from ..data.tokenizer import Tokenizer
from .architectures import require_architecture
from .files import sha256, write_whole
from .hyperparameters_json import from_json, to_json
from .parameter_file import FORMAT, load_parameters, save_parameters

PARAMETERS, CONFIGURATION, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
RESERVED = ("format", "architecture", "hyperparameters", "files")  # entries of config.json that are not the caller's


@dataclass(frozen=True)
class Model:
    """A trained model and what belongs to it.

    Attributes:
      architecture: "decoder", "encoder" or "encoder-decoder".
      params: its parameters, `DTransformerParameters` for a decoder. hyperparameters: of the same architecture.
      tokenizer: of the same vocabulary. configuration: how it was trained, for JSON.
    Raises:
      ValueError: there is no such architecture, or these do not belong together; says what each has.
    """

    architecture: str
    params: Any
    hyperparameters: Any
    tokenizer: Tokenizer
    configuration: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = require_architecture(self.architecture).hyperparameters.__name__
        found = type(self.hyperparameters).__name__
        if found != expected:
            raise ValueError(f"the hyperparameters of architecture {self.architecture!r} are {expected}, not {found}")
        if self.tokenizer.N_V != self.hyperparameters.N_V:
            raise ValueError(
                f"the vocabulary of the tokenizer has {self.tokenizer.N_V} tokens, and that of the model "
                f"{self.hyperparameters.N_V}"
            )


def save_model(directory: str | os.PathLike[str], model: Model) -> None:
    """Writes a model to a directory, which is made if it does not exist.

    Raises:
      TypeError: the configuration is nothing for JSON.
      ValueError: the parameters are not of these hyperparameters, or the configuration has an entry under a name that
        `config.json` needs itself.
      OSError: a file cannot be written.
    """
    directory = Path(directory)
    taken = next((name for name in RESERVED if name in model.configuration), None)
    if taken is not None:
        raise ValueError(f"the configuration has an entry {taken!r}, a name that {CONFIGURATION} needs for its own")
    kind = require_architecture(model.architecture).parameters
    params = require_parameters("save_model", model.params, kind, model.hyperparameters)
    config = {
        "format": FORMAT,
        "architecture": model.architecture,
        "hyperparameters": to_json(model.hyperparameters),
        **model.configuration,
    }
    json.dumps(config, allow_nan=False)  # raises before anything is written
    directory.mkdir(parents=True, exist_ok=True)
    save_parameters(directory / PARAMETERS, params)
    model.tokenizer.save(directory / TOKENIZER)
    config["files"] = {name: sha256(directory / name) for name in (PARAMETERS, TOKENIZER)}
    content = json.dumps(config, indent=2, ensure_ascii=False)
    write_whole(directory / CONFIGURATION, f"{content}\n".encode())


def load_model(directory: str | os.PathLike[str]) -> Model:
    """The model that `save_model` wrote to a directory.

    Raises:
      NotADirectoryError, FileNotFoundError: there is no such directory, or a file is missing in it.
      ValueError: a file has been altered, or is not what it should be; says which, where, and what was expected.
    """
    directory = Path(directory)
    _require_files(directory)
    path = directory / CONFIGURATION
    config = _read_json(path)
    try:
        hyperparameters = _read_hyperparameters(config)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    for name in (PARAMETERS, TOKENIZER):
        _require_unaltered(directory / name, config["files"].get(name))
    params = load_parameters(directory / PARAMETERS, hyperparameters, config["architecture"])
    tokenizer = Tokenizer.load(directory / TOKENIZER)
    configuration = {name: value for name, value in config.items() if name not in RESERVED}
    try:
        return Model(config["architecture"], params, hyperparameters, tokenizer, configuration)
    except ValueError as error:
        raise ValueError(f"{directory}: {error}") from error


def _require_files(directory: Path) -> None:
    if not directory.is_dir():
        found = "is a file" if directory.exists() else "does not exist"
        raise NotADirectoryError(f"{directory} {found}, expected the directory of a trained model")
    for name in (CONFIGURATION, PARAMETERS, TOKENIZER):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"{directory} has no {name}, which a trained model needs; `formal-tx train … --out {directory}` writes "
                "it when it has finished"
            )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}, expected JSON") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: byte {error.start} is {error.object[error.start]:#04x}") from error


def _read_hyperparameters(config: Any) -> Any:
    """The hyperparameters, after a look at whether this is a configuration of a version that can be read."""
    if not isinstance(config, dict):
        raise ValueError(f"its content is of type {type(config).__name__}, expected an object")
    missing = next((name for name in RESERVED if name not in config), None)
    if missing is not None:
        raise ValueError(f"it has no entry {missing!r}")
    if config["format"] != FORMAT:
        raise ValueError(f"its format is {config['format']!r}, expected {FORMAT}, which is what this formal-tx reads")
    for name in ("hyperparameters", "files"):
        if not isinstance(config[name], dict):
            raise ValueError(f"its entry {name!r} is of type {type(config[name]).__name__}, expected an object")
    return from_json(require_architecture(config["architecture"]).hyperparameters, config["hyperparameters"])


def _require_unaltered(path: Path, expected: Any) -> None:
    found = sha256(path)
    if found != expected:
        raise ValueError(
            f"{path} has been altered, or belongs to another model: its SHA-256 is {found}, and {CONFIGURATION} has "
            f"{expected}"
        )
