"""Algorithm 10 with its variations: P <- d_transformer(x | theta)

Input:            x, a list of token ids
Output:           P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | x[1:t])
Parameters theta: W_e (d_e, N_V), W_p (d_e, l_max), W_u (N_V, d_e), b_u (N_V,)
                  layers, for each l in [L]: attention, the parameters of grouped attention, and mlp, those of the MLP;
                  around_1 and around_2, those of the placement for each
                  norm_e and norm, each a gamma and a beta (d_e,): of the embeddings, and of line 10
Hyperparameters:  norm, placement, mlp, sigma, normalise, rotate, scale, score, and sub_ln, whether there is a norm
                  inside of the sub-layers: see the files of this folder
                  windows, the widths of the sliding windows of the layers, in turn; infinity is none
                  embedding_scale; embedding_norm and final_norm, whether there are these norms
                  logit_scale; logit_cap, of the logits: `soft_cap`

Lines 5 to 8 are one, since it is the placement that says in which order they come.
"""

from numpy import column_stack, inf

from ..algorithm_06_layer_norm import layer_norm
from ..notation import GELU, softmax, unidirectional
from .gated_mlp import mlp as without_gate
from .grouped_attention import as_it_is, grouped_attention
from .norm import of_each_token
from .placement import pre
from .window import sliding_window


def d_transformer(
    x,
    theta,
    epsilon=0,
    norm=layer_norm,
    placement=pre,
    mlp=without_gate,
    sigma=GELU,
    normalise=as_it_is,
    rotate=as_it_is,
    scale=None,
    score=as_it_is,
    sub_ln=False,
    windows=(inf,),
    embedding_scale=1,
    embedding_norm=False,
    final_norm=True,
    logit_scale=1,
    logit_cap=as_it_is,
):
    norm = of_each_token(norm, epsilon)
    inner = norm if sub_ln else as_it_is
    l = len(x)                                                                                          # 1
    e = [embedding_scale * theta.W_e[:, x[t]] + theta.W_p[:, t] for t in range(l)]                      # 2
    X = column_stack(e)
    X = norm(X, theta.norm_e) if embedding_norm else X                                                  # 3
    for i, W in enumerate(theta.layers):                                                                # 4
        Mask = unidirectional(l, l) & sliding_window(l, l, windows[i % len(windows)])
        attend = lambda X: grouped_attention(X, X, W.attention, Mask, normalise, rotate, scale, score, inner)
        feed = lambda X: mlp(X, W.mlp, sigma, inner)
        X = placement(X, [(attend, W.around_1), (feed, W.around_2)], norm)                              # 8
    #                                                                                               end # 9
    X = norm(X, theta.norm) if final_norm else X                                                        # 10
    P = softmax(logit_cap(logit_scale * (theta.W_u @ X + theta.b_u[:, None])))                          # 11
    return P
