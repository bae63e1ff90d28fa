"""Soft cap: S <- soft_cap(S | c): numbers between -c and c

Input:           S, scores or logits of any shape; scores before they are masked
Output:          S
Hyperparameters: c > 0; Gemma 2 has 50 for scores and 30 for logits
"""

from numpy import tanh


def soft_cap(S, c):
    S = c * tanh(S / c)                                                                                 # 1
    return S
