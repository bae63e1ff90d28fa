"""Algorithm 9 with its variations: P <- e_transformer(x | theta)

Input:            x, a list of token ids; types, the type of each token
Output:           P (N_V, length(x)), each column a distribution over the vocabulary
Parameters theta: as those of `d_transformer`, and W_s (d_e, N_S), a column for each type of token; W_f (d_f, d_e),
                  b_f (d_f,); norm has width d_f, W_u is (N_V, d_f); norm_x (d_e,) is of the last layer's output
Hyperparameters:  as those of `d_transformer`; here final_norm says whether there is a norm after the last layer

Lines 5 to 8 are one, since it is the placement that says in which order they come.
"""

from numpy import column_stack, inf

from ..algorithm_06_layer_norm import layer_norm
from ..notation import GELU, bidirectional, softmax
from .gated_mlp import mlp as without_gate
from .grouped_attention import as_it_is, grouped_attention
from .norm import of_each_token
from .placement import post
from .window import sliding_window


def e_transformer(
    x,
    types,
    theta,
    epsilon=0,
    norm=layer_norm,
    placement=post,
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
    final_norm=False,
    logit_scale=1,
    logit_cap=as_it_is,
):
    norm = of_each_token(norm, epsilon)
    inner = norm if sub_ln else as_it_is
    l = len(x)                                                                                          # 1
    e = [embedding_scale * theta.W_e[:, x[t]] + theta.W_p[:, t] + theta.W_s[:, types[t]] for t in range(l)]  # 2
    X = column_stack(e)
    X = norm(X, theta.norm_e) if embedding_norm else X                                                  # 3
    for i, W in enumerate(theta.layers):                                                                # 4
        Mask = bidirectional(l, l) & sliding_window(l, l, windows[i % len(windows)])
        attend = lambda X: grouped_attention(X, X, W.attention, Mask, normalise, rotate, scale, score, inner)
        feed = lambda X: mlp(X, W.mlp, sigma, inner)
        X = placement(X, [(attend, W.around_1), (feed, W.around_2)], norm)                              # 8
    #                                                                                               end # 9
    X = norm(X, theta.norm_x) if final_norm else X
    X = sigma(theta.W_f @ X + theta.b_f[:, None])                                                       # 10
    X = norm(X, theta.norm)                                                                             # 11
    P = softmax(logit_cap(logit_scale * (theta.W_u @ X + theta.b_u[:, None])))                          # 12
    return P
