"""Algorithm 13: theta_hat <- d_training(x_1:N_data, theta)

Trains a decoder-only transformer on next-token prediction.
Input:           x, a list of N_data lists of token ids; theta, the initial parameters
Output:          theta_hat, the trained parameters
Hyperparameters: N_epochs; eta > 0, the learning rate; gradient(loss, theta), the method that finds the gradient

The loss is a sum over positions, not a mean, and each sequence makes one update, in the order given. The logarithm
is natural (E30). The chain rule's factor P(x[1]) is not part of the loss: let x[1] be bos_token (E19).
"""

from numpy import log

from .algorithm_10_d_transformer import d_transformer
from .notation import central_differences


def d_training(x, theta, N_epochs, eta, gradient=central_differences, epsilon=0):
    N_data = len(x)
    for i in range(N_epochs):                                                                           # 1
        for n in range(N_data):                                                                         # 2
            l = len(x[n])                                                                               # 3
            P = lambda theta: d_transformer(x[n], theta, epsilon)                                       # 4
            loss = lambda theta: -log(P(theta)[x[n][1:], range(l - 1)]).sum()                           # 5
            theta = theta - eta * gradient(loss, theta)                                                 # 6
    #                                                                                          end, end # 7, 8
    theta_hat = theta                                                                                   # 9
    return theta_hat
