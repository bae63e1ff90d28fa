"""The curves of a training run as a picture."""

from pathlib import Path

from .log import read_log


def plot(directory: Path, out: Path) -> Path:
    """Draws training loss, held-out loss and learning rate over the steps of the run in `directory`; gives the file.

    Raises:
      FileNotFoundError: there is no run. ValueError: its log has no loss yet, or is broken. OSError: `out`.
    """
    from matplotlib.figure import Figure  # no window, no global state

    entries = read_log(directory)
    curves = {
        name: [(entry["step"], entry[name]) for entry in entries if name in entry]
        for name in ("loss", "held_out_loss", "learning_rate")
    }
    if not curves["loss"]:
        raise ValueError(f"{directory} has no loss in its log yet: nothing to draw")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*curves["loss"], strict=True), color="0.6", linewidth=1, label="training")
    if curves["held_out_loss"]:
        axes.plot(*zip(*curves["held_out_loss"], strict=True), marker="o", markersize=3, label="held out")
    axes.set(xlabel="step", ylabel="loss (nats a token)", title=str(directory))
    axes.legend(loc="upper right")
    axes.grid(alpha=0.3)
    rate = axes.twinx()
    rate.plot(*zip(*curves["learning_rate"], strict=True), color="tab:green", alpha=0.4, linestyle="--")
    rate.set_ylabel("learning rate", color="tab:green")
    rate.set_ylim(bottom=0)
    figure.savefig(out, dpi=150)
    return out
