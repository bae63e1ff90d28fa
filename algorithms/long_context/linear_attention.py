"""Linear attention: Y <- linear_attention(Q, K, V | phi), 2006.16236, equations 4 to 6, 8 to 12 and 16 to 20

The softmax's exp(q k) becomes phi(q) phi(k) for a feature map phi. The keys and values are then summed once, before any
query asks, and the time is in proportion to the length. With a causal mask the sums run along with the queries: the
transformer is a recurrent network, whose state does not grow.
Input:           Q (E, l_x), K (E, l_z), V (D, l_z), a column for each token; causal forms have l_x = l_z
Output:          Y (D, l_x)
Hyperparameters: phi, the feature map, of (E, l) to (n, l), never negative; epsilon >= 0, 1e-6 in the authors' code,
                 which the paper does not have; C, the length of a chunk
Random matrices: Omega (E, m), a random direction in each column

epsilon stands outside of the sum over keys: a query all of whose weights are 0 gets 0 for an answer, not 0/0.
"""

from numpy import arange, array, concatenate, cos, exp, full, linalg, maximum, minimum, outer, sin, sqrt, where, zeros

from ..notation import unidirectional


def elu_plus_one(X):
    """phi(x) = elu(x) + 1, equation 7. The smaller of x and 0 is taken so that exp of the other branch is finite."""
    X_prime = where(X > 0, X + 1, exp(minimum(X, 0)))                                                   # 1
    return X_prime


def favor_features(X, Omega, t=None):
    """2009.14794, lemma 1, with both signs: phi(q) phi(k) has the expectation exp(t q k), t = 1 / sqrt(E)."""
    E, m = Omega.shape
    t = 1 / sqrt(E) if t is None else t
    X = sqrt(t) * X                                                                                     # 1
    U = Omega.T @ X                                                                                     # 2
    r = (X**2).sum(axis=0) / 2                                                                          # 3
    X_prime = concatenate([exp(U - r), exp(-U - r)]) / sqrt(2 * m)                                      # 4
    return X_prime


def fourier_features(X, Omega, s=1.0, t=None):
    """Random Fourier features: phi(q) phi(k) has the expectation exp(-t |q - k|^2 / 2) + s.

    cos may be negative, and so a weight without s: with s >= 1 none is.
    """
    E, m = Omega.shape
    t = 1 / sqrt(E) if t is None else t
    X = sqrt(t) * X                                                                                     # 1
    U = Omega.T @ X                                                                                     # 2
    constant = full((1, X.shape[1]), sqrt(s))
    X_prime = concatenate([cos(U) / sqrt(m), sin(U) / sqrt(m), constant])                               # 3
    return X_prime


def relu_features(X, Omega):
    """2009.14794, generalised attention: the positive part of random projections."""
    X_prime = maximum(Omega.T @ X, 0)                                                                   # 1
    return X_prime


def orthogonal_directions(G, r):
    """Omega (E, m) of orthogonal columns, in groups of E, of which each has the distribution of a normal vector.

    Input: G, normal random matrices (E, E), as many as are needed for m columns, and m lengths r, each distributed as
    the length of a normal vector (E,).
    """
    Q_and_R = [linalg.qr(G_i) for G_i in G]
    # The decomposition is unique, and Q uniformly distributed, if the diagonal of R is positive.
    Q = concatenate([Q * where(R.diagonal() < 0, -1, 1) for Q, R in Q_and_R], axis=1)                   # 1
    Omega = Q[:, : len(r)] * array(r)                                                                   # 2
    return Omega


def linear_attention(Q, K, V, phi=elu_plus_one, epsilon=1e-6, l_real=None):
    """Bidirectional. Of the keys the first l_real are real, all of them unless given; what follows is padding."""
    Q_prime = phi(Q)                                                                                    # 1
    K_prime = phi(K)                                                                                    # 2
    l_real = K.shape[1] if l_real is None else l_real
    K_prime = where(arange(K.shape[1]) < l_real, K_prime, 0)                                            # 3
    S = V @ K_prime.T                                                                                   # 4
    z = K_prime.sum(axis=1)                                                                             # 5
    Y = S @ Q_prime / (z @ Q_prime + epsilon)                                                           # 6
    return Y


