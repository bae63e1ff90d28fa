"""The ∞-former: a memory of the whole past whose size and cost do not depend on its length, 2109.00301

The past is a function of time, x(t) = B psi(t) for t in [0, 1], of N basis functions. A segment that is done is put
behind it: what was remembered is squeezed into [0, tau], and B is fitted anew. A query looks at the memory with a
Gaussian density over t, and is answered with the expectation of the values under it.

basis_regression:     X (d, L), a column for each token -> B (d, N)
memory_update:        B_old (d, N) or None, X (d, L), u (M,) the times at which the old function is sampled -> B (d, N)
sticky_points:        density (2, H, l) of the read before, r (M,) uniform numbers from [0, 1) -> u (M,), sorted
read_density:         Q, for each head (d_attn, l) -> density (2, H, l): location m and variance v for each query
continuous_attention: B (d, N), density (2, H, l) -> Z (d_out, l)
infinite_attention:   segments, a list of X (d, L) -> Y (d_out, l), the outputs for all of them side by side
kl_regulariser:       v -> a number
Parameters W:         of the attention within a segment, Algorithm 5's
Parameters U:         of the memory: W_k, for each head (d_attn, d), W_v, for each head (d_mid, d),
                      W_o (d_out, H d_mid), a_m (N,), a_v (N,)
Hyperparameters:      mu (N,) and sigma (N,), centres and widths of psi; lam > 0, the ridge penalty; tau in (0, 1), what
                      is left to the past; M samples, D bins; v_min, the least variance; sigma_0, the width preferred

The paper has t_i = i / L. The authors' code puts new rows in the middle of L equal cells when there is no past, and at
i / L when there is one, and adds cells of value 0 on both sides, so that the function goes to 0 outside of [0, 1].
With an odd number of cells there is half a cell less on each side, as in the code.

The code draws bins with torch.Categorical. Here each is the one in which a given uniform number falls, for the same
distribution; and u is its left edge. The queries are those of the attention within the segment.
"""

from math import erf

from numpy import (
    arange,
    array,
    concatenate,
    cumsum,
    exp,
    eye,
    linalg,
    linspace,
    log,
    log1p,
    maximum,
    pi,
    sort,
    sqrt,
    vectorize,
)

from ..algorithm_05_mh_attention import mh_attention
from ..notation import unidirectional


def psi(t, mu, sigma):
    """The basis functions (N, n) at the times t (n,): normalised Gaussians, 80 high where sigma = 0.005."""
    return exp(-((t - mu[:, None]) ** 2) / (2 * sigma[:, None] ** 2)) / (sigma[:, None] * sqrt(2 * pi))


def Phi(x):
    """The distribution function of N(0, 1)."""
    return vectorize(lambda x: (1 + erf(x / sqrt(2))) / 2, otypes=[float])(x)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softplus(x):
    return maximum(x, 0) + log1p(exp(-abs(x)))


def basis_regression(X, mu, sigma, lam):
    N, L = len(mu), X.shape[1]
    t = (arange(-(L // 2), L + L // 2) + 1 / 2) / L                                                     # 1
    F = psi(t, mu, sigma)                                                                               # 2
    G = linalg.solve(F @ F.T + lam * eye(N), F)                                                         # 3
    G = G[:, (t > 0) & (t < 1)]                                                                         # 4
    B = X @ G.T                                                                                         # 5
    return B


def memory_update(B_old, X, u, mu, sigma, lam, tau):
    if B_old is None:                                                                                   # 1
        return basis_regression(X, mu, sigma, lam)                                                      # 2
    #                                                                                               end # 3
    N, L, M = len(mu), X.shape[1], len(u)
    X_old = B_old @ psi(u, mu, sigma)                                                                   # 4
    t_old = tau * arange(1, M + 1) / M                                                                  # 5
    t_new = tau + (1 - tau) * arange(1, L + 1) / L                                                      # 6
    half = (M + L) // 2
    t_out = (concatenate([arange(-half, 0), arange(M + L, M + L + half)]) + 1 / 2) / (M + L)            # 7
    F = psi(concatenate([t_old, t_new, t_out]), mu, sigma)                                              # 8
    G = linalg.solve(F @ F.T + lam * eye(N), F)                                                         # 9
    G = G[:, : M + L]                                                                                   # 10
    B = concatenate([X_old, X], axis=1) @ G.T                                                           # 11
    return B


def sticky_points(density, r, D):
    m, v = density
    edges = linspace(0, 1, D + 1)                                                                       # 1
    wider = concatenate([[-1e-6], edges[1:D], [1 + 1e-6]])                                              # 2
    s = sqrt(v)
    p = array([(Phi((wider[b + 1] - m) / s) - Phi((wider[b] - m) / s)).sum() for b in range(D)])        # 3
    p = p / p.sum()                                                                                     # 4
    b = array([min(sum(cumsum(p) <= r_m), D - 1) for r_m in r])                                         # 5
    u = sort(edges[b])                                                                                  # 6
    return u


def uniform_points(M):
    return arange(1, M + 1) / M                                                                         # 1


def read_density(Q, B, U, v_min):
    m, v = [], []
    for h in range(len(Q)):                                                                             # 1
        K = U.W_k[h] @ B                                                                                # 2
        S = K.T @ Q[h] / sqrt(len(Q[h]))                                                                # 3
        m_h = sigmoid(U.a_m @ S)                                                                        # 4
        v_h = maximum(softplus(U.a_v @ S), v_min)                                                       # 5
        m.append(m_h)
        v.append(v_h)
    #                                                                                               end # 6
    return array([m, v])                                                                                # 7


def continuous_attention(B, density, U, mu, sigma):
    m, v = density
    Z = []
    for h in range(len(m)):                                                                             # 1
        V = U.W_v[h] @ B                                                                                # 2
        w = sigma[:, None] ** 2 + v[h]
        R = exp(-((m[h] - mu[:, None]) ** 2) / (2 * w)) / sqrt(2 * pi * w)                              # 3
        Z_h = V @ R                                                                                     # 4
        Z.append(Z_h)
    #                                                                                               end # 5
    Z = concatenate(Z)                                                                                  # 6
    Z = U.W_o @ Z                                                                                       # 7
    return Z


def infinite_attention(segments, W, U, r, mu, sigma, lam, tau, M, D, v_min, sticky=True):
    B, Y = None, []
    for X, r_X in zip(segments, r):                                                                     # 1
        Y_X = mh_attention(X, X, W, unidirectional(X.shape[1], X.shape[1]))                             # 2
        u = uniform_points(M)                                                                           # 3
        if B is not None:                                                                               # 4
            Q = [P.W_q @ X + P.b_q[:, None] for P in W.heads]                                           # 5
            density = read_density(Q, B, U, v_min)                                                      # 6
            Y_X = Y_X + continuous_attention(B, density, U, mu, sigma)                                  # 7
            if sticky:                                                                                  # 8
                u = sticky_points(density, r_X, D)                                                      # 9
            #                                                                                       end # 10
        #                                                                                           end # 11
        B = memory_update(B, X, u, mu, sigma, lam, tau)                                                 # 12
        Y.append(Y_X)
    #                                                                                               end # 13
    Y = concatenate(Y, axis=1)                                                                          # 14
    return Y


def kl_regulariser(v, sigma_0):
    R = ((v / sigma_0**2 - log(v / sigma_0**2) - 1) / 2).mean()                                         # 1
    return R
