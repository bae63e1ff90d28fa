"""What JAX compiles for a command, kept for the next time that it is called."""

import os
import platform
from pathlib import Path

import jax


def keep_compilations() -> None:
    """Keep compiled functions in the user's cache directory; where that cannot be written, compile anew each time.

    `XDG_CACHE_HOME` says where caches are, `JAX_COMPILATION_CACHE_DIR` where this one is. A model takes about 100 kB.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]  # there when jax is imported
        return
    try:
        # A machine's own: code for its processor may not run on another one that has the same home.
        directory = _caches() / "formal-tx" / "compiled" / (platform.node() or "here")
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # read-only; or there is no home
        return
    if not os.access(directory, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    # The many small ones are what a first token waits for.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _caches() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
