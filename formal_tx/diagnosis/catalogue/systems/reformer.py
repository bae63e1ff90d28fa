"""Mistakes with LSH attention: hashes, the sort and its undoing, what a token sees, how rounds are put together."""

from ...mistakes import mistake

_ONLY = ("lsh_attention",)
_SELF = "where(y[:, None] == x[None, :], SELF, 0)"


MISTAKES = (
    mistake(
        "reformer-keys-not-normalised",
        "the keys are the queries as they are, not divided by their lengths",
        ("Q / where(n > 0, n, 1)", "Q"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-half-of-the-buckets",
        "a hash is the largest of the projections, without those of the opposite directions",
        ("concatenate([H, -H])", "H"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-hash-of-absolute-values",
        "opposite directions fall into one bucket",
        ("concatenate([H, -H])", "abs(H)"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-sort-not-undone",
        "the answers stay in the order of the buckets",
        ("o[:, x] = V[:, y] @ softmax(S)", "o[:, i * m : (i + 1) * m] = V[:, y] @ softmax(S)"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-sorted-twice",
        "the sort is undone by sorting once more in the same order, not by the inverse permutation",
        ("o[:, x] = V[:, y] @ softmax(S)", "o[:, argsort(s)[i * m : (i + 1) * m]] = V[:, y] @ softmax(S)"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-no-look-back",
        "a chunk attends to itself alone, not to the one before it",
        ("s[max(i - 1, 0) * m : (i + 1) * m]", "s[i * m : (i + 1) * m]"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-bucket-mask-missing",
        "tokens of one chunk see each other whatever their bucket",
        ("near & (b[:, None] == b[None, :])", "near"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-mask-in-sorted-order",
        "the mask goes by places in the sorted list, not by positions",
        ("near & Mask", "near & Mask[argsort(s)][:, argsort(s)]"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-self-attended",
        "a token looks at itself, which is the key nearest to its query",
        (_SELF, "0"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-self-masked",
        "a token never looks at itself, and one that sees nobody else has no answer",
        ("see[y][:, x]", "see[y][:, x] & (y[:, None] != x[None, :])"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-rounds-averaged",
        "the rounds are averaged, not weighted by their normalisers",
        ("softmax(array(Z)) if by_normaliser else _mean", "_mean"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-pairs-counted-often",
        "a pair that meets in several rounds counts as often",
        ("S - where(y[:, None] == x[None, :], 0, log(maximum(N[y][:, x], 1)))", "S"),
        functions=_ONLY,
    ),
    mistake(
        "reformer-scale-missing",
        "the scores are not divided by sqrt(d)",
        ("K[:, y].T @ Q[:, x] / sqrt(d)", "K[:, y].T @ Q[:, x]"),
        functions=_ONLY,
    ),
)
