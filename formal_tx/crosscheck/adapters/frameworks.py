"""NumPy, JAX and PyTorch as the laws need them: their arrays, and the gradient of a function of one array."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from ..worker import convert, converter

Name = Literal["numpy", "jax", "torch"]


class Framework:
    """NumPy, which has no gradients; the others are derived from it."""

    name: Name = "numpy"
    has_gradients = False

    @contextmanager
    def settings(self) -> Iterator[None]:
        """What has to be switched on while a model of this framework runs."""
        yield

    def array(self, values: Any, dtype: str) -> Any:
        """A copy of a NumPy array, real numbers in the given type; anything else as it is."""
        return converter(self.name, dtype)(values) if isinstance(values, np.ndarray) else values

    def tree(self, value: Any, dtype: str) -> Any:
        """`array` of every array in a list or in a set of parameters."""
        return convert(value, converter(self.name, dtype))

    def numpy(self, values: Any) -> np.ndarray:
        return np.array(values)

    def joined(self, first: Any, second: Any) -> Any:
        """Two arrays, one after the other on the first axis."""
        return np.concatenate([first, second])

    def pull_back(self, function: Callable[[Any], Any], x: Any, weights: Any) -> Any:
        """The gradient of Σ weights · function(x) with respect to `x`."""
        raise NotImplementedError(f"{self.name} has no gradients")


class _JAX(Framework):
    name: Name = "jax"
    has_gradients = True

    @contextmanager
    def settings(self):
        import jax

        with jax.enable_x64(True):
            yield

    def joined(self, first, second):
        import jax.numpy as jnp

        return jnp.concatenate([first, second])

    def pull_back(self, function, x, weights):
        import jax

        return jax.vjp(function, x)[1](weights)[0]


class _Torch(Framework):
    name: Name = "torch"
    has_gradients = True

    def numpy(self, values):
        return np.array(values.detach().cpu().numpy() if hasattr(values, "detach") else values)

    def joined(self, first, second):
        import torch  # type: ignore[import-not-found,unused-ignore]

        return torch.cat([first, second])

    def pull_back(self, function, x, weights):
        import torch

        x = x.clone().requires_grad_()
        return torch.autograd.grad(function(x), x, weights, materialize_grads=True)[0]


FRAMEWORKS: dict[str, Framework] = {f.name: f for f in (Framework(), _JAX(), _Torch())}
