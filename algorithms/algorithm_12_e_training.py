"""Algorithm 12: theta_hat <- e_training(x_1:N_data, theta)

Trains an encoder-only transformer on masked words.
Input:           x, a list of N_data lists of token ids; theta, the initial parameters
Output:          theta_hat, the trained parameters
Hyperparameters: N_epochs; eta > 0, the learning rate; p_mask in (0, 1), the probability to be masked;
                 random(), a number drawn uniformly from [0, 1), asked once for each token in turn;
                 gradient(loss, theta), the method that finds the gradient

T_tilde is defined by equality with mask_token: a mask_token that the data already holds is in it (E21), and nothing
exempts bos_token and eos_token (E22). The loss is a sum over the masked positions; without any it is 0.
"""

from numpy import log
from numpy.random import default_rng

from .algorithm_09_e_transformer import e_transformer
from .notation import central_differences


def e_training(x, theta, N_epochs, eta, p_mask, random=default_rng().random, gradient=central_differences, epsilon=0):
    N_data = len(x)
    N_V = len(theta.W_u)
    mask_token = N_V - 3
    for i in range(N_epochs):                                                                           # 1
        for n in range(N_data):                                                                         # 2
            l = len(x[n])                                                                               # 3
            x_tilde = [None] * l
            for t in range(l):                                                                          # 4
                x_tilde[t] = mask_token if random() < p_mask else x[n][t]                               # 5
            #                                                                                       end # 6
            T_tilde = [t for t in range(l) if x_tilde[t] == mask_token]                                 # 7
            P = lambda theta: e_transformer(x_tilde, theta, epsilon)                                    # 8
            loss = lambda theta: -sum(log(P(theta)[x[n][t], t]) for t in T_tilde)                       # 9
            theta = theta - eta * gradient(loss, theta)                                                 # 10
    #                                                                                          end, end # 11, 12
    theta_hat = theta                                                                                   # 13
    return theta_hat
