"""Algorithm 14: y <- d_inference(x, theta_hat)

Prompts a trained decoder-only transformer.
Input:           x, a prompt, a list of at least one token id (E7); theta_hat, trained parameters
Output:          y, its continuation, a list of l_gen token ids
Hyperparameters: l_gen, with length(x) + l_gen - 1 <= l_max (E5); tau > 0, the temperature (E9);
                 sample(q), a token drawn from the distribution q

It does not stop at eos_token: y always has l_gen tokens (E7). In line 5 y is a token, in line 8 a sequence.
"""

from numpy.random import default_rng

from .algorithm_10_d_transformer import d_transformer


def choose(q):
    """A token drawn from the distribution q (N_V,)."""
    return int(default_rng().choice(len(q), p=q))


def d_inference(x, theta_hat, l_gen, tau, sample=choose, epsilon=0):
    l = len(x)                                                                                          # 1
    for i in range(l_gen):                                                                              # 2
        P = d_transformer(x, theta_hat, epsilon)                                                        # 3
        p = P[:, l + i - 1]                                                                             # 4
        y = sample(p ** (1 / tau) / (p ** (1 / tau)).sum())                                             # 5
        x = [*x, y]                                                                                     # 6
    #                                                                                               end # 7
    y = x[l : l + l_gen]                                                                                # 8
    return y
