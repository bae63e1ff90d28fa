"""Speculative sampling: x <- speculative_decoding_step(prefix, M_p, M_q), 2211.17192, algorithm 1

One step of decoding with a model M_p whose tokens are wanted and a smaller one M_q that guesses them.
Input:           prefix, a list of token ids; M_p(x) and M_q(x), each the distribution (N_V,) of the token after x
Output:          the prefix and 1 to gamma + 1 tokens more, distributed as if M_p had drawn each of them
Hyperparameters: gamma >= 1, how many tokens are guessed; random(), a number drawn uniformly from [0, 1);
                 sample(q), a token drawn from the distribution q

In line 7 the paper has r_i > p_i(x) / q_i(x), with r_i from (0, 1). random() may give 0, and then > would accept a
guess of which p_i is 0. Of numbers from [0, 1), >= rejects with probability 1 - p_i(x) / q_i(x). Guesses count from 0.

Where a guess x is rejected p_i(x) < q_i(x), so that p_i > q_i elsewhere: line 10 does not divide 0 by 0.
"""

from numpy import maximum
from numpy.random import default_rng

from ..algorithm_10_d_transformer import d_transformer
from ..algorithm_14_d_inference import choose


def norm(p):
    """The distribution in proportion to p (N_V,)."""
    return p / p.sum()


def speculative_decoding_step(prefix, M_p, M_q, gamma, random=default_rng().random, sample=choose):
    q, x = [None] * gamma, [None] * gamma
    for i in range(gamma):                                                                              # 1
        q[i] = M_q([*prefix, *x[:i]])                                                                   # 2
        x[i] = sample(q[i])                                                                             # 3
    #                                                                                               end # 4
    p = [M_p([*prefix, *x[:i]]) for i in range(gamma + 1)]                                              # 5
    r = [random() for i in range(gamma)]                                                                # 6
    n = min([i for i in range(gamma) if r[i] >= p[i][x[i]] / q[i][x[i]]] + [gamma])                     # 7
    p_prime = p[n]                                                                                      # 8
    if n < gamma:                                                                                       # 9
        p_prime = norm(maximum(0, p[n] - q[n]))                                                         # 10
    #                                                                                               end # 11
    t = sample(p_prime)                                                                                 # 12
    return [*prefix, *x[:n], t]                                                                         # 13


def d_speculate(x, theta_p, theta_q, l_gen, tau, gamma, random=default_rng().random, sample=choose, epsilon=0):
    """Algorithm 14 by such steps: its continuation of x, drawn with theta_p, of which theta_q guesses the tokens."""

    def model(theta):
        def distribution(x):
            return norm(d_transformer(x, theta, epsilon)[:, -1] ** (1 / tau))

        return distribution

    l = len(x)
    while len(x) < l + l_gen:
        x = speculative_decoding_step(x, model(theta_p), model(theta_q), gamma, random, sample)
    return x[l : l + l_gen]
