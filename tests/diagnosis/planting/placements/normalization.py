"""Mistakes in Algorithm 6, alone and inside the architectures."""

from ..placement import place

_M = "jnp.mean(e, axis=-1)"
_V = "jnp.mean((e - m[..., None]) ** 2, axis=-1)"
_NORMALISED = "normalised = (e - m[..., None]) / jnp.sqrt(v + epsilon)[..., None]"
_SCALED = "scaled = normalised * aligned(gamma, e)"
_SHIFTED = "(scaled if beta is None else scaled + aligned(wide(beta), e)).astype(dtype)"
_ROOT = "jnp.sqrt(v + epsilon)[..., None]"
_OVER_TOKENS = "normalised = (e - e.mean(axis=0)) / jnp.sqrt(e.var(axis=0) + epsilon)"
_OVER_ALL = "normalised = (e - e.mean()) / jnp.sqrt(e.var() + epsilon)"


def _at(algorithm, ids, *changes):
    return place(algorithm, "normalization.py", ids, *changes)


PLACEMENTS = (
    _at(6, "norm-variance-unbiased", (_V, "e.var(axis=-1, ddof=1)")),
    _at(10, "norm-variance-unbiased", (_V, "jnp.var(e, axis=-1, ddof=1)")),
    _at(6, "norm-variance-not-averaged", (_V, "((e - m[..., None]) ** 2).sum(axis=-1)")),
    _at(6, "norm-variance-about-zero", (_V, "jnp.mean(e**2, axis=-1)")),
    _at(9, "norm-variance-about-zero", (_V, "jnp.mean(e**2, axis=-1)")),
    _at(6, "norm-not-rooted", (_ROOT, "(v + epsilon)[..., None]")),
    _at(8, "norm-not-rooted", (_ROOT, "(v + epsilon)[..., None]")),
    _at(6, "norm-variance-missing", (_NORMALISED, "normalised = e - m[..., None]")),
    _at(6, "norm-epsilon-outside", (_ROOT, "(jnp.sqrt(v) + epsilon)[..., None]")),
    _at(8, "norm-epsilon-outside", (_ROOT, "(jnp.std(e, axis=-1, keepdims=True) + epsilon)")),
    _at(6, "norm-epsilon-forgotten", (_ROOT, "jnp.sqrt(v)[..., None]")),
    _at(9, "norm-epsilon-forgotten", (_ROOT, "jnp.sqrt(v)[..., None]")),
    _at(12, "norm-epsilon-forgotten", (_ROOT, "jnp.sqrt(v)[..., None]")),
    _at(6, "norm-epsilon-other", (_ROOT, "jnp.sqrt(v + 1e-6)[..., None]")),
    _at(9, "norm-epsilon-other", (_ROOT, "jnp.sqrt(v + 1e-12)[..., None]")),
    _at(10, "norm-epsilon-other", (_ROOT, "jnp.sqrt(v + 1e-5)[..., None]")),
    _at(6, "norm-epsilon-in-variance-maximum", (_ROOT, "jnp.sqrt(jnp.maximum(v, epsilon))[..., None]")),
    _at(6, "norm-not-centred", (_NORMALISED, f"normalised = e / {_ROOT}")),
    _at(10, "norm-not-centred", (_NORMALISED, f"normalised = e / {_ROOT}")),
    _at(6, "norm-rms", (_NORMALISED, "normalised = e / jnp.sqrt(jnp.mean(e**2, axis=-1, keepdims=True) + epsilon)")),
    _at(10, "norm-rms", (_M, "jnp.zeros(e.shape[:-1])")),
    _at(6, "norm-mean-of-wrong-count", (_M, "e.sum(axis=-1) / (e.shape[-1] - 1)")),
    _at(6, "norm-gamma-beta-swapped", (_SCALED, "scaled = normalised * beta"), (_SHIFTED, "scaled + gamma")),
    _at(9, "norm-gamma-beta-swapped", (_SCALED, "scaled = normalised * beta"), (_SHIFTED, "scaled + gamma")),
    _at(6, "norm-gamma-forgotten", (_SCALED, "scaled = normalised")),
    _at(8, "norm-gamma-forgotten", (_SCALED, "scaled = normalised")),
    _at(6, "norm-beta-forgotten", (_SHIFTED, "scaled.astype(dtype)")),
    _at(10, "norm-beta-forgotten", (_SHIFTED, "scaled.astype(dtype)")),
    _at(6, "norm-gamma-beta-forgotten", (_SHIFTED, "normalised")),
    _at(9, "norm-gamma-beta-forgotten", (_SHIFTED, "normalised")),
    _at(6, "norm-gamma-plus-one", (_SCALED, "scaled = normalised * (1 + gamma)")),
    _at(6, "norm-beta-before-gamma", (_SCALED, "scaled = (normalised + beta) * gamma"), (_SHIFTED, "scaled")),
    _at(8, "norm-beta-before-gamma", (_SCALED, "scaled = (normalised + beta) * gamma"), (_SHIFTED, "scaled")),
    _at(9, "norm-over-tokens", (_NORMALISED, _OVER_TOKENS)),
    _at(10, "norm-over-tokens", (_NORMALISED, _OVER_TOKENS)),
    _at(9, "norm-over-all", (_NORMALISED, _OVER_ALL)),
    _at(14, "norm-variance-unbiased", (_V, "e.var(axis=-1, ddof=1)")),
    _at(15, "norm-rms", (_NORMALISED, "normalised = e / jnp.sqrt(jnp.mean(e**2, axis=-1, keepdims=True) + epsilon)")),
)
