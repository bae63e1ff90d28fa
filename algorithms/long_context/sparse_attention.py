"""Sparse attention: banded, strided, fixed and dilated masks, global tokens, random blocks, and attention by blocks

Sparse Transformer 1904.10509, Longformer 2004.05150, BigBird 2007.14062.
Masks:           Mask (l, l), true where token t_x may attend to token t_z
Attention:       Q, K (d_attn, l) and V (d_mid, l) of one head, a column for each token, give Y (d_mid, l); Longformer's
                 reads X (d_e, l) and gives V_tilde (d_out, l)
Parameters W:    heads, for each h in [H] the parameters of Algorithm 4 with d_mid in the place of d_out; global_heads,
                 as many of the same shapes, with which global tokens ask and are answered; W_o (d_out, H d_mid),
                 b_o (d_out,)
Hyperparameters: L, R >= 0, how many tokens before and after itself a token sees
                 w, of `local` and `strided` how many tokens a token sees, itself included; elsewhere how many on either
                 side of it; r >= 1, a dilation, or how many random blocks a block sees
                 s >= 1, a stride, of which the last c tokens are its summary
                 g, a list of global tokens, which see all and which all see
                 b >= 1, the size of a block; rand, for each of n blocks a list of the random ones that it sees
                 randint(a), a number drawn uniformly from {0, ..., a - 1}

A Sparse Transformer has `local` in one head or layer and `every` in the next, or both at once, `strided`. What is
published as `fixed` takes the summary from the end of each stride. BigBird's random blocks are drawn from those that a
block does not see otherwise, so that no key counts twice.
"""

from math import ceil, sqrt

from numpy import arange, array, concatenate, inf, pad, where, zeros

from ..algorithm_04_attention import attention
from ..notation import bidirectional, softmax, unidirectional


def banded(l, L, R):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [t_x - t_z <= L and t_z - t_x <= R for t_z in range(l)]                          # 2
    #                                                                                               end # 3
    return Mask


def local(l, w):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [t_z <= t_x and t_x - t_z < w for t_z in range(l)]                               # 2
    #                                                                                               end # 3
    return Mask


def every(l, s):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [t_z <= t_x and (t_x - t_z) % s == 0 for t_z in range(l)]                        # 2
    #                                                                                               end # 3
    return Mask


def strided(l, w, s):
    Mask = local(l, w) | every(l, s)                                                                    # 1
    return Mask


