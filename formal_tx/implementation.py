"""Which implementation of attention runs, where it is not left to `attend` to choose."""

from contextlib import AbstractContextManager
from typing import Any

import jax

IMPLEMENTATIONS = ("dense", "rows", "blockwise", "cudnn")

_asked_for = jax.make_user_context(None)  # a part of the key of `jit`'s caches


def attend_with(implementation: str | None) -> AbstractContextManager[Any]:
    """Inside `with attend_with("blockwise"):` attention runs by this implementation; None leaves the choice to us.

    "dense" is Algorithm 4 as it reads, with ℓ_x × ℓ_z scores; losses, too, then have all of their logits at once.
    "rows" is the same for a quarter of the queries at a time, without the keys that none of them may see. "blockwise"
    keeps no more than a block of scores (`blockwise.py`). "cudnn" is the fused kernel of NVIDIA's GPUs, in
    half precision. They differ by rounding.

    Raises:
      ValueError: for another name.
    """
    if implementation not in (None, *IMPLEMENTATIONS):
        known = ", ".join(IMPLEMENTATIONS)
        raise ValueError(f"attend_with: implementation is {implementation!r}, expected one of {known}")
    return _asked_for(implementation)


def asked_for() -> str | None:
    """The implementation that is asked for here, if any."""
    return _asked_for.value
