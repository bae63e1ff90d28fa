"""Mistakes with clustered attention: in the hashes, in the clusters, in what a cluster and its members ask."""

from ...mistakes import mistake

_FORMS = ("clustered_attention", "improved_clustered_attention")
_CENTROID = "_majority if (c == j).any() else other[i][:, j]"

MISTAKES = (
    mistake(
        "clustered-sum-of-queries",
        "the sum of a cluster's queries asks, not their mean",
        ("Q[:, c == j].sum(axis=1) / max(1, (c == j).sum())", "Q[:, c == j].sum(axis=1)"),
        functions=_FORMS,
    ),
    mistake(
        "clustered-not-scaled",
        "the scores of a cluster are not divided by √E",
        ("softmax(_S / sqrt(E))", "softmax(_S)"),
        functions=_FORMS,
    ),
    mistake(
        "clustered-offset-missing",
        "all planes go through 0: their offsets are not added",
        ("ones((1, Q.shape[1]))", "zeros((1, Q.shape[1]))"),
        functions=("query_hashes",),
    ),
    mistake(
        "clustered-offset-subtracted",
        "the offset of a plane is subtracted",
        ("ones((1, Q.shape[1]))", "-ones((1, Q.shape[1]))"),
        functions=("query_hashes",),
    ),
    mistake(
        "clustered-farthest",
        "a query is put into the cluster whose centroid has fewest bits in common with it",
        ("D.argmin(axis=0)", "D.argmax(axis=0)"),
        functions=("nearest",),
    ),
    mistake(
        "clustered-ties-are-one",
        "a bit of a centroid that half of its members have is 1",
        ("2 * _n > members.shape[1]", "2 * _n >= members.shape[1]"),
        functions=("hamming_k_means",),
    ),
    mistake(
        "clustered-empty-is-kept",
        "a cluster without members keeps its centroid, instead of a random one",
        (_CENTROID, "_majority if (c == j).any() else M[:, j]"),
        functions=("hamming_k_means",),
    ),
    mistake(
        "clustered-one-iteration-more",
        "centroids are made anew as often as queries are put into clusters, once too often",
        ("range(iterations - 1)", "range(iterations)"),
        functions=("hamming_k_means",),
    ),
    mistake(
        "clustered-not-assigned-again",
        "queries stay in the cluster of the first centroids",
        ("range(iterations - 1)", "range(0)"),
        functions=("hamming_k_means",),
    ),
    mistake(
        "clustered-improved-top-twice",
        "the keys that members ask for themselves are in the cluster's answer as well",
        ("where(isin(arange(l_z), T[:, j]), 0, A[:, j])", "A[:, j]"),
        functions=("improved_clustered_attention",),
    ),
    mistake(
        "clustered-improved-top-weight-one",
        "the best keys get the weight 1 in all, not what the cluster gives them",
        ("(1 - rest[:, j].sum()) * _a", "_a"),
        functions=("improved_clustered_attention",),
    ),
    mistake(
        "clustered-improved-weight-of-the-rest",
        "the best keys get what the cluster gives to the others",
        ("1 - rest[:, j].sum()", "rest[:, j].sum()"),
        functions=("improved_clustered_attention",),
    ),
    mistake(
        "clustered-improved-rest-missing",
        "keys that are not among the best get nothing",
        ("V @ rest[:, j] + _Y", "_Y"),
        functions=("improved_clustered_attention",),
    ),
    mistake(
        "clustered-improved-worst-keys",
        "members ask the keys that their cluster attends to least",
        ("argsort(-S, axis=0, kind='stable')", "argsort(S, axis=0, kind='stable')"),
        functions=("improved_clustered_attention",),
    ),
    mistake(
        "clustered-improved-cluster-asks",
        "the mean of the cluster asks the best keys too, not each member",
        ("K[:, t].T @ Q[:, i]", "K[:, t].T @ Q_bar[:, j]"),
        functions=("improved_clustered_attention",),
    ),
)
