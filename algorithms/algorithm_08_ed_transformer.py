"""Algorithm 8: P <- ed_transformer(z, x | theta)

The encoder-decoder transformer, the original one.
Input:            z, context, and x, primary sequence: lists of token ids, 1 <= length <= l_max (E4)
Output:           P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | x[1:t], z)
Hyperparameters:  l_max, L_enc, L_dec, H, d_e, d_mlp, and d_attn, d_mid (E27): all are shapes of theta
Parameters theta: W_e (d_e, N_V) and W_p (d_e, l_max), for both sequences
                  encoder, for each l in [L_enc]: attention (Algorithm 5); gamma_1, beta_1, gamma_2, beta_2 (d_e,);
                  W_mlp1 (d_mlp, d_e), b_mlp1 (d_mlp,), W_mlp2 (d_e, d_mlp), b_mlp2 (d_e,)
                  decoder, for each l in [L_dec]: self_attention and cross_attention (Algorithm 5);
                  gamma_3, beta_3, gamma_4, beta_4, gamma_5, beta_5 (d_e,);
                  W_mlp3 (d_mlp, d_e), b_mlp3 (d_mlp,), W_mlp4 (d_e, d_mlp), b_mlp4 (d_e,)
                  W_u (N_V, d_e)

Line 13 prints its loop variable as i, and its body uses l: the loop is over l (E1). MHAttention of one sequence
means that it is its own context (E3). In the masks the context is the row (E28).
"""

from numpy import column_stack

from .algorithm_05_mh_attention import mh_attention
from .algorithm_06_layer_norm import layer_norm
from .notation import ReLU, bidirectional, softmax, unidirectional


def ed_transformer(z, x, theta, epsilon=0):
    W_e, W_p, encoder, decoder, W_u = theta

    # Encode the context sequence
    l_z = len(z)                                                                                        # 1
    e_z = [W_e[:, z[t]] + W_p[:, t] for t in range(l_z)]                                                # 2
    Z = column_stack(e_z)                                                                               # 3
    for W in encoder:                                                                                   # 4
        Z = Z + mh_attention(Z, Z, W.attention, bidirectional(l_z, l_z))                                # 5
        Z = column_stack([layer_norm(Z[:, t], W.gamma_1, W.beta_1, epsilon) for t in range(l_z)])       # 6
        Z = Z + W.W_mlp2 @ ReLU(W.W_mlp1 @ Z + W.b_mlp1[:, None]) + W.b_mlp2[:, None]                   # 7
        Z = column_stack([layer_norm(Z[:, t], W.gamma_2, W.beta_2, epsilon) for t in range(l_z)])       # 8
    #                                                                                               end # 9

    # Decode the primary sequence, conditioning on the context
    l_x = len(x)                                                                                        # 10
    e_x = [W_e[:, x[t]] + W_p[:, t] for t in range(l_x)]                                                # 11
    X = column_stack(e_x)                                                                               # 12
    for W in decoder:                                                                                   # 13
        X = X + mh_attention(X, X, W.self_attention, unidirectional(l_x, l_x))                          # 14
        X = column_stack([layer_norm(X[:, t], W.gamma_3, W.beta_3, epsilon) for t in range(l_x)])       # 15
        X = X + mh_attention(X, Z, W.cross_attention, bidirectional(l_z, l_x))                          # 16
        X = column_stack([layer_norm(X[:, t], W.gamma_4, W.beta_4, epsilon) for t in range(l_x)])       # 17
        X = X + W.W_mlp4 @ ReLU(W.W_mlp3 @ X + W.b_mlp3[:, None]) + W.b_mlp4[:, None]                   # 18
        X = column_stack([layer_norm(X[:, t], W.gamma_5, W.beta_5, epsilon) for t in range(l_x)])       # 19
    #                                                                                               end # 20

    # Derive conditional probabilities and return
    P = softmax(W_u @ X)                                                                                # 21
    return P
