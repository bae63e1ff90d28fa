"""The laws of attention: the order of tokens, scores and weights, heads, batches, caches."""

import numpy as np

from ..adapters.models import AttentionModel, causal
from ..draws import normal
from .law import DoesNotApply, Measured, compare, law, worst


@law(
    "permutation-equivariance",
    "Queries in another order have their answers in that order; keys in another order, with the mask, change nothing.",
    AttentionModel,
    without=("causal",),
)
def permutation_equivariance(model, rng):
    X, Z, mask = model.inputs(rng)
    p, q = rng.permutation(len(X)), rng.permutation(len(Z))
    if not model.crosses:
        q = p
    before = model.run(model.call, X, Z, mask)
    after = model.run(model.call, X[p], Z[q], mask[p][:, q])
    return compare(after, before[p], "query", p)


@law(
    "equal-context",
    "If all tokens of the context are equal, the answer is that to one of them: weights sum to one.",
    AttentionModel,
    needs=("crosses",),
    without=("causal",),
)
def equal_context(model, rng):
    X, Z, mask = model.inputs(rng)
    expected = model.run(model.call, X, Z[:1], np.ones((len(X), 1), bool))
    return compare(model.run(model.call, X, np.repeat(Z[:1], len(Z), axis=0), mask), expected, "query")


@law(
    "weights-sum-to-one",
    "The weights of a query are not negative, sum to one, and are 0 where it may not attend.",
    AttentionModel,
    needs=("weights",),
)
def weights_sum_to_one(model, rng):
    X, Z, mask = model.inputs(rng)
    A = model.run(model.weights, X, Z, mask)
    outside = np.abs(np.where(model.seen(mask), np.minimum(A, 0), A))
    sums = compare(A.reshape(-1, len(X), len(Z)).sum(axis=(0, 2)) / (A.size // mask.size), np.ones(len(X)), "query")
    t, s = np.unravel_index(np.argmax(outside.reshape(-1, *mask.shape).max(axis=0)), mask.shape)
    return worst([sums, Measured(float(outside.max()), {"query": int(t), "key": int(s)})])


@law(
    "score-shift",
    "A constant added to all scores of a query, as another key bias does, changes nothing.",
    AttentionModel,
    needs=("shifted",),
)
def score_shift(model, rng):
    inputs = model.inputs(rng)
    return compare(model.run(model.shifted, *inputs), model.run(model.call, *inputs), "query")


@law(
    "head-permutation",
    "Heads in another order, with W_o's blocks, change nothing.",
    AttentionModel,
    needs=("reordered", "heads"),
)
def head_permutation(model, rng):
    if model.heads < 2:
        raise DoesNotApply("there is one head")
    inputs = model.inputs(rng)
    order = np.roll(np.arange(model.heads), 1)
    return compare(model.run(model.reordered(order), *inputs), model.run(model.call, *inputs), "query")


@law(
    "batch-is-loop",
    "A batch gives what its members give alone, each with its own mask.",
    AttentionModel,
    needs=("batched",),
)
def batch_is_loop(model, rng):
    members = [model.inputs(rng) for _ in range(3)]
    found = model.run(model.batched, *(np.stack(each) for each in zip(*members, strict=True)))
    return worst([compare(found[n], model.run(model.call, *one), "query", member=n) for n, one in enumerate(members)])


@law(
    "cache-is-no-cache",
    "A cache filled with the tokens so far, at whichever split, gives the answers that there are without one.",
    AttentionModel,
    needs=("prefill", "step"),
)
def cache_is_no_cache(model, rng):
    X, _, mask = model.inputs(rng)
    X = normal(rng, len(X), model.d_x)
    expected = model.run(model.call, X, X, causal(*mask.shape))
    found, tools = [], model.tools
    for split in range(len(X)):
        cache = model.prefill(tools.array(X[:split], model.dtype))
        answers = []
        for x in X[split:]:
            answer, cache = model.step(tools.array(x, model.dtype), cache)
            answers.append(tools.numpy(answer))
        found.append(compare(np.stack(answers), expected[split:], "token", np.arange(split, len(X)), split=split))
    return worst(found)


@law(
    "full-cache",
    "One token more than the cache has room for is refused, or answered as without a cache, or with nan.",
    AttentionModel,
    needs=("prefill", "step", "room"),
)
def full_cache(model, rng):
    X = normal(rng, model.room + 1, model.d_x)
    expected = model.run(model.call, X, X, causal(len(X), len(X)))[-1]
    tools = model.tools
    try:
        cache = model.prefill(tools.array(X[:-1], model.dtype))
        answer = tools.numpy(model.step(tools.array(X[-1], model.dtype), cache)[0])
    except Exception as refusal:
        return Measured(0.0, {"token": model.room}, f"refused: {type(refusal).__name__}")
    if np.isnan(answer).all():
        return Measured(0.0, {"token": model.room}, "the answer is nan")
    return Measured(compare(answer, expected).error, {"token": model.room})
