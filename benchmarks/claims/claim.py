"""A claim of a paper, what was measured here, and whether it holds: printed, written down, drawn."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from formal_tx.cli.huge_pages import begin_again_with_huge_pages

from ..harness.machine import ROOT, circumstances

RESULTS = ROOT / "benchmarks" / "claims" / "results"
FIGURES = ROOT / "docs" / "assets" / "claims"
QUICK = "--quick"


def quick() -> bool:
    """Whether the script was called with --quick: all of it runs, on little data, and nothing is concluded."""
    return QUICK in sys.argv


@dataclass
class Claim:
    """What a paper says of a system, and what was found here. It is made first of all.

    Where Linux gives huge pages to who asks, the script begins anew with them: the faults of small ones, which a long
    text has and a short one has not, would be a part of what is measured.

    Attributes:
      system: its name. paper: its number. says: the claim, in a sentence. here: the experiment, in a sentence.
    """

    system: str
    paper: str
    says: str
    here: str
    found: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    panels: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        begin_again_with_huge_pages()
        print(f"{self.system} ({self.paper}): {self.says}\nhere: {self.here}", flush=True)

    def measured(self, what: str, value: float, unit: str = "") -> float:
        """A number that was measured."""
        self.found.append({"what": what, "value": float(value), "unit": unit})
        print(f"  {what}: {value:.4g} {unit}".rstrip(), flush=True)
        return float(value)

    def holds(self, what: str, does: bool) -> None:
        """A part of the claim as an inequality in words, and whether it is true here."""
        self.verdicts.append({"what": what, "holds": bool(does)})
        print(f"  {'holds' if does else 'DOES NOT HOLD'}: {what}", flush=True)

    def note(self, text: str) -> None:
        """Why something does not hold, or how the experiment differs from the paper's."""
        self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def panel(
        self,
        title: str,
        x: str,
        y: str,
        lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
        *,
        logarithmic: bool = False,
    ) -> None:
        """A part of the figure: curves by name, each the values on both axes."""
        curves = {name: [list(map(float, xs)), list(map(float, ys))] for name, (xs, ys) in lines.items()}
        self.panels.append({"title": title, "x": x, "y": y, "lines": curves, "logarithmic": logarithmic})

    def conclude(self) -> None:
        """The verdict; the results as JSON and the figure, unless --quick."""
        reproduced = all(verdict["holds"] for verdict in self.verdicts)
        if quick():
            print("--quick: nothing is concluded")
            return
        print(f"verdict: {'reproduced in direction' if reproduced else 'not reproduced'}")
        kept = ("system", "paper", "says", "here", "found", "verdicts", "notes", "panels")
        result = {name: getattr(self, name) for name in kept} | {"reproduced": reproduced} | circumstances()
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.system}.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
        FIGURES.mkdir(exist_ok=True)
        draw(self.panels, FIGURES / f"{self.system}.svg")


def draw(panels: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The figure: its panels side by side. The same numbers give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": path.stem, "font.size": 9}):
        figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for name, (xs, ys) in panel["lines"].items():
                axes.plot(xs, ys, marker="o", markersize=3, label=name)
            axes.set(title=panel["title"], xlabel=panel["x"], ylabel=panel["y"])
            if panel["logarithmic"]:
                axes.set(xscale="log", yscale="log")
            axes.grid(alpha=0.3)
            if len(panel["lines"]) > 1:
                axes.legend(fontsize=8)
        figure.savefig(path, metadata={"Date": None})
