"""Lines of results as a run leaves them, for the tests of what is made of them."""

from typing import Any

CODE = "0123456789ab"


def line(**entries: Any) -> dict[str, Any]:
    """A line of the training benchmark, in which entries are replaced."""
    return {
        "benchmark": "train",
        "case": "batch 4",
        "rival": "PyTorch, eager",
        "measure": "speed",
        "ratio": 1.2,
        "ratio_spread": [1.15, 1.25],
        "rounds": 7,
        "limit": "GEMM",
        "limit_rate": 1.5e11,
        "limit_unit": "FLOP/s",
        "share_of_limit": 0.7,
        "seconds": {"ours": {"min": 0.9, "median": 1.0}, "rival": {"min": 1.1, "median": 1.2}},
        "commit": "abc1234",
        "code": CODE,
        "machine": "A processor, 2 cores",
        "threads": 2,
        "versions": {"jax": "0.10.2"},
        "date": "2026-11-24 20:00",
        **entries,
    }


def growth(case: str, sizes: list[float], values: list[float], unit: str = "s", **entries: Any) -> dict[str, Any]:
    """A line about a growth of ours, whose exponent is 1."""
    curve = {"axis": "ℓ", "sizes": sizes, "values": values, "unit": unit}
    found = {"measure": "exponent", "ratio": None, "exponent": 1.0, "exponent_spread": [0.99, 1.01], "curve": curve}
    return line(benchmark="attention", case=case, rival="", limit=None, share_of_limit=None, **found, **entries)
