"""What practice adds to the printed algorithms: dropout, label smoothing, lower precision, recomputation.

The paper prints none of them. A `Practice()` adds nothing, and the functions that take one then are the algorithms as
printed.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import PRNGKeyArray

from .validation import require_key


@struct.dataclass
class Dropout:
    """Sets a share of the features to 0 and scales the others, as in section 5.4 of 1706.03762.

    The lines of a layer that add to the residual stream call it as `drop(number, X)` with their line's number. Under
    `lax.scan` a layer has a `Dropout` with a key of its own. Without a key it is the identity.
    """

    key: PRNGKeyArray | None = None
    rate: float = struct.field(pytree_node=False, default=0.0)

    def __call__(self, number: int, X: jax.Array) -> jax.Array:
        if self.key is None or not self.rate:
            return X
        # 16 random bits a feature: half the price of 32, and a rate that is exact to 1e-5.
        bits = jax.random.bits(jax.random.fold_in(self.key, number), X.shape, jnp.uint16)
        dropped = bits < jnp.uint16(round(self.rate * 2**16))
        return jnp.where(dropped, jnp.zeros((), X.dtype), X / (1 - self.rate))

    def by_layer(self, L: int, stack: int = 0) -> "Dropout":
        """One for each of `L` layers, stacked; a second stack of layers takes another `stack`."""
        if self.key is None:
            return self
        # Far from the numbers of lines, which draw from the same key.
        key = jax.random.fold_in(self.key, 2**16 + stack)
        return self.replace(key=jax.random.split(key, L))  # type: ignore[attr-defined]


@struct.dataclass
class Practice:
    """How an algorithm is run, where the paper leaves that open.

    Attributes:
      key: draws what dropout drops; None is no dropout. Training draws anew for each update.
      dropout: the share of features that is dropped, in [0, 1): of the embeddings, and of what every sub-layer adds.
      label_smoothing: ε in [0, 1) of section 5.4 of 1706.03762: the target is the true token with 1 - ε, and any
        token of the vocabulary with ε in all.
      dtype: compute with parameters rounded to this type ("bfloat16", "float16"); means, variances, softmax and the
        loss stay in float32. None is the type of the parameters, which they keep in any case.
      remat: what the backward pass of a layer finds stored, the rest being computed again: the name of a policy of
        `jax.checkpoint_policies` ("nothing_saveable", "dots_saveable", …), or tags of lines, as in ("6.X", "8.X").
        None stores everything.
      loss_scale: the loss is multiplied by it before it is differentiated and the gradient divided by it after: float16
        has no gradients below 6e-8.
    """

    key: PRNGKeyArray | None = None
    dropout: float = struct.field(pytree_node=False, default=0.0)
    label_smoothing: float = struct.field(pytree_node=False, default=0.0)
    dtype: str | None = struct.field(pytree_node=False, default=None)
    remat: str | tuple[str, ...] | None = struct.field(pytree_node=False, default=None)
    loss_scale: float = struct.field(pytree_node=False, default=1.0)

    @property
    def drop(self) -> Dropout:
        """The dropout of this pass."""
        return Dropout(self.key if self.dropout else None, self.dropout)

    def at(self, *numbers: Any) -> "Practice":
        """The same with a key of its own for these numbers, an epoch's and an update's for example."""
        key = self.key
        if key is None:
            return self
        for number in numbers:
            key = jax.random.fold_in(key, number)
        return self.replace(key=key)  # type: ignore[attr-defined]

    def cast(self, params: Any) -> Any:
        """The parameters in the type to compute with."""
        return params if self.dtype is None else jax.tree.map(lambda W: W.astype(self.dtype), params)

    def layer(self, layer: Any) -> Any:
        """The body of a scan over layers, which stores for the backward pass what `remat` says."""
        if self.remat is None:
            return layer
        return jax.checkpoint(layer, policy=_policy(self.remat), prevent_cse=False)


AS_PRINTED = Practice()
"""Nothing added."""

DTYPES = ("float32", "bfloat16", "float16", "float64")
POLICIES = (
    "everything_saveable",
    "nothing_saveable",
    "dots_saveable",
    "dots_with_no_batch_dims_saveable",
)


def _policy(remat: str | tuple[str, ...]) -> Any:
    if isinstance(remat, tuple):
        return jax.checkpoint_policies.save_only_these_names(*remat)
    return getattr(jax.checkpoint_policies, remat)


def require_practice(function: str, practice: Any) -> Practice:
    """Check what is asked for.

    Raises:
      TypeError: for what is no `Practice`, and for a key that is none.
      ValueError: for a rate outside [0, 1), a dtype that is not floating, an unknown policy.
    """
    if not isinstance(practice, Practice):
        raise TypeError(f"{function}: practice is of type {type(practice).__name__}, expected Practice")
    for name in ("dropout", "label_smoothing"):
        rate: Any = getattr(practice, name)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"{function}: practice.{name} is {rate!r}, expected a number in [0, 1)")
    if practice.dtype not in (None, *DTYPES):
        raise ValueError(
            f"{function}: practice.dtype is {practice.dtype!r}, expected None or one of {', '.join(DTYPES)}"
        )
    if isinstance(practice.remat, str) and practice.remat not in POLICIES:
        raise ValueError(
            f"{function}: practice.remat is {practice.remat!r}, expected one of {', '.join(POLICIES)}, or tags of lines"
        )
    scale: Any = practice.loss_scale
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise ValueError(f"{function}: practice.loss_scale is {scale!r}, expected a number greater than 0")
    if practice.key is None:
        return practice
    return practice.replace(key=require_key(function, practice.key))  # type: ignore[attr-defined]
