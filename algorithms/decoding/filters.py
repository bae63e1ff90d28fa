"""Filters: logits <- filter(logits), before a token is drawn from softmax(logits)

Each takes logits (N_V,) and returns logits (N_V,); what is dropped gets -inf. Algorithms 14 and 15 draw a token from
softmax(logits) with logits = log(p) / tau, which is temperature(log(p), tau). Filters come after it, in any order.
Hyperparameters: tau > 0, the temperature; k >= 1; p, 0 < p <= 1; r > 0

Tokens are ranked by their logits, and equal logits by their ids, the lower first.
"""

from numpy import argsort, full_like, inf, log

from ..notation import softmax


def ranked(logits):
    """The token ids, the likeliest first."""
    return argsort(-logits, kind="stable")


def only(logits, kept):
    """The logits of the tokens `kept`, and -inf for all others."""
    filtered = full_like(logits, -inf)
    filtered[kept] = logits[kept]
    return filtered


def temperature(logits, tau):
    """The distribution in proportion to p ** (1 / tau)."""
    return logits / tau                                                                                 # 1


def greedy(logits):
    """The likeliest token."""
    v = ranked(logits)[0]                                                                               # 1
    return only(logits, [v])                                                                            # 2


def top_k(logits, k):
    """The k likeliest tokens; all of them if k >= N_V."""
    kept = ranked(logits)[:k]                                                                           # 1
    return only(logits, kept)                                                                           # 2


def top_p(logits, p):
    """The fewest of the likeliest tokens that have probability p together: nucleus sampling, 1904.09751."""
    order = ranked(logits)                                                                              # 1
    P = softmax(logits)[order]                                                                          # 2
    n = 1                                                                                               # 3
    while n < len(P) and (P[:n].sum() < p or p == 1):                                                   # 4
        n = n + 1                                                                                       # 5
    #                                                                                               end # 6
    return only(logits, order[:n])                                                                      # 7


def min_p(logits, p):
    """The tokens whose probability is at least p times the largest: 2407.01082."""
    kept = logits - logits.max() >= log(p)                                                              # 1
    return only(logits, kept)                                                                           # 2


def repetition_penalty(logits, seen, r):
    """Tokens that were seen, a set of ids, become less likely if r > 1: CTRL, 1909.05858."""
    logits = logits.copy()                                                                              # 1
    for v in seen:                                                                                      # 2
        logits[v] = logits[v] / r if logits[v] > 0 else logits[v] * r                                   # 3
    #                                                                                               end # 4
    return logits                                                                                       # 5
