"""README's table and the plots in docs/assets/benchmarks, from the lines of results alone.

python -m benchmarks.render [--quick]
"""

import argparse
from pathlib import Path

from .harness.machine import code
from .harness.results import RESULTS, read_all
from .harness.settings import Settings
from .rendering import bars
from .rendering.plots import curves, draw
from .rendering.table import inserted, table

ROOT = Path(__file__).parents[1]
PLOTS = ROOT / "docs" / "assets" / "benchmarks"


def main() -> None:
    """Writes both; with --quick prints the table of the quick results instead."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="print the table of the quick results, and write nothing")
    quick = parser.parse_args().quick
    titles, known = bars.read()
    records = read_all(Settings(quick=True).results if quick else RESULTS)
    rendered = table(records, titles, known, code())
    if quick:
        print(rendered)
        return
    readme = ROOT / "README.md"
    readme.write_text(inserted(readme.read_text("utf-8"), rendered), "utf-8")
    for name, lines in curves(records).items():
        draw(lines, PLOTS / f"{name}.svg")


if __name__ == "__main__":
    main()
