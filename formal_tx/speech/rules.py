"""What Whisper may write next: `algorithms/speech/timestamp_rules.py`, and tokens that are suppressed."""

import jax
import jax.numpy as jnp
from flax import struct

from .vocabulary import WhisperTokens


@struct.dataclass
class Written:
    """What the rules know of a text: how many tokens it has, its last two, and its last timestamp; -1 is none."""

    count: jax.Array
    last: jax.Array
    before: jax.Array
    stamp: jax.Array

    @classmethod
    def nothing(cls) -> "Written":
        """Of a text that has not begun."""
        none = jnp.asarray(-1, jnp.int32)
        return cls(jnp.asarray(0, jnp.int32), none, none, none)

    def followed_by(self, token: jax.Array, first_timestamp: int) -> "Written":
        """Of the text with one more token."""
        stamp = jnp.where(token >= first_timestamp, token, self.stamp)
        return Written(self.count + 1, token, self.last, stamp)


def timestamp_rules(logits: jax.Array, written: Written, tokens: WhisperTokens, latest: int = 50) -> jax.Array:
    """The logits (N_V,), with -inf for what may not follow.

    Args:
      logits: (N_V,), which may already hold -inf.
      written: the text so far, without the prompt.
      latest: how many timestamps after 0.00 a text may begin.
    """
    first, t = tokens.first_timestamp, jnp.arange(logits.shape[-1])
    is_stamp = written.last >= first
    starts = is_stamp & ((written.count == 1) | (written.before >= first))  # the last token is the start of a segment
    begins = written.count == 0
    stamp, text = t >= first, t < tokens.end
    early = stamp & (t < written.stamp + jnp.where(is_stamp, 0, 1))
    forbidden = (t == tokens.no_timestamps) | jnp.where(
        begins,
        (t < first) | (t > first + latest),
        jnp.where(starts, stamp, early | (text & is_stamp)),
    )
    logits = jnp.where(forbidden, -jnp.inf, logits)
    # When it is likelier that any timestamp comes than the likeliest text, one of them does.
    stamps = jax.nn.logsumexp(jnp.where(stamp, logits, -jnp.inf))
    best = jnp.where(stamp, -jnp.inf, logits).max()
    return jnp.where(~stamp & (stamps > best), -jnp.inf, logits)


def without(logits: jax.Array, ids: jax.Array) -> jax.Array:
    """The logits (N_V,), with -inf for the tokens `ids` (n,)."""
    return logits.at[ids].set(-jnp.inf)
