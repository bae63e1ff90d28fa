"""StreamingLLM: Y <- streaming_attention(Q, K, V), 2309.17453

A stream without an end, read in constant memory: the cache of a head keeps the g first tokens, the "sinks", and the w
last ones, and positions are counted inside of it. It stands in the place of lines 4 to 6 of Algorithm 4, in each head:
no parameter changes.
Input:           Q (d_attn, l), K (d_attn, l) and V (d_mid, l): queries, keys and values of a head, a column for each
                 token, that know nothing of positions yet
Output:          Y (d_mid, l)
Hyperparameters: theta (r/2,), the frequencies of the rotation, none (r = 0) for models without
                 g >= 0, how many sinks; w >= 1, how many other tokens a query sees at most, its own included
                 b, what is added to the score at a distance (ALiBi: -m times the distance), nothing unless given

The paper has g = 4. Its code makes room after a token is read, so that this one sees w = recent_size + 1 tokens; here
room is made before, and a cache of g + w rows is what a query sees.
"""

from numpy import arange, array, column_stack, concatenate, exp, full, inf, sqrt, where, zeros

from ..notation import softmax
from ..positional.rotary import rotary
from .lm_infinite import no_bias


def streaming_attention(Q, K, V, theta, g, w, b=no_bias):
    """A token at a time, with keys that are turned anew at each step, by where they stand in the cache."""
    (d_attn, l), d_mid = Q.shape, len(V)
    K_kept, V_kept, Y = zeros((d_attn, 0)), zeros((d_mid, 0)), zeros((d_mid, l))
    for i in range(l):                                                                                  # 1
        K_kept = column_stack([evict_for_space(K_kept, 1, g, w), K[:, i]])                              # 2
        V_kept = column_stack([evict_for_space(V_kept, 1, g, w), V[:, i]])                              # 3
        n = K_kept.shape[1]                                                                             # 4
        q = rotary(Q[:, [i]], array([n - 1]), theta)[:, 0]                                              # 5
        s = rotary(K_kept, arange(n), theta).T @ q / sqrt(d_attn) + b(n - 1 - arange(n))                # 6
        Y[:, i] = V_kept @ softmax(s)                                                                   # 7
    #                                                                                               end # 8
    return Y


def evict_for_space(A, m, g, w):
    """The cache A (d, n) with room for m more tokens among its g + w: the oldest go, but for the first g."""
    n = A.shape[1]                                                                                      # 1
    if n + m > g + w:                                                                                   # 2
        A = concatenate([A[:, :g], A[:, n - w + m :]], axis=1)                                         # 3
    return A                                                                                            # 4


def sink_attention(Q, K, V, theta, g, w, b=no_bias):
    """The same for a whole sequence at once: which tokens the cache would hold, and how far they would seem to be."""
    d_attn, l = Q.shape
    S = full((l, l), -inf)
    for i in range(l):                                                                                  # 1
        j = array([j for j in range(i + 1) if j < g or i - j < w])                                      # 2
        distance = where(j < g, min(i, g + w - 1) - j, i - j)                                           # 3
        q = rotary(Q[:, [i] * len(j)], distance, theta)                                                 # 4
        S[j, i] = (K[:, j] * q).sum(axis=0) / sqrt(d_attn) + b(distance)                                # 5
    #                                                                                               end # 6
    A = softmax(S)                                                                                      # 7
    Y = V @ A                                                                                           # 8
    return Y


def sink_cache_step(q, k, v, K, V, i, theta, g, w, b=no_bias):
    """A token, the i-th of the stream, with a cache of g + w columns none of which ever moves: the last w are a ring.

    Input:  q (d_attn,), k (d_attn,), v (d_mid,), of the token; K (d_attn, g + w), V (d_mid, g + w), the cache, in which
            the token takes the place of one that nobody will see any more
    Output: y (d_mid,)
    """
    d_attn = len(q)
    a = arange(g + w)
    newest = i if i < g else g + (i - g) % w                                                            # 1
    K[:, newest] = k                                                                                    # 2
    V[:, newest] = v                                                                                    # 3
    t_x = min(i, g + w - 1)                                                                             # 4
    t_z = where(a < g, a, t_x - (i - a) % w)                                                            # 5
    Mask = where(a < g, a <= i, i - (t_x - t_z) >= g)                                                   # 6
    q = rotary(q[:, None], array([t_x]), theta)[:, 0]                                                   # 7
    s = rotary(K, t_z, theta).T @ q / sqrt(d_attn) + b(t_x - t_z)                                       # 8
    s = where(Mask, s, -inf)                                                                            # 9
    y = V @ softmax(s)                                                                                  # 10
    return y


def softmax_1(A):
    """Softmax off by one: exp A[t_z, t_x] / (1 + sum_t exp A[t, t_x]). A column may sum to less than one.

    It is what a further key and value, both 0, would leave to the others: a model trained with it needs no sinks.
    """
    m = A.max(axis=0).clip(min=0)                                                                       # 1
    E = exp(A - m)                                                                                      # 2
    P = E / (exp(-m) + E.sum(axis=0))                                                                   # 3
    return P                                                                                            # 4
