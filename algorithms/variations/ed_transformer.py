"""Algorithm 8 with its variations: P <- ed_transformer(z, x | theta)

Input:            z, context, and x, primary sequence: lists of token ids
Output:           P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | x[1:t], z)
Parameters theta: W_e (d_e, N_V), W_p (d_e, l_max), W_u (N_V, d_e), b_u (N_V,); W_ez (d_e, N_V_z) and W_pz
                  (d_e, l_max_z), the tables of the context, which as printed are W_e and W_p
                  encoder, as the layers of `d_transformer`; decoder, for each l in [L_dec]: self_attention and
                  cross_attention, mlp, and around_3, around_4 and around_5
                  norm_ez and norm_ex, each a gamma and a beta (d_e,), of the embeddings; norm_z and norm_x, of what
                  the last layers give
Hyperparameters:  as those of `d_transformer`; score is the encoder's, decoder_score that of the decoder's
                  self-attention; cross-attention knows no positions, and neither it nor a score applies

Windows apply to self-attention. Lines 5 to 8 are one, and so are lines 14 to 19, since it is the placement that says in
which order they come.
"""

from numpy import column_stack, inf

from ..algorithm_06_layer_norm import layer_norm
from ..notation import ReLU, bidirectional, softmax, unidirectional
from .gated_mlp import mlp as without_gate
from .grouped_attention import as_it_is, grouped_attention
from .norm import of_each_token
from .placement import post
from .window import sliding_window


def ed_transformer(
    z,
    x,
    theta,
    epsilon=0,
    norm=layer_norm,
    placement=post,
    mlp=without_gate,
    sigma=ReLU,
    normalise=as_it_is,
    rotate=as_it_is,
    scale=None,
    score=as_it_is,
    decoder_score=as_it_is,
    sub_ln=False,
    windows=(inf,),
    embedding_scale=1,
    embedding_norm=False,
    final_norm=False,
    logit_scale=1,
    logit_cap=as_it_is,
):
    norm = of_each_token(norm, epsilon)
    inner = norm if sub_ln else as_it_is

    # Encode the context sequence
    l_z = len(z)                                                                                        # 1
    e_z = [embedding_scale * theta.W_ez[:, z[t]] + theta.W_pz[:, t] for t in range(l_z)]                # 2
    Z = column_stack(e_z)
    Z = norm(Z, theta.norm_ez) if embedding_norm else Z                                                 # 3
    for i, W in enumerate(theta.encoder):                                                               # 4
        Mask = bidirectional(l_z, l_z) & sliding_window(l_z, l_z, windows[i % len(windows)])
        attend = lambda Z: grouped_attention(Z, Z, W.attention, Mask, normalise, rotate, scale, score, inner)
        feed = lambda Z: mlp(Z, W.mlp, sigma, inner)
        Z = placement(Z, [(attend, W.around_1), (feed, W.around_2)], norm)                              # 8
    #                                                                                               end # 9
    Z = norm(Z, theta.norm_z) if final_norm else Z

    # Decode the primary sequence, conditioning on the context
    l_x = len(x)                                                                                        # 10
    e_x = [embedding_scale * theta.W_e[:, x[t]] + theta.W_p[:, t] for t in range(l_x)]                  # 11
    X = column_stack(e_x)
    X = norm(X, theta.norm_ex) if embedding_norm else X                                                 # 12
    All = bidirectional(l_z, l_x)
    for i, W in enumerate(theta.decoder):                                                               # 13
        Mask = unidirectional(l_x, l_x) & sliding_window(l_x, l_x, windows[i % len(windows)])
        attend = lambda X: grouped_attention(
            X, X, W.self_attention, Mask, normalise, rotate, scale, decoder_score, inner
        )
        ask = lambda X: grouped_attention(
            X, Z, W.cross_attention, All, normalise, scale=scale, inner=inner
        )
        feed = lambda X: mlp(X, W.mlp, sigma, inner)
        X = placement(X, [(attend, W.around_3), (ask, W.around_4), (feed, W.around_5)], norm)           # 19
    #                                                                                               end # 20
    X = norm(X, theta.norm_x) if final_norm else X

    # Derive conditional probabilities and return
    P = softmax(logit_cap(logit_scale * (theta.W_u @ X + theta.b_u[:, None])))                          # 21
    return P
