"""All claims, one after the other, and then the table of them in docs/systems/index.md.

python -m benchmarks.claims [--quick | --render] [NAME]...
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..harness.machine import ROOT
from ..rendering.table import inserted
from .claim import FIGURES, QUICK, RESULTS, draw

PAGE = ROOT / "docs" / "systems" / "index.md"
BEGIN, END = "<!-- claims: begin -->", "<!-- claims: end -->"
SUPPORT = ("__init__", "__main__", "claim", "growth", "training", "switching_maps")


def names() -> list[str]:
    """The systems whose claims are tried."""
    scripts = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in scripts if path.stem not in SUPPORT)


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown: a row for each part of each claim."""
    rows = ["| system | the paper says | here | holds? |", "|---|---|---|---|"]
    for result in results:
        link = f"[{result['system']}]({result['system']}.md)"
        for i, verdict in enumerate(result["verdicts"]):
            first = (link, f"{result['says']} ({result['paper']})") if not i else ("", "")
            rows.append(f"| {first[0]} | {first[1]} | {verdict['what']} | {'yes' if verdict['holds'] else '**no**'} |")
    machines = sorted({f"{r['machine']}, {r['threads']} used" for r in results})
    held = sum(v["holds"] for r in results for v in r["verdicts"])
    of = sum(len(r["verdicts"]) for r in results)
    return "\n".join([*rows, "", f"{held} of {of} hold. Measured on {'; '.join(machines)}.", ""])


def render() -> None:
    """Write the table and the figures from the results alone."""
    results = [json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in names() if _measured(name)]
    for result in results:
        draw(result["panels"], FIGURES / f"{result['system']}.svg")
    PAGE.write_text(inserted(PAGE.read_text("utf-8"), table(results), BEGIN, END), "utf-8")


def _measured(name: str) -> bool:
    return (RESULTS / f"{name}.json").is_file()


def main() -> None:
    """Each in a process of its own; the first that fails ends it."""
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    chosen = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or names()
    if options not in ([], [QUICK], ["--render"]) or not set(chosen) <= set(names()):
        raise SystemExit(f"claims: {' '.join(sys.argv[1:])}? Expected {QUICK}, --render, names of {', '.join(names())}")
    for name in chosen if options != ["--render"] else []:
        start = time.perf_counter()
        if subprocess.run([sys.executable, "-m", f"benchmarks.claims.{name}", *options], check=False).returncode:
            raise SystemExit(f"claims: {name} failed")
        print(f"-- {name}: {time.perf_counter() - start:.0f} s", flush=True)
    if options != [QUICK]:
        render()


if __name__ == "__main__":
    main()
