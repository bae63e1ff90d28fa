"""T5's relative positions (1910.10683): distances fall into buckets, and each head has a learned score for a bucket."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ..linear import aligned
from ..validation import require_count, require_flags


@dataclass(frozen=True)
class RelativeBuckets:
    """A score: S[h, t_x, t_z] + W_r[bucket(t_z - t_x), h], as a `score` of hyperparameters.

    Attributes:
      rows: how many buckets there are, the rows of the learned table W_r.
      furthest: distances from here on share the last bucket.
      bidirectional: half of the buckets are for keys after the query; otherwise these share the bucket of distance 0.
    Raises:
      ValueError, TypeError: if the buckets cannot be halved, or distances are far before buckets are shared.
    """

    rows: int = 32
    furthest: int = 128
    bidirectional: bool = True

    def __post_init__(self) -> None:
        name = "RelativeBuckets"
        require_flags(name, bidirectional=self.bidirectional)
        require_count(name, "rows", self.rows, at_least=4 if self.bidirectional else 2)
        if self.bidirectional and self.rows % 2:
            raise ValueError(f"{name}: rows is {self.rows}, expected an even number: half of them for each direction")
        own = self.rows // (4 if self.bidirectional else 2)
        require_count(name, "furthest", self.furthest, at_least=own + 1)

    def bucket(self, distance: jax.Array) -> jax.Array:
        """The bucket of t_z - t_x, an integer array."""
        per_side = self.rows // 2 if self.bidirectional else self.rows
        side = jnp.where(distance > 0, per_side, 0) if self.bidirectional else 0
        away = jnp.abs(distance) if self.bidirectional else jnp.maximum(-distance, 0)
        exact = per_side // 2
        # In float32, as the released models were trained: at the edges of the buckets other digits may fall elsewhere.
        log_ratio = jnp.log(jnp.maximum(away, 1).astype(jnp.float32) / exact) / jnp.log(
            jnp.float32(self.furthest / exact)
        )
        far = exact + (log_ratio * (per_side - exact)).astype(distance.dtype)
        return side + jnp.where(away < exact, away, jnp.minimum(far, per_side - 1))

    def __call__(self, S: jax.Array, t_x: jax.Array, t_z: jax.Array, W_r: jax.Array) -> jax.Array:
        """S (..., H, ℓ_x, ℓ_z) with the learned scores; positions t_x (..., ℓ_x) and t_z (..., ℓ_z), W_r (rows, H)."""
        bucket = self.bucket(t_z[..., None, :] - t_x[..., :, None])
        return S + aligned(jnp.moveaxis(W_r[bucket], -1, -3), S)