def linear_attention_step(q, k, v, state, phi=elu_plus_one, epsilon=1e-6):
    """Equations 18 to 20: the recurrent form, which changes its state: S (D, n) and z (n,), both 0 at first."""
    k_prime = phi(k[:, None])[:, 0]                                                                     # 1
    S = state.S + outer(v, k_prime)                                                                     # 2
    z = state.z + k_prime                                                                               # 3
    q_prime = phi(q[:, None])[:, 0]                                                                     # 4
    y = S @ q_prime / (z @ q_prime + epsilon)                                                           # 5
    state.S, state.z = S, z                                                                             # 6
    return y


def causal_linear_attention(Q, K, V, phi=elu_plus_one, epsilon=1e-6):
    """Equations 9 to 12: token i attends to itself and to those before it."""
    D, l = V.shape
    Q_prime = phi(Q)                                                                                    # 1
    K_prime = phi(K)                                                                                    # 2
    S = zeros((D, len(K_prime)))                                                                        # 3
    z = zeros(len(K_prime))                                                                             # 4
    Y = zeros((D, l))
    for i in range(l):                                                                                  # 5
        S = S + outer(V[:, i], K_prime[:, i])                                                           # 6
        z = z + K_prime[:, i]                                                                           # 7
        Y[:, i] = S @ Q_prime[:, i] / (z @ Q_prime[:, i] + epsilon)                                     # 8
    #                                                                                               end # 9
    return Y


def chunked_linear_attention(Q, K, V, C, phi=elu_plus_one, epsilon=1e-6):
    """The same, C tokens at a time: within a chunk by a masked matrix, from one to the next by the state."""
    D, l = V.shape
    Q_prime = phi(Q)                                                                                    # 1
    K_prime = phi(K)                                                                                    # 2
    S = zeros((D, len(K_prime)))                                                                        # 3
    z = zeros(len(K_prime))                                                                             # 4
    Y = zeros((D, l))
    for i in range(0, l, C):                                                                            # 5
        Q_c, K_c, V_c = Q_prime[:, i : i + C], K_prime[:, i : i + C], V[:, i : i + C]
        A = where(unidirectional(K_c.shape[1], Q_c.shape[1]), K_c.T @ Q_c, 0)                           # 6
        Y_c = (S @ Q_c + V_c @ A) / (z @ Q_c + A.sum(axis=0) + epsilon)                                 # 7
        Y[:, i : i + C] = Y_c
        S = S + V_c @ K_c.T                                                                             # 8
        z = z + K_c.sum(axis=1)                                                                         # 9
    #                                                                                               end # 10
    return Y


def linear_mh_attention(X, Z, W, phi=elu_plus_one, causal=False, epsilon=1e-6):
    """Algorithm 5 with such heads: X (d_x, l_x), Z (d_z, l_z), parameters W as there; causal needs l_x = l_z."""
    attend = causal_linear_attention if causal else linear_attention
    Y = []
    for W_h in W.heads:                                                                                 # 1
        Q = W_h.W_q @ X + W_h.b_q[:, None]                                                              # 2
        K = W_h.W_k @ Z + W_h.b_k[:, None]                                                              # 3
        V = W_h.W_v @ Z + W_h.b_v[:, None]                                                              # 4
        Y_h = attend(Q, K, V, phi=phi, epsilon=epsilon)                                                 # 5
        Y.append(Y_h)
    #                                                                                               end # 6
    Y = concatenate(Y)                                                                                  # 7
    V_tilde = W.W_o @ Y + W.b_o[:, None]                                                                # 8
    return V_tilde
