"""How a training run looks in the terminal: its text, a progress bar, evaluations, samples, and what came of it."""

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..runs.configuration import Configuration
from ..runs.model_directory import Model
from ..runs.reporting import Reporter


class TrainingReport(Reporter):
    """Shows a run on a console; where that is no terminal, a line for each evaluation takes the place of the bar."""

    def __init__(self, configuration: Configuration, directory: Path, console: Console) -> None:
        self.configuration = configuration
        self.directory = directory
        self.console = console
        self.last: dict[str, Any] = {}
        self.progress_bar = Progress(
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.console.print("reading the text, making the tokenizer", style="dim")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.progress_bar.stop()

    def note(self, message: str) -> None:
        self.console.print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def prepared(self, statistics: dict[str, Any]) -> None:
        for line in describe(statistics):
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self.task = self.progress_bar.add_task("compiling", total=self.configuration.steps)
        self.progress_bar.start()

    def progress(self, step: int, measured: dict[str, float]) -> None:
        self.last |= {"step": step, **measured}
        assert self.task is not None  # `prepared` came first
        self.progress_bar.update(
            self.task,
            completed=step,
            description=f"loss {measured['loss']:.3f}  rate {measured['learning_rate']:.1e}  "
            f"|∇| {measured['gradient_norm']:.2f}  {measured['tokens_per_second']:,.0f} tokens/s "
            f"({measured['share_of_limit']:.0%} of the limit)",
        )

    def evaluated(self, step: int, measured: dict[str, float]) -> None:
        self.last |= {name: value for name, value in measured.items() if name != "best"}
        loss = measured["held_out_loss"]
        train = f"loss {self.last['loss']:.3f}, " if "loss" in self.last else ""
        bits = measured.get("held_out_bits_per_character")
        more = "" if bits is None else f", {bits:.3f} bits a character"
        best = ", the best so far" if measured["best"] else ""
        self.console.print(
            f"step {step:,}: {train}held-out loss {loss:.3f} (perplexity {math.exp(min(loss, 50)):,.1f}){more}{best}",
            highlight=False,
            soft_wrap=True,
        )

    def sampled(self, step: int, text: str) -> None:
        self.console.print(f"    {text}", style="italic", markup=False, highlight=False)

    def stopped(self, step: int | None, command: str) -> None:
        """Ctrl-C: how to go on. Without a step it came before the first or after the last, or twice."""
        self.note(
            "stopped. To go on:" if step is None else f"stopped after step {step:,}, with a checkpoint. To go on:"
        )
        self.console.print(f"    {command}", markup=False, highlight=False, soft_wrap=True)

    def finished(self, model: Model) -> None:
        """What there is now, and what can be done with it."""
        use = {
            "decoder": f'formal-tx generate {self.directory} --prompt "In the beginning"',
            "encoder": f'formal-tx fill {self.directory} "In the ____ God created the heavens"',
            "encoder-decoder": f"formal-tx translate {self.directory} FILE",
        }
        self.console.print(
            f"the model is in {self.directory}; to use it:", markup=False, highlight=False, soft_wrap=True
        )
        self.console.print(f"    {use[model.architecture]}", markup=False, highlight=False, soft_wrap=True)


def describe(statistics: dict[str, Any]) -> list[str]:
    """The statistics of a run in a few lines."""
    lines = [f"{statistics['architecture']} of {statistics['parameters']:,} parameters"]
    for name in ("train", "held_out"):
        lines.append(f"{name.replace('_', ' ')}: {_text(statistics[name])}")
    lines.append(f"{statistics['steps']:,} steps, {statistics['epochs']:,} epochs")
    return lines


def _text(part: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in part.items())


def _number(value: Any) -> str:
    if isinstance(value, dict):  # percentiles
        return f"{value['1']:,} to {value['99']:,} (median {value['50']:,}, longest {value['max']:,})"
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"
