"""What the machine can do at most: products of matrices, reading memory. By JAX and PyTorch; the better counts."""

from collections.abc import Callable
from importlib import import_module

N = 2048
FLOP = 2 * N**3  # of one product


def gemm_jax() -> Callable[[], object]:
    """A product of square float32 matrices."""
    import jax

    A = jax.random.normal(jax.random.key(0), (N, N))
    multiply = jax.jit(lambda A, B: A @ B)
    return lambda: multiply(A, A).block_until_ready()


def gemm_torch() -> Callable[[], object]:
    """The same."""
    torch = import_module("torch")
    A = torch.randn(N, N)
    return lambda: A @ A


def read_jax(size: int) -> Callable[[], object]:
    """A matrix of `size` bytes times a vector, which reads each number once."""
    import jax

    A = jax.numpy.ones((size // 4 // 4096, 4096))
    v = jax.numpy.ones(4096)
    multiply = jax.jit(lambda A, v: A @ v)
    return lambda: multiply(A, v).block_until_ready()


def read_torch(size: int) -> Callable[[], object]:
    """The sum of `size` bytes of float32."""
    torch = import_module("torch")
    a = torch.ones(size // 4)
    return lambda: a.sum()