def fixed(l, s, c):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [t_z <= t_x and (t_x // s == t_z // s or t_z % s >= s - c) for t_z in range(l)]  # 2
    #                                                                                               end # 3
    return Mask


def dilated(l, w, r):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [abs(t_x - t_z) <= w * r and (t_x - t_z) % r == 0 for t_z in range(l)]           # 2
    #                                                                                               end # 3
    return Mask


def global_tokens(l, w, g):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        Mask[:, t_x] = [abs(t_x - t_z) <= w or t_x in g or t_z in g for t_z in range(l)]                # 2
    #                                                                                               end # 3
    return Mask


def random_blocks(n, r, randint):
    """For each of n blocks r others, all of them different, that it would not see otherwise."""
    rand = []
    for m in range(n):                                                                                  # 1
        chosen = []                                                                                     # 2
        for k in range(r):                                                                              # 3
            free = [c for c in range(n) if c not in {0, m - 1, m, m + 1, n - 1, *chosen}]               # 4
            chosen = [*chosen, free[randint(len(free))]]                                                # 5
        #                                                                                           end # 6
        rand = [*rand, chosen]                                                                          # 7
    #                                                                                               end # 8
    return rand


def seen_blocks(m, n, rand):
    """Which of n blocks of keys the m-th block of queries sees."""
    if m in (0, n - 1):                                                                                 # 1
        seen = list(range(n))                                                                           # 2
    else:                                                                                               # 3
        seen = sorted({0, m - 1, m, m + 1, n - 1, *rand[m]})                                            # 4
    return seen


def bigbird(l, b, rand):
    Mask = zeros((l, l), dtype=bool)
    for t_x in range(l):                                                                                # 1
        seen = seen_blocks(t_x // b, l // b, rand)                                                      # 2
        Mask[:, t_x] = [t_z // b in seen for t_z in range(l)]                                           # 3
    #                                                                                               end # 4
    return Mask


def banded_attention(Q, K, V, L, R, b):
    """What Algorithm 4 gives with the mask `banded`, block by block: O(l (L + R + b)) scores.

    What fills up the last block is hidden from all, and sees itself, so that its column has a softmax (E29).
    """
    d_attn, l = Q.shape
    n, u, v = ceil(l / b), ceil(min(L, l - 1) / b), ceil(min(R, l - 1) / b)                             # 1
    Q = pad(Q, ((0, 0), (0, n * b - l)))                                                                # 2
    K = pad(K, ((0, 0), (u * b, (n + v) * b - l)))                                                      # 3
    V = pad(V, ((0, 0), (u * b, (n + v) * b - l)))                                                      # 4
    Y = []
    for m in range(n):                                                                                  # 5
        i, j = arange(m * b, (m + 1) * b)[None, :], arange((m - u) * b, (m + v + 1) * b)[:, None]       # 6
        Mask = (i - j <= L) & (j - i <= R) & (j >= 0) & (j < l)                                         # 7
        Mask = Mask | (i == j)                                                                          # 8
        S = K[:, m * b : (m + u + v + 1) * b].T @ Q[:, m * b : (m + 1) * b]                             # 9
        S = where(Mask, S, -inf)                                                                        # 10
        Y_m = V[:, m * b : (m + u + v + 1) * b] @ softmax(S / sqrt(d_attn))                             # 11
        Y.append(Y_m)
    #                                                                                               end # 12
    Y = concatenate(Y, axis=1)[:, :l]                                                                   # 13
    return Y


def strided_attention(Q, K, V, s):
    """What Algorithm 4 gives with the mask `every`, one residue modulo s after the other: O(l^2 / s) scores."""
    d_attn, l = Q.shape
    n = ceil(l / s)                                                                                     # 1
    Q, K, V = [pad(A, ((0, 0), (0, n * s - l))) for A in (Q, K, V)]                                     # 2
    Y = zeros(V.shape)
    for a in range(s):                                                                                  # 3
        S = K[:, a::s].T @ Q[:, a::s]                                                                   # 4
        S = where(unidirectional(n, n), S, -inf)                                                        # 5
        V_tilde = V[:, a::s] @ softmax(S / sqrt(d_attn))                                                # 6
        Y[:, a::s] = V_tilde
    #                                                                                               end # 7
    Y = Y[:, :l]                                                                                        # 8
    return Y


def bigbird_attention(Q, K, V, b, rand):
    """What Algorithm 4 gives with the mask `bigbird`, block by block: O(l (5 + r) b) scores."""
    d_attn, l = Q.shape
    n = l // b                                                                                          # 1
    Y = []
    for m in range(n):                                                                                  # 2
        j = concatenate([arange(c * b, (c + 1) * b) for c in seen_blocks(m, n, rand)])                  # 3
        S = K[:, j].T @ Q[:, m * b : (m + 1) * b]                                                       # 4
        Y_m = V[:, j] @ softmax(S / sqrt(d_attn))                                                       # 5
        Y.append(Y_m)
    #                                                                                               end # 6
    Y = concatenate(Y, axis=1)                                                                          # 7
    return Y


def with_columns(A, g, B):
    """A with the columns of B in the places g."""
    A = A.copy()
    A[:, g] = B
    return A


def longformer_attention(X, W, w, g):
    l = X.shape[1]
    Mask = banded(l, w, w)                                                                              # 1
    Mask = Mask | array([[t_z in g] for t_z in range(l)])                                               # 2
    Y = []
    for h in range(len(W.heads)):                                                                       # 3
        Y_h = attention(X, X, W.heads[h], Mask)                                                         # 4
        Y_g = attention(X[:, g], X, W.global_heads[h], bidirectional(l, len(g)))                        # 5
        Y_h = with_columns(Y_h, g, Y_g)                                                                 # 6
        Y.append(Y_h)
    #                                                                                               end # 7
    Y = concatenate(Y)                                                                                  # 8
    V_tilde = W.W_o @ Y + W.b_o[:, None]                                                                # 9
    return V_tilde
