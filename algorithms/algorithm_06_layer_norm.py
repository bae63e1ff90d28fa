"""Algorithm 6: e_hat <- layer_norm(e | gamma, beta)

Normalises the features of one token.
Input:      e (d_e,), a token's activations
Output:     e_hat (d_e,), the normalised activations
Parameters: gamma, beta (d_e,), scale and offset, element by element

As printed there is no epsilon, and a constant e gives 0/0 (E10). Practice adds one inside the root: pass `epsilon`
for that; 0 is the paper. The mean m is a scalar, though it is set in bold (E11).
"""

from numpy import sqrt


def layer_norm(e, gamma, beta, epsilon=0):
    d_e = len(e)
    m = sum(e[i] for i in range(d_e)) / d_e                                                             # 1
    v = sum((e[i] - m) ** 2 for i in range(d_e)) / d_e                                                  # 2
    e_hat = (e - m) / sqrt(v + epsilon) * gamma + beta                                                  # 3
    return e_hat
