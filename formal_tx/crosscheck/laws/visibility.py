"""The laws of what a query may and may not see: masks, causality, padding."""

import numpy as np

from ..adapters.models import AttentionModel, causal
from ..draws import normal
from .law import DoesNotApply, Measured, compare, forbidden, influence, law, worst

_LARGE = 1e6
"""A masked key of this size has a score far from those beside it: a mask that only adds -10,000 lets it through."""


def _masks(model: AttentionModel, mask: np.ndarray) -> list[np.ndarray]:
    """The random mask, and the unidirectional one."""
    return [model.seen(mask), causal(*mask.shape)]


@law(
    "masked-keys",
    "What a query may not attend to has no influence on its answer, however large it is.",
    AttentionModel,
    needs=("masked",),
)
def masked_keys(model, rng):
    X, Z, mask = model.inputs(rng)
    found = []
    for seen in _masks(model, mask):
        before = model.run(model.call, X, Z, seen)
        for s in range(len(Z)):
            blind = np.flatnonzero(~seen[:, s] & (np.arange(len(X)) != s if not model.crosses else True))
            for scale in (1, _LARGE):
                other = Z.copy()
                other[s] = scale * normal(rng, model.d_z)
                after = model.run(model.call, X if model.crosses else other, other, seen)
                found.append(compare(after[blind], before[blind], "query", blind, key=s))
    return worst(found)


@law(
    "visible-keys",
    "Every key that a query may attend to has an influence on its answer.",
    AttentionModel,
    needs=("crosses",),
)
def visible_keys(model, rng):
    X, Z, mask = model.inputs(rng)
    found = []
    for seen in _masks(model, mask) if model.masked else [model.seen(mask)]:
        before = model.run(model.call, X, Z, seen)
        for s in range(len(Z)):
            other = Z.copy()
            other[s] += normal(rng, model.d_z)
            after = model.run(model.call, X, other, seen)
            deaf = seen[:, s] & (after == before).all(axis=1)
            found.append(Measured(np.inf if deaf.any() else 0.0, {"query": int(deaf.argmax()), "key": s}))
    return worst(found)


@law(
    "masked-keys-by-gradient",
    "The gradient of an answer with respect to what its query may not attend to is 0.",
    AttentionModel,
    needs=("masked",),
    transforms=True,
)
def masked_keys_by_gradient(model, rng):
    X, Z, mask = model.inputs(rng)
    found = []
    for seen in _masks(model, mask):
        table, fixed = (model.tools.array(a, model.dtype) for a in (seen, X))
        sizes = influence(
            model, lambda Z, table=table, fixed=fixed: model.call(fixed if model.crosses else Z, Z, table), Z, len(X)
        )
        may = seen if model.crosses else seen | np.eye(len(X), dtype=bool)
        found.append(forbidden(sizes, may, "query", "key"))
    return worst(found)


@law(
    "no-visible-key",
    "A query that may attend to nothing is refused, or its answer does not depend on what it may not see.",
    AttentionModel,
    needs=("masked",),
)
def no_visible_key(model, rng):
    X, Z, mask = model.inputs(rng)
    t = len(X) // 2
    blind = mask.copy()
    blind[t] = False
    other = normal(rng, *Z.shape)
    if not model.crosses:  # the query itself stays
        other[t] = X[t]
    try:
        before = model.run(model.call, X, Z, blind)
        after = model.run(model.call, X if model.crosses else other, other, blind)
    except Exception as refusal:  # of whatever kind: the model refuses
        return Measured(0.0, {"query": t}, f"refused: {type(refusal).__name__}")
    said = "nan" if np.isnan(before[t]).all() else "always the same" if np.array_equal(before[t], after[t]) else ""
    return Measured(compare(after[t], before[t]).error, {"query": t}, said and f"the answer is {said}")


@law(
    "no-visible-key-stays-alone",
    "A query that may attend to nothing changes no other query's answer.",
    AttentionModel,
    needs=("masked",),
)
def no_visible_key_stays_alone(model, rng):
    X, Z, mask = model.inputs(rng)
    blind, others = mask.copy(), np.arange(len(X)) != len(X) // 2
    blind[~others] = False
    expected = model.run(model.call, X, Z, mask)
    try:
        found = model.run(model.call, X, Z, blind)
    except Exception as refusal:
        raise DoesNotApply(f"it refuses such a mask: {type(refusal).__name__}") from None
    return compare(found[others], expected[others], "query", np.flatnonzero(others))


@law(
    "padding",
    "Keys appended to the context, and masked, change nothing.",
    AttentionModel,
    needs=("masked", "crosses"),
    without=("causal",),
)
def padding(model, rng):
    X, Z, mask = model.inputs(rng)
    before = model.run(model.call, X, Z, mask)
    found = []
    for n in (1, 4):
        longer = np.concatenate([Z, 100 * normal(rng, n, model.d_z)])
        wider = np.concatenate([mask, np.zeros((len(X), n), bool)], axis=1)
        found.append(compare(model.run(model.call, X, longer, wider), before, "query", appended=n))
    return worst(found)


@law("causality", "No token changes the answers of those before it.", AttentionModel, needs=("causal",))
def causality(model, rng):
    X, _, mask = model.inputs(rng)
    X, full = normal(rng, len(X), model.d_x), np.ones_like(mask)
    before = model.run(model.call, X, X, full)
    found = []
    for s in range(1, len(X)):
        other = X.copy()
        other[s] = _LARGE * normal(rng, model.d_x)
        after = model.run(model.call, other, other, full)
        found.append(compare(after[:s], before[:s], "query", token=s))
    return worst(found)


@law(
    "causality-by-gradient",
    "The gradient of an answer with respect to later tokens is 0.",
    AttentionModel,
    needs=("causal",),
    transforms=True,
)
def causality_by_gradient(model, rng):
    X, _, mask = model.inputs(rng)
    full = model.tools.array(np.ones_like(mask), model.dtype)
    sizes = influence(model, lambda X: model.call(X, X, full), X, len(X))
    return forbidden(sizes, causal(len(X), len(X)), "query", "token")
