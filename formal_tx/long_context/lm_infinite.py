"""LM-Infinite (2308.16137): a mask in the shape of a Λ and a ceiling for distances, without any training.

A decoder with relative positions meets three things beyond the length that it was trained with: distances that it never
saw, more tokens than it ever attended to, and first tokens that are no longer where it looks for them. Here every query
sees the first tokens and the near ones, and no distance is greater than the ceiling.

Of the paper's code: `limit_distance` is the ceiling, `global_branch` the first tokens, `local_branch` the window. There
the ceiling may be left out, and is then none; here it has to be said. The optional tokens from the middle are left out.
"""

from jaxtyping import Array, Float

from ..attending import AS_PRINTED, Attending
from ..contracts import algorithm
from ..validation import require_count
from .first_and_near import FirstAndNear, Keys, first_and_near
from .first_and_near_contracts import require_heads


def lambda_sight(*, first: int = 10, window: int, ceiling: int) -> FirstAndNear:
    """What a query sees in LM-Infinite, for `sighted_logits` and the other functions of `first_and_near_decoder`.

    Arguments and errors as `lambda_attention`.
    """
    return _sight("lambda_sight", first, window, ceiling)


def _sight(function: str, first: int, window: int, ceiling: int) -> FirstAndNear:
    return FirstAndNear(
        require_count(function, "first", first, at_least=0),
        require_count(function, "window", window, at_least=1),
        require_count(function, "ceiling", ceiling, at_least=0),
    )


def _lambda_attention_requires(Q, K, V, first, window, ceiling, attending, W_r):
    del W_r
    _sight("lambda_attention", first, window, ceiling)
    return require_heads("lambda_attention", Q, K, V, attending)


@algorithm(_lambda_attention_requires, static=("first", "window", "ceiling", "attending"))
def lambda_attention(
    Q: Float[Array, "*#batch l d_attn"],
    K: Float[Array, "*#batch_kv l d_attn"],
    V: Float[Array, "*#batch_kv l d_mid"],
    *,
    first: int = 10,
    window: int,
    ceiling: int,
    attending: Attending = AS_PRINTED,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l d_mid"]:
    """Lines 4 to 6 of Algorithm 4, each query with the first keys and the near ones, at distances up to the ceiling.

    Args:
      Q: (..., H, ℓ, d_attn), K (..., H_kv, ℓ, d_attn), V (..., H_kv, ℓ, d_mid); (ℓ, ·) of one head. Queries and keys
        are not turned by their positions yet.
      first: how many first tokens all queries see. window: how many near ones, their own included.
      ceiling: no distance is greater; the paper has the window for it.
      attending: `Attending`; its `rotate` and `score` depend on distances alone. W_r: the table of a learned score.
    Returns:
      (..., H, ℓ, d_mid), in O(ℓ (window + first)) time.
    Raises:
      ValueError, TypeError: for other shapes and types, a window below 1, or a count or a ceiling below 0.
    """
    return first_and_near(Q, Keys(K, V), FirstAndNear(first, window, ceiling), attending, W_r)
