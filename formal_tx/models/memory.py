"""Whether a model fits the memory of the machine, which is said before it is loaded."""

import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np


def available() -> int | None:
    """How many bytes of memory the machine can give; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        names = ("SC_AVPHYS_PAGES", "SC_PAGE_SIZE")
        if not hasattr(os, "sysconf") or any(name not in os.sysconf_names for name in names):
            return None
        return os.sysconf(names[0]) * os.sysconf(names[1])


def require_memory(path: Any, outlines: Mapping[str, tuple[Any, tuple[int, ...]]], dtype: Any) -> None:
    """Raise `ValueError` if tensors of these types and shapes do not fit the memory as `dtype`."""
    numbers = sum(prod(shape) for _, shape in outlines.values())
    needed, free = numbers * np.dtype(dtype).itemsize, available()
    if free is None or needed <= free:
        return
    text = f"{path}: its {numbers:,} parameters take {_gigabytes(needed)} as {np.dtype(dtype).name}, and "
    half = needed * jnp.dtype("bfloat16").itemsize // np.dtype(dtype).itemsize
    advice = f"; as dtype='bfloat16' they would take {_gigabytes(half)}" if half < needed else ""
    raise ValueError(f"{text}{_gigabytes(free)} of memory are available{advice}")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
