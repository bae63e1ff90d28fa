"""How much memory a process has, and has had at most: Linux, by /proc; elsewhere there is no such number."""

import ctypes
import gc
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident() -> int | None:
    """Bytes that this process has in memory now."""
    return _status("VmRSS")


def peak() -> int | None:
    """The most bytes that this process has had in memory since `forget_peak`."""
    return _status("VmHWM")


def alive() -> int:
    """Bytes of the arrays that JAX or PyTorch hold: parameters, an optimiser's state, what a program is called with."""
    arrays = sum(array.nbytes for array in sys.modules["jax"].live_arrays()) if "jax" in sys.modules else 0
    if "torch" not in sys.modules:
        return arrays
    tensor = sys.modules["torch"].Tensor
    storages = [a.untyped_storage() for a in gc.get_objects() if issubclass(type(a), tensor)]
    # What `torch.compile` keeps of tensors that it has seen is shapes, without numbers, and has no address.
    held = [storage for storage in storages if storage.device.type != "meta"]
    return arrays + sum({storage.data_ptr(): storage.nbytes() for storage in held}.values())


def forget_peak() -> None:
    """Gives back what is free, and counts the peak from now on: what compilation took is not what a step takes."""
    if sys.platform == "linux":
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text("5")


def _status(name: str) -> int | None:
    if sys.platform != "linux":
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
