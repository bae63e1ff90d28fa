"""LM-Infinite: Y <- lambda_attention(Q, K, V), 2308.16137

A mask in the shape of a Λ and a ceiling for distances, so that a model reads on beyond the length that it was trained
with. It stands in the place of lines 4 to 6 of Algorithm 4, in each head: no parameter changes.
Input:           Q (d_attn, l), K (d_attn, l) and V (d_mid, l): queries, keys and values of a head, a column for each
                 token, that know nothing of positions yet
Output:          Y (d_mid, l)
Hyperparameters: theta (r/2,), the frequencies of the rotation, none (r = 0) for models without
                 n >= 0, how many first tokens all queries see; w >= 1, how many near ones, the query's own included;
                 c >= 0, the ceiling: no distance is greater
                 b, what is added to the score at a distance (ALiBi: -m times the distance), nothing unless given

The paper has n = 10 to 100 and w = c, the length trained with. Turning the query by the distance, and the key not, is
turning both by their positions where the distance is below c, and has a meaning where it is not.
"""

from numpy import arange, array, full, inf, minimum, sqrt

from ..notation import softmax
from ..positional.rotary import rotary


def no_bias(distance):
    """Nothing is added to a score."""
    return 0 * distance


def lambda_attention(Q, K, V, theta, n, w, c, b=no_bias):
    d_attn, l = Q.shape
    S = full((l, l), -inf)
    for i in range(l):                                                                                  # 1
        j = array([j for j in range(i + 1) if j < n or i - j < w])                                      # 2
        distance = minimum(i - j, c)                                                                    # 3
        q = rotary(Q[:, [i] * len(j)], distance, theta)                                                 # 4
        S[j, i] = (K[:, j] * q).sum(axis=0) / sqrt(d_attn) + b(distance)                                # 5
    #                                                                                               end # 6
    A = softmax(S)                                                                                      # 7
    Y = V @ A                                                                                           # 8
    return Y


def lambda_attention_of_authors(Q, K, V, theta, n, w, c):
    """The same for c = w, as the authors compute it: distances below w are differences of positions, all others c.

    A query is turned twice, by its position for the near keys and by c for the first ones, which are not turned.
    """
    d_attn, l = Q.shape
    Q_near, K_near = rotary(Q, arange(l), theta), rotary(K, arange(l), theta)                           # 1
    Q_far = rotary(Q, full(l, c), theta)                                                                # 2
    S = full((l, l), -inf)
    for i in range(l):                                                                                  # 3
        near = arange(max(i - w + 1, 0), i + 1)                                                         # 4
        far = arange(min(n, near[0]))                                                                   # 5
        S[near, i] = K_near[:, near].T @ Q_near[:, i] / sqrt(d_attn)                                    # 6
        S[far, i] = K[:, far].T @ Q_far[:, i] / sqrt(d_attn)                                            # 7
    #                                                                                               end # 8
    A = softmax(S)                                                                                      # 9
    Y = V @ A                                                                                           # 10
    return Y
