"""The laws of models that have a row for each token, and of an encoder-decoder's context."""

import numpy as np

from ..adapters.models import ContextModel, SequenceModel, causal
from .law import Measured, compare, forbidden, influence, law, worst


def _other_ids(rng: np.random.Generator, ids: np.ndarray, N_V: int) -> np.ndarray:
    """Ids that are different everywhere."""
    return (ids + rng.integers(1, N_V, ids.shape)) % N_V


@law("sequence-causality", "No token changes the rows before it.", SequenceModel, needs=("causal",))
def causality(model, rng):
    ids = model.ids(rng)
    before = model.run(model.rows, ids)
    found = []
    for s in range(1, len(ids)):
        other = ids.copy()
        other[s:] = _other_ids(rng, ids[s:], model.N_V)
        found.append(compare(model.run(model.rows, other)[:s], before[:s], "row", token=s))
    return worst(found)


@law("visible-tokens", "Every token has an influence on its row, and on all that may see it.", SequenceModel)
def visible_tokens(model, rng):
    ids = model.ids(rng)
    before = model.run(model.rows, ids)
    found = []
    for s in range(len(ids)):
        other = ids.copy()
        other[s] = _other_ids(rng, ids[s : s + 1], model.N_V)[0]
        deaf = (model.run(model.rows, other) == before).all(axis=1)
        deaf[: s if model.causal else 0] = False
        found.append(Measured(np.inf if deaf.any() else 0.0, {"row": int(deaf.argmax()), "token": s}))
    return worst(found)


@law(
    "sequence-causality-by-gradient",
    "The gradient of a row with respect to the embeddings of later tokens is 0.",
    SequenceModel,
    needs=("causal", "embed", "embedded"),
    transforms=True,
)
def causality_by_gradient(model, rng):
    ids = model.ids(rng)
    sizes = influence(model, model.embedded, model.run(model.embed, ids), len(ids))
    return forbidden(sizes, causal(len(ids), len(ids)), "row", "token")


@law("prefix", "The rows of a prefix are the prefix of the rows.", SequenceModel, needs=("causal",))
def prefix(model, rng):
    ids = model.ids(rng)
    rows = model.run(model.rows, ids)
    return worst([compare(model.run(model.rows, ids[:l]), rows[:l], length=l) for l in (1, 2, len(ids) - 1)])


@law(
    "order-of-tokens",
    "Without positions, tokens in another order have their rows in that order.",
    SequenceModel,
    needs=("without_positions",),
    without=("causal",),
)
def order_of_tokens(model, rng):
    ids = model.ids(rng)
    p = rng.permutation(len(ids))
    before = model.run(model.without_positions, ids)
    return compare(model.run(model.without_positions, ids[p]), before[p], "row", p)


@law("rows-sum-to-one", "Every row is a distribution.", SequenceModel, needs=("distributions",))
def rows_sum_to_one(model, rng):
    P = model.run(model.rows, model.ids(rng))
    negative = Measured(float(-min(P.min(), 0)), {"row": int(P.min(axis=1).argmin())}, "the least probability")
    return worst([compare(P.sum(axis=1), np.ones(len(P))), negative])


@law(
    "attention-sums-to-one",
    "What each token attends to sums to one, and with causality is 0 for later tokens.",
    SequenceModel,
    needs=("weights",),
)
def attention_sums_to_one(model, rng):
    ids = model.ids(rng)
    A = model.run(model.weights, ids)
    A = A.reshape(-1, len(ids), len(ids))
    sums = [compare(a.sum(axis=1), np.ones(len(ids)), "query", head=h) for h, a in enumerate(A)]
    later = np.abs(A).max(axis=0) if model.causal else np.zeros(A.shape[1:])
    return worst([*sums, forbidden(later, causal(len(ids), len(ids)), "query", "key")])


