"""The arrays of a state by name, on their way to the disk and back, bit for bit. The only file that knows Orbax.

Everything passes through NumPy: what is on the disk does not depend on the devices that it came from, and goes back to
whatever devices it is wanted on. The arrays must be visible to this process, which then has room for a copy of them.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp


def as_numpy(leaf: Any) -> np.ndarray:
    """The numbers of an array, of a key the numbers that it consists of."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def as_before(value: np.ndarray, like: Any) -> Any:
    """The array that `as_numpy` gave for an array like `like`: a key again, and on the same devices."""
    if isinstance(like, np.ndarray | np.generic):
        return value
    array = jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(like)) if _is_key(like) else value
    sharding = getattr(like, "sharding", None)
    # What is bound to no device may meet arrays that are, and has to stay so.
    if sharding is None or not getattr(like, "committed", True):
        return jax.device_put(array)
    return jax.device_put(array, sharding)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a thread of its own: Ctrl-C waits for it, and a notebook's event loop is not in its way."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def write_arrays(directory: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays to `directory`, which does not exist yet; if that fails, nothing is left over.

    Raises:
      OSError, ValueError: the disk is full, or refuses for another reason.
    """
    some = {name: array for name, array in arrays.items() if array.size}  # Orbax takes no others, nor none at all
    if not some:
        return
    with _quietly(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        try:
            checkpointer.save(directory.absolute(), args=ocp.args.PyTreeSave(some))
        except Exception:
            _remove(directory)
            raise


def _remove(directory: Path) -> None:
    """Removes what was written, until the writes that are under way no longer make it anew."""
    deadline = time.monotonic() + 10
    while (left := list(directory.parent.glob(f"{directory.name}*"))) and time.monotonic() < deadline:
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.1)


def read_arrays(directory: Path, like: dict[str, Any]) -> dict[str, np.ndarray]:
    """Reads what `write_arrays` wrote, of which `like` has an array of the same name, shape and dtype for each."""
    stored = {name: jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf for name, leaf in like.items()}
    some = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name, leaf in stored.items() if leaf.size}
    read = {}
    if some:
        with _quietly(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            read = checkpointer.restore(directory.absolute(), args=ocp.args.PyTreeRestore(restore_args=some))
    return {name: read[name] if leaf.size else np.empty(leaf.shape, leaf.dtype) for name, leaf in stored.items()}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same, nan and the sign of 0 included."""
    return (a.shape, a.dtype) == (b.shape, b.dtype) and np.array_equal(_bytes(a), _bytes(b))


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what Orbax and TensorStore write to standard error, errors included, which are raised as well.

    After a failure each write under way finds its event loop closed, which Python reports as "unraisable".
    """
    log, hook = logging.getLogger("absl"), sys.unraisablehook
    disabled, log.disabled = log.disabled, True
    sys.unraisablehook = lambda unraisable: None if _is_late(unraisable.exc_value) else hook(unraisable)
    try:
        yield
    finally:
        log.disabled, sys.unraisablehook = disabled, hook


def _is_late(error: BaseException | None) -> bool:
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
