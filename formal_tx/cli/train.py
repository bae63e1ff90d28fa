"""`formal-tx train`: trains a model on text and leaves it in a directory."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import messages, output_json
from .options import files_after_data, settings


class Architecture(StrEnum):
    decoder = "decoder"
    encoder = "encoder"
    encoder_decoder = "encoder-decoder"


class Preset(StrEnum):
    tiny = "tiny"
    small = "small"
    base = "base"


class Format(StrEnum):
    text = "text"
    jsonl = "jsonl"
    tsv = "tsv"


def train(
    architecture: Annotated[Architecture, typer.Argument(help="Algorithm 10 (decoder), 9 (encoder) or 8.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="More files, as after --data.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Text, .jsonl or (for pairs) .tsv; - is standard input. Default: the corpus."
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Text to measure on; default: the end of --data.")
    ] = None,
    format: Annotated[Format | None, typer.Option(help="Of --data; default: by the name of the file.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model goes.")] = Path("model"),
    preset: Annotated[Preset | None, typer.Option(help="Sizes and settings to start from [default: tiny].")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Settings by name, in place of the preset's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the parameters.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences to an update.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Its peak.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="characters, bytes, words, bpe, wordpiece or unigram.")] = None,
    vocabulary_size: Annotated[int | None, typer.Option(help="N_V, special tokens included.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of parameters, batches, masks and dropout.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between two checkpoints; 0 for one at the end.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, such as d_e=256; see docs/train.md."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, or begin if there is none.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Train a model on text: Algorithm 13, 12 or 11 with AdamW, batches and checkpoints.

    Without --data it trains on the embedded corpus: the World English Bible, and for the encoder-decoder its verses
    with those of the Reina-Valera. Ctrl-C stops it with a checkpoint; --resume goes on to the very same result.
    """
    from ..runs.configuration import configured
    from ..runs.sources import Sources
    from ..runs.train import configuration_of
    from ..runs.train import train as run
    from ..runs.trainer import Interrupted
    from .training_report import TrainingReport

    options = settings(
        set_,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        tokenizer=tokenizer,
        N_V=vocabulary_size,
        seed=seed,
        checkpoint_every=checkpoint_every,
    )
    files = files_after_data(data, more, "train")
    going_on = configuration_of(out, options) if resume and preset is None and config is None else None
    configuration = going_on or configured(architecture.value, preset and preset.value, config, options)
    sources = Sources(files, tuple(held_out or ()), format and format.value)
    if configuration.architecture != architecture.value:
        raise ValueError(
            f"{out} holds a run of the architecture {configuration.architecture}, not {architecture.value}"
        )
    report = TrainingReport(configuration, out, messages)
    try:
        with report:
            model = run(configuration, out, sources, resume=resume, reporter=report)
    except (Interrupted, KeyboardInterrupt) as stop:
        report.stopped(stop.step if isinstance(stop, Interrupted) else None, going_on_command(sys.argv[1:]))
        raise typer.Exit(130) from None
    if json:
        output_json({"directory": str(out), **model.configuration["result"], **report.last})
    else:
        report.finished(model)


def going_on_command(arguments: list[str]) -> str:
    """The command line that goes on with the run that these arguments began."""
    return shlex.join(["formal-tx", *arguments, *(() if "--resume" in arguments else ("--resume",))])
