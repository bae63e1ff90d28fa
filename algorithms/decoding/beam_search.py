"""Beam search: Y <- d_beam_search(x, theta_hat), Y <- ed_beam_search(z, theta_hat)

The likeliest continuations of a prompt x, or the likeliest sequences for a context z, that a search finds.
Input:           x or z, a list of token ids, as in Algorithms 14 and 15; theta_hat, trained parameters
Output:          Y, a list of at most n_best pairs (y, score of y), the best first; y is a list of token ids that ends
                 with eos_token, or has l_gen of them; neither the prompt nor bos_token is part of it
Hyperparameters: l_gen, as in Algorithm 14; beam, how many hypotheses are kept; alpha >= 0; n_best <= beam

A hypothesis is a pair (y, log P(y)). The score is equation 14 of 1609.08144, with eos_token counted in length(y).
Hypotheses that have ended stay as they are and compete with the others, so that a beam of 1 is greedy decoding.
"""

from numpy import log

from ..algorithm_08_ed_transformer import ed_transformer
from ..algorithm_10_d_transformer import d_transformer


def score(hypothesis, alpha):
    """The score of a hypothesis of at least one token."""
    y, log_P = hypothesis
    return log_P / ((5 + len(y)) / 6) ** alpha


def beam_search(distribution, eos_token, l_gen, beam, alpha, n_best=1):
    """Search, given distribution(y), that of the token which follows y."""
    Y = [([], 0.0)]                                                                                     # 1
    for _ in range(l_gen):                                                                              # 2
        candidates = [(y, log_P) for y, log_P in Y if y[-1:] == [eos_token]]                            # 3
        for y, log_P in Y:                                                                              # 4
            if y[-1:] != [eos_token]:                                                                   # 5
                p = distribution(y)                                                                     # 6
                candidates += [([*y, v], log_P + log(p[v])) for v in range(len(p)) if p[v] > 0]         # 7
        #                                                                                           end # 8
        Y = sorted(candidates, key=lambda hypothesis: score(hypothesis, alpha), reverse=True)[:beam]    # 9
    #                                                                                               end # 10
    return [(y, score((y, log_P), alpha)) for y, log_P in Y[:n_best]]                                   # 11


def d_beam_search(x, theta_hat, l_gen, beam, alpha, n_best=1, epsilon=0):
    eos_token = len(theta_hat.W_u) - 1

    def distribution(y):
        return d_transformer([*x, *y], theta_hat, epsilon)[:, -1]

    return beam_search(distribution, eos_token, l_gen, beam, alpha, n_best)


def ed_beam_search(z, theta_hat, l_gen, beam, alpha, n_best=1, epsilon=0):
    bos_token, eos_token = len(theta_hat.W_u) - 2, len(theta_hat.W_u) - 1

    def distribution(y):
        return ed_transformer(z, [bos_token, *y], theta_hat, epsilon)[:, -1]

    return beam_search(distribution, eos_token, l_gen, beam, alpha, n_best)
