"""Activations: what stands between the two matrices of an MLP, for every entry of x; ReLU and GELU are the paper's."""

from numpy import exp, pi, sqrt, tanh, where


def GELU_tanh(x):
    """The approximation of eq. (5) by tanh: GPT-1, GPT-2, GPT-J, Gemma, T5 v1.1."""
    y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))                                        # 1
    return y


def GELU_sigmoid(x):
    """The approximation of eq. (5) by a sigmoid: CLIP."""
    y = x * sigmoid(1.702 * x)                                                                          # 1
    return y


def SiLU(x):
    """Also called swish: Llama, PaLM; with a gate it makes SwiGLU."""
    y = x * sigmoid(x)                                                                                  # 1
    return y


def sigmoid(x):
    """1 / (1 + exp(-x)), written so that exp does not overflow; with a gate it makes the GLU."""
    y = where(x >= 0, 1, exp(-abs(x))) / (1 + exp(-abs(x)))                                             # 1
    return y
