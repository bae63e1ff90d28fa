"""Growth, log-log, as SVG: one file for each benchmark that has curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..harness.results import Record
from ..harness.statistics import exponent


@dataclass(frozen=True)
class Curve:
    """Values against sizes, of one rival."""

    label: str
    axis: str
    unit: str
    sizes: tuple[float, ...]
    values: tuple[float, ...]


def curves(records: Sequence[Record]) -> dict[str, list[Curve]]:
    """The curves of the results, by the name of the plot that they belong to."""
    found: dict[str, list[Curve]] = {}
    for record in records:
        if curve := record.get("curve"):
            label = f"{record['case']}, {record['rival'] or 'ours'}"
            line = Curve(label, curve["axis"], curve["unit"], tuple(curve["sizes"]), tuple(curve["values"]))
            found.setdefault(f"{record['benchmark']}-{_ascii(curve['axis'])}-{_NAMES[curve['unit']]}", []).append(line)
    for record in records:
        if "size" in record:
            found.setdefault(f"{record['benchmark']}-comparison", [])
    for name, lines in found.items():
        if name.endswith("-comparison"):
            lines += _of_comparisons([r for r in records if r["benchmark"] == name.removesuffix("-comparison")])
    return found


_NAMES = {"s": "time", "B": "memory"}


def _ascii(axis: str) -> str:
    return "length" if axis == "ℓ" else axis


def _of_comparisons(records: Sequence[Record]) -> list[Curve]:
    """A curve for each kind of case, what is before ", ℓ = …", and for ours and the rival in it."""
    points: dict[tuple[str, str], dict[float, float]] = {}
    for record in records:
        if "size" in record and "absent" not in record:
            ((axis, size),) = record["size"].items()
            kind = record["case"].rpartition(f", {axis}")[0]
            for who, name in (("ours", "ours"), ("rival", record["rival"])):
                points.setdefault((f"{kind}, {name}", axis), {})[size] = record["seconds"][who]["median"]
    lines = ((label, axis, sorted(found.items())) for (label, axis), found in points.items())
    return [Curve(label, axis, "s", *map(tuple, zip(*found, strict=True))) for label, axis, found in lines]


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draws curves into an SVG file; the exponent that fits stands in the legend."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # Text as text, and the same file from the same numbers.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
        figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
        for curve in curves:
            fitted = f" ({curve.axis}^{exponent(curve.sizes, curve.values):.2f})" if len(curve.sizes) > 1 else ""
            axes.loglog(curve.sizes, curve.values, marker="o", label=curve.label + fitted, base=2)
        axes.set_xlabel(curves[0].axis)
        axes.set_ylabel({"s": "seconds", "B": "bytes"}[curves[0].unit])
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
