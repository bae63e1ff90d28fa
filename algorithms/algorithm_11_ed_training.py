"""Algorithm 11: theta_hat <- ed_training(z_1:N_data, x_1:N_data, theta)

Trains an encoder-decoder transformer on pairs.
Input:           z and x, two lists of N_data lists of token ids; theta, the initial parameters
Output:          theta_hat, the trained parameters
Hyperparameters: N_epochs; eta > 0, the learning rate; gradient(loss, theta), the method that finds the gradient

The loss is a sum over positions, not a mean, and each pair makes one update, in the order given. The logarithm is
natural (E30). The chain rule's factor P(x[1]) is not part of the loss: let x[1] be bos_token (E19).
"""

from numpy import log

from .algorithm_08_ed_transformer import ed_transformer
from .notation import central_differences


def ed_training(z, x, theta, N_epochs, eta, gradient=central_differences, epsilon=0):
    N_data = len(x)
    for i in range(N_epochs):                                                                           # 1
        for n in range(N_data):                                                                         # 2
            l = len(x[n])                                                                               # 3
            P = lambda theta: ed_transformer(z[n], x[n], theta, epsilon)                                # 4
            loss = lambda theta: -log(P(theta)[x[n][1:], range(l - 1)]).sum()                           # 5
            theta = theta - eta * gradient(loss, theta)                                                 # 6
    #                                                                                          end, end # 7, 8
    theta_hat = theta                                                                                   # 9
    return theta_hat
