"""Weight-only int8: a matrix as small integers with scales, which stands where the matrix stood in the parameters.

To generate a token every parameter is read once, and memory gives a few of them in the time of many multiplications: a
quarter of the bytes is the better part of a quarter of the time. What is multiplied with it is not rounded to 8 bits.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from .contracts import is_concrete, spell
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters

LARGEST = 127
"""The largest integer; -128 is not used, so that W and -W are rounded alike."""

MATRICES = (
    *("W_e", "W_ez", "W_u", "W_f", "W_q", "W_k", "W_v", "W_o"),
    *("W_mlp1", "W_mlp2", "W_mlp3", "W_mlp4", "W_gate"),
)
"""What is quantized: the matrices that vectors are multiplied by, and the table of token embeddings."""


@struct.dataclass
class QuantizedMatrix:
    """W[…, i, j] = scales[…, i, j // g] · integers[…, i, j], for groups of g = d_in / groups inputs.

    It has the shape and the dtype of W, and its axes: under `scan` a stack of them is taken apart like a stack of W.

    Attributes:
      scales: (..., d_out, groups), of a floating dtype; the first field, so that the first leaf of parameters has the
        type they are computed in. integers: (..., d_out, d_in), int8.
    """

    scales: jax.Array
    integers: jax.Array

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., d_out, d_in)."""
        return self.integers.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.integers.ndim

    @property
    def dtype(self) -> Any:
        """The type that it is computed in."""
        return self.scales.dtype

    def __repr__(self) -> str:
        return f"QuantizedMatrix({' x '.join(map(str, self.shape))}, {self.integers.dtype})"

    def rows(self, index: jax.Array) -> jax.Array:
        """W[index], with nan for an index out of range; of a matrix (d_out, d_in) alone."""
        scales, integers = (A.at[index].get(mode="fill") for A in (self.scales, self.integers))
        return QuantizedMatrix(scales, integers).matrix()

    def matrix(self) -> jax.Array:
        """W itself. In a product it is never written to memory: the conversion becomes a part of the product."""
        *rows, groups = self.scales.shape
        integers = self.integers.astype(self.dtype).reshape(-1, groups, self.shape[-1] // groups)
        return (integers * self.scales.reshape(-1, groups, 1)).reshape(*rows, -1)


def is_quantized(W: Any) -> bool:
    """Whether it is a `QuantizedMatrix`; as `is_leaf` it makes these the leaves of parameters."""
    return isinstance(W, QuantizedMatrix)


def matrix(W: Any) -> jax.Array:
    """`W` as an array, whether quantized or not."""
    return W.matrix() if isinstance(W, QuantizedMatrix) else W


def require_whole(function: str, name: str, W: QuantizedMatrix) -> QuantizedMatrix:
    """`W`, if its integers and its scales belong together.

    Raises:
      TypeError: the integers are not int8, or the scales are not of a floating dtype.
      ValueError: there is not a scale for each group of each row, all of one size.
    """
    if W.integers.dtype != jnp.int8 or not jnp.issubdtype(W.dtype, jnp.floating):
        found = f"{W.integers.dtype} with scales of {W.dtype}"
        raise TypeError(f"{function}: {name} is quantized as {found}, expected int8 with scales of a floating dtype")
    *rows, d_in = W.shape
    groups = W.scales.shape[-1] if W.scales.ndim else 0
    if list(W.scales.shape[:-1]) != rows or not groups or d_in % groups:
        found = f"scales of shape {W.scales.shape} for integers of shape {W.shape}"
        raise ValueError(f"{function}: {name} has {found}, expected (…, d_out, groups), where groups divide d_in")
    return W


def quantize(params: Any, group: Any = None) -> Any:
    """Parameters of the same architecture whose matrices are int8; biases, norms and positions stay as they are.

    For each row of a matrix, or each group of `group` neighbours in a row, with greatest magnitude m,

        scale = m / 127,    integers = round(W / scale),    so that    |W - scale · integers| ≤ scale / 2.

    (A row of zeros has scale 1.) What was quantized in groups of 32 by this formula, as the Q8_0 of GGUF files, is not
    changed by `quantize(params, group=32)`.

    Args:
      params: `DTransformerParameters`, `ETransformerParameters` or `EDTransformerParameters`, whose values can be seen.
      group: g, which divides the width of every matrix; a whole row unless given. Smaller groups are more exact: they
        take 1 + 4 / g bytes for each parameter.
    Returns:
      The same pytree with a `QuantizedMatrix` for each matrix. They can be used for everything but training and `save`.
    Raises:
      TypeError: for parameters of another kind, traced ones, and such as are quantized already.
      ValueError: `group` is no integer of at least 1, or does not divide a width; a matrix has nan or infinities.
    """
    if not isinstance(params, DTransformerParameters | ETransformerParameters | EDTransformerParameters):
        raise TypeError(
            f"quantize: params is a {type(params).__name__}, expected the parameters of one of the three architectures"
        )
    if group is not None and (isinstance(group, bool) or not isinstance(group, int) or group < 1):
        raise ValueError(f"quantize: group is {group!r}, expected an integer of at least 1")
    require_unquantized("quantize", params)
    if not is_concrete(params):
        raise TypeError("quantize: params are traced, expected arrays whose values can be seen")

    def field(path, W):
        return _quantized(f"params.{spell(path)}", W, group) if spell(path[-1:]) in MATRICES else W

    return jax.tree_util.tree_map_with_path(field, params)


def _quantized(name: str, W: jax.Array, group: int | None) -> QuantizedMatrix:
    """One matrix, or a stack of them. By NumPy, which compiles nothing for each shape."""
    *stack, d_in = W.shape
    if group is not None and d_in % group:
        raise ValueError(f"quantize: group is {group}, which does not divide the width {d_in} of {name}")
    grouped = np.asarray(W).reshape(*stack, -1, group or d_in)
    greatest = np.abs(grouped).max(axis=-1, keepdims=True)
    if not np.isfinite(greatest).all():
        raise ValueError(f"quantize: {name} has numbers that are not finite")
    scales = np.where(greatest > 0, greatest / LARGEST, 1).astype(W.dtype)
    integers = np.clip(np.rint(grouped / scales), -LARGEST, LARGEST).astype(np.int8)
    return QuantizedMatrix(jnp.asarray(scales[..., 0]), jnp.asarray(integers.reshape(W.shape)))


def dequantize(params: Any) -> Any:
    """Parameters whose matrices are arrays again: those that are computed with when they are quantized."""
    return jax.tree.map(matrix, params, is_leaf=is_quantized)


def require_unquantized(function: str, params: Any) -> None:
    """Raise `TypeError` if a matrix is quantized, naming the first: parameters are changed and kept as they were."""
    for path, W in jax.tree_util.tree_leaves_with_path(params, is_leaf=is_quantized):
        if is_quantized(W):
            raise TypeError(
                f"{function}: params.{spell(path)} is quantized, expected parameters as they were before `quantize`"
            )
