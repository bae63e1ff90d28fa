"""The patterns of Sparse Transformer (1904.10509), Longformer (2004.05150) and BigBird (2007.14062) as masks.

In a long sequence attention visits the blocks of keys that a mask's `reach` names, so that bands, dilated bands and
global tokens cost O(ℓ·w), and random blocks O(ℓ). A stride has a key in every block: `every`, `strided` and `fixed`
visit all blocks before a query.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from ..linear import aligned
from ..masks import Mask, causal
from ..validation import as_arrays, require_count, require_ids, require_key

FAR = 2**31 - 1
"""A distance that no two tokens have."""


def in_band(t_x, t_z, left, right):
    return (t_x - t_z <= left) & (t_z - t_x <= right)


def _keys_in_band(first, last, l_z, left, right):
    return first - jnp.minimum(left, last), last + 1 + jnp.minimum(right, l_z)


def _a_multiple_apart(t_x, t_z, stride):
    return (t_x - t_z) % stride == 0


def _same_stride_or_summary(t_x, t_z, stride, summary):
    return (t_x // stride == t_z // stride) | (t_z % stride >= stride - summary)


def banded(left: int, right: int) -> Mask:
    """A token sees itself, `left` tokens before it and `right` after it.

    A window of w tokens, of which the token is the last, is `local(w)`. The attention_window w of Longformer's authors
    is `banded(w, w)`, Hugging Face's attention_window W is `banded(W // 2, W // 2)`.

    Raises:
      ValueError: unless both are integers of at least 0.
    """
    left, right = (require_count("banded", name, n, at_least=0) for name, n in (("left", left), ("right", right)))
    return Mask(in_band, (min(left, FAR), min(right, FAR)), _keys_in_band)


def local(width: int) -> Mask:
    """Sparse Transformer, first part: a token sees the last `width` tokens, itself included.

    Raises:
      ValueError: unless `width` is an integer of at least 1.
    """
    return banded(require_count("local", "width", width, at_least=1) - 1, 0)


def every(stride: int) -> Mask:
    """Sparse Transformer, second part: a token sees itself and those 1, 2, 3, … strides before it.

    Raises:
      ValueError: unless `stride` is an integer of at least 1.
    """
    return causal & Mask(_a_multiple_apart, (min(require_count("every", "stride", stride, at_least=1), FAR),))


def strided(width: int, stride: int) -> Mask:
    """Sparse Transformer, both parts in one mask. With width = stride, any token before is at most two layers away.

    Raises:
      ValueError: unless both are integers of at least 1.
    """
    width = require_count("strided", "width", width, at_least=1)
    return local(width) | every(require_count("strided", "stride", stride, at_least=1))


def fixed(stride: int, summary: int = 1) -> Mask:
    """Sparse Transformer, "fixed": a token sees those of its own stride and the last `summary` of the strides before.

    Raises:
      ValueError: unless 1 ≤ summary ≤ stride.
    """
    stride = require_count("fixed", "stride", stride, at_least=1)
    if require_count("fixed", "summary", summary, at_least=1) > stride:
        raise ValueError(f"fixed: summary is {summary}, expected at most stride = {stride}")
    return causal & Mask(_same_stride_or_summary, (min(stride, FAR), min(summary, FAR)))


def dilated(width: int, dilation: int) -> Mask:
    """Longformer, dilated: a token sees itself and, on either side, `width` tokens that are `dilation` apart.

    Raises:
      ValueError: unless width ≥ 0 and dilation ≥ 1 are integers.
    """
    width = require_count("dilated", "width", width, at_least=0)
    dilation = require_count("dilated", "dilation", dilation, at_least=1)
    return banded(width * dilation, width * dilation) & Mask(_a_multiple_apart, (min(dilation, FAR),))


# Global tokens


def _is_one_of(t, tokens):
    """Which of the positions `t` (n, m) are among the tokens (..., n_g)."""
    tokens = tokens[..., None, None, :].astype(t.dtype)
    return (aligned(t[..., None], tokens) == tokens).any(axis=-1)


def is_key(t_x, t_z, tokens):
    return _is_one_of(t_z, tokens)


def _is_query(t_x, t_z, tokens):
    return _is_one_of(t_x, tokens)


def the_keys(first, last, l_z, tokens):
    return tokens.ravel(), tokens.ravel() + 1


def _all_if_asked(first, last, l_z, tokens):
    return 0, jnp.where(((tokens >= first) & (tokens <= last)).any(), l_z, 0)


def _what_is_said(t_x, t_z, said):
    return said


def global_tokens(width: int, tokens: Int[Array, "*batch n_g"], length: int) -> Mask:
    """Longformer: a token sees `width` tokens on either side, and `tokens`, which are global, see and are seen by all.

    Args:
      tokens: (n_g,) or (..., n_g) positions, those of a sequence with fewer of them repeated. If traced ones are out of
        range nobody sees anything, which gives nan.
      length: ℓ, of the sequences that the mask is for.
    Raises:
      ValueError: unless width ≥ 0, length ≥ 1 and each of `tokens` is within [0, length).
      TypeError: if they are no integers.
    """
    near = banded(require_count("global_tokens", "width", width, at_least=0), width)
    tokens, right = checked_tokens(
        "global_tokens", tokens, require_count("global_tokens", "length", length, at_least=1)
    )
    return (near | Mask(is_key, (tokens,), the_keys) | Mask(_is_query, (tokens,), _all_if_asked)) & right


def checked_tokens(function: str, tokens: Int[Array, "*batch n_g"], length: int) -> tuple[jax.Array, Mask]:
    """The tokens, checked, and a mask in which nobody sees anything if they are wrong."""
    (tokens,) = as_arrays(function, tokens=tokens)
    if not tokens.ndim:
        raise ValueError(f"{function}: tokens is a single number, expected (..., n_g), a list of positions")
    tokens = require_ids(function, "tokens", tokens if tokens.size else tokens.astype(int), length, what="ℓ")
    return tokens, Mask(_what_is_said, ((tokens < length).all(axis=-1)[..., None, None],))


# Random blocks


def _block_sees(t_x, t_z, block, drawn):
    x, z, end = t_x // block, t_z // block, len(drawn) - 1
    chosen = drawn.astype(t_x.dtype).at[x].get(mode="fill", fill_value=-1)
    random = (chosen == z[..., None]).any(axis=-1)
    return random | (abs(x - z) <= 1) | (x == 0) | (x == end) | (z == 0) | (z == end)


def _keys_of_blocks(first, last, l_z, block, drawn):
    n, x, z, drawn = len(drawn), first // block, last // block, drawn.astype(first.dtype)
    m = jnp.arange(n)[:, None]
    all_of_them = jnp.where((x == 0) | (z >= n - 1), n, 0)
    begin = jnp.append(drawn, jnp.stack([0, n - 1, x - 1, 0]))
    end = jnp.append(jnp.where((m >= x) & (m <= z), drawn + 1, 0), jnp.stack([1, n, z + 2, all_of_them]))
    return begin * block, end * block


def bigbird(length: int, block: int, drawn: Int[Array, "n r"]) -> Mask:
    """BigBird: by blocks, a token sees its own and both neighbours, the first and the last, which see all, and `drawn`.

    Args:
      length: ℓ, a multiple of `block`. drawn: (ℓ/block, r) the random blocks of each block, as `random_blocks` draws
        them; one that a block sees anyway adds nothing. If traced ones are out of range nobody sees anything, which
        gives nan.
    Raises:
      ValueError: if `block` does not divide ℓ, or for blocks that there are not. TypeError: if these are no integers.
    """
    drawn, right = checked_blocks("bigbird", length, block, drawn)
    return Mask(_block_sees, (block, drawn), _keys_of_blocks) & right


def checked_blocks(function: str, length: int, block: int, drawn: Int[Array, "n r"]) -> tuple[jax.Array, Mask]:
    """The random blocks, checked, and a mask in which nobody sees anything if they are wrong."""
    n = _blocks(function, require_count(function, "length", length, at_least=1), block)
    (drawn,) = as_arrays(function, drawn=drawn)
    if drawn.ndim != 2 or len(drawn) != n:
        raise ValueError(f"{function}: drawn has shape {drawn.shape}, expected (n, r) with n = ℓ/block = {n}")
    drawn = require_ids(function, "drawn", drawn, n, what="n")
    return drawn, Mask(_what_is_said, ((drawn < n).all()[None, None],))


def _blocks(function: str, length: int, block: int) -> int:
    """How many blocks there are."""
    if length % require_count(function, "block", block, at_least=1):
        raise ValueError(f"{function}: block is {block}, expected a divisor of ℓ = {length}: fill the sequence up")
    return length // block


def random_blocks(key: PRNGKeyArray, blocks: int, each: int) -> Int[Array, "n r"]:
    """For each of n = `blocks` blocks, r = `each` different ones that it sees for no other reason in `bigbird`.

    Raises:
      ValueError: unless each ≤ max(n - 5, 0): five blocks are seen anyway. TypeError: if `key` is no key.
    """
    key = require_key("random_blocks", key)
    n = require_count("random_blocks", "blocks", blocks, at_least=1)
    if require_count("random_blocks", "each", each, at_least=0) > max(n - 5, 0):
        raise ValueError(f"random_blocks: each is {each}, expected at most max(blocks - 5, 0) = {max(n - 5, 0)}")
    return _random_blocks(key, n, each)


@partial(jax.jit, static_argnames=("n", "each"))
def _random_blocks(key, n, each):
    drawn, seen = drawn_ranks(key, n, each), seen_blocks(jnp.zeros((n, 0), jnp.int32))
    for k in range(each):
        # The block with this rank among those that are free has as many before it that are seen.
        before = seen - jnp.arange(seen.shape[1], dtype=jnp.int32)[None, :] <= drawn[:, k, None]
        drawn = drawn.at[:, k].add(before.sum(axis=1, dtype=jnp.int32))
        seen = jnp.sort(jnp.concatenate([seen, drawn[:, k, None]], axis=1))
    return drawn


def drawn_ranks(key, n, each):
    """What is drawn (n, r): of the k-th block how many of those that are free stand before it."""
    free = (seen_blocks(jnp.zeros((n, 0), jnp.int32)) >= n).sum(axis=1, keepdims=True) + n - 5
    return jax.random.randint(key, (n, each), 0, free - jnp.arange(each)[None, :], jnp.int32)


def seen_blocks(drawn):
    """The blocks (n, 5 + r) that each of n sees even if it is not at an end, in order; n or more for none."""
    n = len(drawn)
    m = jnp.arange(n, dtype=drawn.dtype)[:, None]
    seen = jnp.concatenate([0 * m, m - 1, m, m + 1, 0 * m + n - 1, drawn], axis=1)
    seen = jnp.sort(jnp.where(seen < 0, n, seen))
    return jnp.sort(jnp.where(jnp.diff(seen, prepend=-1) == 0, FAR, seen))
