"""`train`: from text and a configuration to a model directory, in one call; begun anew, or gone on with."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from .configuration import Configuration, differences, recorded
from .files import write_whole
from .lock import only_writer
from .model_directory import Model, save_model
from .preparation import DATA, Prepared, prepare, reopen
from .reporting import Reporter
from .sources import EMBEDDED, Sources
from .statistics import statistics
from .trainer import Trainer

RUN = "run.json"  # what a run was begun with; `config.json` is written when there is a model
FORMAT = 1


def train(
    configuration: Configuration,
    directory: str | Path,
    sources: Sources | None = None,
    *,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> Model:
    """Trains a model by Algorithm 11, 12 or 13 and leaves it, with its tokenizer and configuration, in a directory.

    Args:
      configuration: everything that decides the run.
      directory: DIR; there are the model, the log, the checkpoints and the tokenised text.
      sources: the text; the embedded corpus unless given.
      resume: go on with the run that is in `directory`, from its newest whole checkpoint, and end at the same bits as
        if it had never stopped. If there is none, begin.
      reporter: hears how it goes.
    Returns:
      The trained model, as `load_model(directory)` reads it.
    Raises:
      FileExistsError: there is a run in `directory`, and `resume` was not asked for.
      ValueError: `resume`, and the run was begun with another configuration or other text; or the text is unusable.
      Interrupted: Ctrl-C; there is a checkpoint. Diverged: the loss is no number any more.
      CheckpointError, DirectoryInUse, OSError: the directory cannot be written to, is full, or another process's.
    """
    directory, sources, reporter = Path(directory), sources or Sources(), reporter or Reporter()
    with only_writer(directory) as problems:
        for problem in problems:
            reporter.note(problem)
        begun = read_run(directory)
        if begun is None:
            data = prepare(configuration, sources, directory)
            _write_run(directory, configuration, sources, data)
        else:
            if not resume:
                raise FileExistsError(
                    f"{directory} holds a training run: --resume goes on with it, another --out begins a new one"
                )
            _require_same(directory, begun, configuration, sources)
            data = reopen(configuration, directory)
            _require_same_text(directory, begun, data)
        trainer = Trainer(configuration, directory, data, reporter)
        reporter.prepared(statistics(configuration, data, trainer.state["params"]))
        model = Model(
            architecture=configuration.architecture,
            params=trainer.run(),
            hyperparameters=trainer.hyperparameters,
            tokenizer=data.tokenizer,
            configuration={
                "library": f"formal-tx {__version__}",
                "training": configuration.as_dict(),
                "data": _described(sources, data),
                "result": dataclasses.asdict(trainer.record),
            },
        )
        save_model(directory, model)
        return model


def read_run(directory: Path) -> dict[str, Any] | None:
    """What the run in a directory was begun with, or None if there is none.

    Raises:
      ValueError: the file is broken, or of another version.
    """
    path = directory / RUN
    if not path.is_file():
        return None
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is broken: {error}") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise ValueError(f"{path} is not of format {FORMAT}, which is what this formal-tx reads")
    return run


def configuration_of(directory: str | Path, options: Mapping[str, Any] | None = None) -> Configuration | None:
    """The configuration of the run in a directory, with options in place of its own; None if there is no run."""
    run = read_run(Path(directory))
    return None if run is None else recorded(run["configuration"], options)


def _write_run(directory: Path, c: Configuration, sources: Sources, data: Prepared) -> None:
    run = {"format": FORMAT, "configuration": c.as_dict(), "data": _described(sources, data)}
    write_whole(directory / RUN, json.dumps(run, indent=2).encode())


def _described(sources: Sources, data: Prepared) -> dict[str, Any]:
    return {
        "files": list(sources.files) or [EMBEDDED],
        "held_out": list(sources.held_out),
        "fingerprints": {"train": data.train.fingerprint, "held_out": data.held_out.fingerprint},
    }


def _require_same(directory: Path, begun: dict[str, Any], c: Configuration, sources: Sources) -> None:
    """A run goes on with what it was begun with."""
    changed = differences(recorded(begun["configuration"]), c)
    for name, given in (("files", sources.files), ("held_out", sources.held_out)):
        if sources.files and list(given) != begun["data"][name]:
            changed.append(f"{name}: {_listed(begun['data'][name])} before, {_listed(given)} now")
    if changed:
        raise ValueError(
            f"the run in {directory} cannot go on with another configuration: {'; '.join(changed)}. Give it what it "
            "was begun with (or --resume alone), or begin a new run in another --out"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _require_same_text(directory: Path, begun: dict[str, Any], data: Prepared) -> None:
    """The tokenised text is that which the run was begun with, and has not been altered."""
    for name, tokens in (("train", data.train), ("held_out", data.held_out)):
        expected = begun["data"]["fingerprints"][name]
        try:
            tokens.verify()
            if tokens.fingerprint != expected:
                raise ValueError(f"its fingerprint is {tokens.fingerprint}, expected {expected}, that of the run")
        except ValueError as error:
            raise ValueError(f"{directory / DATA / name}: {error}") from None
