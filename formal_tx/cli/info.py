"""`formal-tx info`: what is in a model directory."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import output_json
from .evaluate import show


def info(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A trained model, or a run that goes on.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a model is, how it was trained, and how far a run has come."""
    described = describe(directory)
    if json:
        output_json(described)
    else:
        show(described)


def describe(directory: Path) -> dict[str, Any]:
    """The model of a directory if it has one, and its run if there was one.

    Raises:
      ValueError, OSError: there is neither, or a file is broken.
    """
    from ..runs.checkpoints import Checkpoints
    from ..runs.hyperparameters_json import to_json
    from ..runs.log import NAME, read_log
    from ..runs.model_directory import CONFIGURATION, load_model
    from ..runs.outline import by_name
    from ..runs.train import read_run

    run = read_run(directory)
    described: dict[str, Any] = {}
    if run is None or (directory / CONFIGURATION).is_file():
        model = load_model(directory)
        sizes = {name: W.size for name, W in by_name(model.params).items()}
        described |= {
            "architecture": model.architecture,
            "parameters": sum(sizes.values()),
            "hyperparameters": to_json(model.hyperparameters),
            "tokenizer": {"kind": model.tokenizer.kind, "N_V": model.tokenizer.N_V},
            "sizes": sizes,
        }
    if run is not None:
        entries = read_log(directory) if (directory / NAME).is_file() else []
        described |= {
            "training": run["configuration"],
            "data": run["data"],
            "progress": {
                "finished": (directory / CONFIGURATION).is_file(),
                "step": max((entry["step"] for entry in entries), default=0),
                "checkpoints": ", ".join(map(str, Checkpoints(directory / "checkpoints").steps())),
                "best_held_out_loss": min((e["held_out_loss"] for e in entries if "held_out_loss" in e), default=None),
            },
        }
    return described
