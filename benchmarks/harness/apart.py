"""Preparations in a process of their own, so that the one that times has no threads and no memory of them."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def apart(prepare: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns, called in a new process. Raises what it raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(prepare, *arguments).result()
