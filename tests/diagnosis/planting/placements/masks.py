"""Mistakes with masks: how they are applied, and which."""

from ..placement import place

_WHERE = "jnp.where(aligned(mask, S), S, -jnp.inf)"
_ROOT = "softmax(S if self.score is not None else self.scaled(S, d_attn))"
_CAUSAL = "return t_z <= t_x"
_D = "self_attend(_visible(masks.causal, None, segments)"
_E = "self_attend(mask, hp.attending, params.W_r, positions)"
_ENCODER = "self_attend(_visible(masks.full, z_lengths, None)"
_CROSS = "see = _visible(masks.full, z_lengths, None)"
_DECODER = "self_attend(masks.causal"


def _at(algorithm, ids, *changes):
    return place(algorithm, "attending.py", ids, *changes)


PLACEMENTS = (
    _at(4, "mask-ignored", (_WHERE, "S")),
    _at(5, "mask-ignored", (_WHERE, "S")),
    _at(10, "mask-ignored mask-causal-missing", (_WHERE, "S")),
    _at(4, "mask-transposed", (_WHERE, "jnp.where(aligned(mask.mT, S), S, -jnp.inf)")),
    _at(10, "mask-transposed", (_WHERE, "jnp.where(aligned(mask.mT, S), S, -jnp.inf)")),
    _at(4, "mask-inverted", (_WHERE, "jnp.where(aligned(mask, S), -jnp.inf, S)")),
    _at(5, "mask-inverted", (_WHERE, "jnp.where(aligned(~mask, S), S, -jnp.inf)")),
    _at(4, "mask-finite", (_WHERE, "jnp.where(aligned(mask, S), S, -1e9)")),
    _at(5, "mask-finite", (_WHERE, "jnp.where(aligned(mask, S), S, -1e4)")),
    _at(10, "mask-finite", (_WHERE, "jnp.where(aligned(mask, S), S, -1e4)")),
    _at(4, "mask-finite", (_WHERE, "S - 1e4 * (1 - aligned(mask, S))")),
    _at(4, "mask-finite-after-scale", (_ROOT, "softmax(jnp.where(aligned(mask, S), self.scaled(S, d_attn), -1e4))")),
    _at(5, "mask-zero", (_WHERE, "S * aligned(mask, S)")),
    _at(10, "mask-zero", (_WHERE, "jnp.tril(S)")),
    _at(4, "mask-added", (_WHERE, "S + aligned(mask, S)")),
    _at(5, "mask-after-softmax", (_WHERE, "S"), (_ROOT, f"{_ROOT} * aligned(mask, S)")),
    _at(10, "mask-after-softmax", (_WHERE, "S"), (_ROOT, f"jnp.tril({_ROOT})")),
    place(10, "architectures.py", "mask-causal-missing mask-ignored", (_D, "self_attend(masks.full")),
    place(8, "architectures.py", "mask-causal-missing", (_DECODER, "self_attend(masks.full")),
    place(11, "architectures.py", "mask-causal-missing", (_DECODER, "self_attend(masks.full")),
    place(14, "architectures.py", "mask-causal-missing mask-ignored", (_D, "self_attend(masks.full")),
    place(9, "architectures.py", "mask-causal-added", (_E, _E.replace("(mask", "(masks.causal"))),
    place(8, "architectures.py", "mask-causal-added", (_ENCODER, "self_attend(masks.causal")),
    place(8, "architectures.py", "mask-causal-added", (_CROSS, "see = masks.causal")),
    place(10, "masks.py", "mask-strict", (_CAUSAL, "return t_z < t_x")),
    place(8, "masks.py", "mask-leaks-one", (_CAUSAL, "return t_z <= t_x + 1")),
    place(10, "masks.py", "mask-leaks-one", (_CAUSAL, "return t_z < t_x + 2")),
    place(10, "masks.py", "mask-one-short", (_CAUSAL, "return (t_z <= t_x) & (t_z > 0)")),
    place(10, "masks.py", "mask-diagonal", (_CAUSAL, "return t_z == t_x")),
    place(8, "masks.py", "mask-transposed", (_CAUSAL, "return t_z >= t_x")),
    place(13, "masks.py", "mask-transposed", (_CAUSAL, "return t_x <= t_z")),
    place(10, "masks.py", "mask-inverted", (_CAUSAL, "return t_z > t_x")),
)
