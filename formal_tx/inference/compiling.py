"""How the loops that generate text are compiled: for CPUs with the widest vectors they have."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp

from ..contracts import is_concrete

_WIDEST = {"xla_cpu_prefer_vector_width": 512}
"""With XLA's 256 bits the conversion of int8 takes longer than reading it does. Narrower CPUs use what they have."""


def compiled(**options: Any) -> Callable[[Callable], Callable[..., Any]]:
    """`jax.jit` with these options, and with the widest vectors where the backend is the CPU.

    JAX takes options for the compiler where a program is compiled, and refuses them within a trace: there the function
    is a part of the program that is being traced.
    """

    def decorate(f: Callable) -> Callable[..., Any]:
        within, whole = jax.jit(f, **options), jax.jit(f, **options, compiler_options=_WIDEST)

        @wraps(f)
        def call(*args: Any, **kwargs: Any) -> Any:
            traced = not is_concrete(args, kwargs, jnp.zeros(()))  # within a trace whatever is made is traced
            return (within if traced or jax.default_backend() != "cpu" else whole)(*args, **kwargs)

        return call

    return decorate
