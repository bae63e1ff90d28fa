"""Algorithm 5: V_tilde <- mh_attention(X, Z | W, Mask)

Multi-head attention: several heads, stacked and mixed.
Input:           X (d_x, l_x), primary sequence, and Z (d_z, l_z), context sequence: a column for each token
Output:          V_tilde (d_out, l_x)
Parameters W:    heads, for each h in [H] the parameters of Algorithm 4 with d_mid in the place of d_out (eq. 4, E16);
                 W_o (d_out, H d_mid), b_o (d_out,)
Hyperparameters: H, the number of heads; Mask (l_z, l_x), the same for all of them
"""

from numpy import concatenate

from .algorithm_04_attention import attention


def mh_attention(X, Z, W, Mask):
    heads, W_o, b_o = W
    Y = []
    for h in range(len(heads)):                                                                         # 1
        Y_h = attention(X, Z, heads[h], Mask)                                                           # 2
        Y.append(Y_h)
    Y = concatenate(Y, axis=0)                                                                          # 3
    V_tilde = W_o @ Y + b_o[:, None]                                                                    # 4
    return V_tilde
