"""Algorithm 15: x_hat <- ed_inference(z, theta_hat)

Uses a trained encoder-decoder transformer to predict a sequence.
Input:           z, a list of token ids, 1 <= length(z) <= l_max; theta_hat, trained parameters
Output:          x_hat, a list of token ids that starts with bos_token and ends with eos_token
Hyperparameters: tau > 0, the temperature (E9); sample(q), a token drawn from the distribution q

The printed loop may never end, and W_p has only l_max columns: it also ends once x_hat no longer fits the decoder,
that is at l_max + 1 tokens, and x_hat then has no eos_token (E6). `None` stands for the printed y <- 0, which is no
token when tokens count from 1 (E8).
"""

from .algorithm_08_ed_transformer import ed_transformer
from .algorithm_14_d_inference import choose


def ed_inference(z, theta_hat, tau, sample=choose, epsilon=0):
    N_V, l_max = len(theta_hat.W_u), theta_hat.W_p.shape[1]
    bos_token, eos_token = N_V - 2, N_V - 1
    x_hat = [bos_token]                                                                                 # 1
    y = None                                                                                            # 2
    while y != eos_token and len(x_hat) <= l_max:                                                       # 3
        P = ed_transformer(z, x_hat, theta_hat, epsilon)                                                # 4
        p = P[:, len(x_hat) - 1]                                                                        # 5
        y = sample(p ** (1 / tau) / (p ** (1 / tau)).sum())                                             # 6
        x_hat = [*x_hat, y]                                                                             # 7
    #                                                                                               end # 8
    return x_hat                                                                                        # 9
