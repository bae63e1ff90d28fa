"""Algorithm 1: Token embedding

The vector that stands for a token.
Input:      v, a token id, 0 <= v < N_V
Output:     e (d_e,), its embedding
Parameters: W_e (d_e, N_V), the token embedding matrix, a column for each token
"""


def token_embedding(v, W_e):
    e = W_e[:, v]                                                                                       # 1
    return e