def _padded(model: SequenceModel, rng: np.random.Generator, left: bool) -> Measured:
    """Sequences of different lengths in one batch, padded with two different fillings, against each alone."""
    length = min(7, model.l_max)
    lengths = [length, length - 3, 1]
    ids = np.stack([model.ids(rng, length) for _ in lengths])
    t, padded = np.arange(length), model.padded
    assert padded is not None  # the laws need it
    real = np.stack([t >= length - n if left else t < n for n in lengths])
    found = []
    for filling in (ids, np.where(real, ids, _other_ids(rng, ids, model.N_V))):
        rows = model.run(padded, filling, real)
        for n, (row, keep) in enumerate(zip(rows, real, strict=True)):
            alone = model.run(model.rows, ids[n][keep])
            found.append(compare(row[keep], alone, "row", sequence=n, length=lengths[n]))
    return worst(found)


@law(
    "right-padding",
    "A sequence padded on the right, in a batch of different lengths, has the rows that it has alone.",
    SequenceModel,
    needs=("padded",),
)
def right_padding(model, rng):
    return _padded(model, rng, left=False)


@law(
    "left-padding",
    "A sequence padded on the left, in a batch of different lengths, has the rows that it has alone.",
    SequenceModel,
    needs=("padded", "padded_left"),
)
def left_padding(model, rng):
    return _padded(model, rng, left=True)


@law("batch-of-sequences", "A batch gives what its sequences give alone.", SequenceModel, needs=("batched",))
def batch_of_sequences(model, rng):
    ids = np.stack([model.ids(rng) for _ in range(3)])
    rows = model.run(model.batched, ids)
    return worst([compare(rows[n], model.run(model.rows, one), "row", sequence=n) for n, one in enumerate(ids)])


@law(
    "decoding-cache",
    "A cache filled with the tokens so far, at whichever split, gives the rows that there are without one.",
    SequenceModel,
    needs=("prefill", "step"),
)
def decoding_cache(model, rng):
    ids = model.ids(rng)
    expected = model.run(model.rows, ids)
    found = []
    for split in range(1, len(ids)):
        cache = model.prefill(model.tools.array(ids[:split], model.dtype))
        rows = []
        for t in range(split, len(ids)):
            row, cache = model.step(int(ids[t]), t, cache)
            rows.append(model.tools.numpy(row))
        found.append(compare(np.stack(rows), expected[split:], "row", np.arange(split, len(ids)), split=split))
    return worst(found)


@law(
    "end-of-positions",
    "One token more than l_max is refused, or answered with nan.",
    SequenceModel,
    needs=("prefill", "step"),
)
def end_of_positions(model, rng):
    ids = rng.integers(model.N_V, size=model.l_max + 1)
    cache = model.prefill(model.tools.array(ids[:-1], model.dtype))
    try:
        row = model.tools.numpy(model.step(int(ids[-1]), model.l_max, cache)[0])
    except Exception as refusal:
        return Measured(0.0, {"token": model.l_max}, f"refused: {type(refusal).__name__}")
    silent = not np.isnan(row).all()
    return Measured(np.inf if silent else 0.0, {"token": model.l_max}, "" if silent else "the row is nan")


@law(
    "order-of-context",
    "Without positions, the context in another order changes nothing.",
    ContextModel,
    needs=("without_positions",),
)
def order_of_context(model, rng):
    z = model.ids(rng)
    before = model.run(model.without_positions, z)
    return compare(model.run(model.without_positions, z[rng.permutation(len(z))]), before)


@law(
    "context-padding",
    "Contexts padded on the right, in a batch of different lengths, give the rows that they give alone.",
    ContextModel,
    needs=("padded",),
)
def context_padding(model, rng):
    lengths = [7, 4, 1]
    z = np.stack([model.ids(rng) for _ in lengths])
    real = np.arange(z.shape[1]) < np.array(lengths)[:, None]
    rows = model.run(model.padded, z, real)
    return worst([compare(rows[n], model.run(model.rows, z[n, :l]), "row", context=n) for n, l in enumerate(lengths)])
