"""Sliding window: a mask for a layer in which a token may attend to those near it alone

Output:          Mask (l_z, l_x), true where |t_x - t_z| < w
Hyperparameters: w >= 1; infinity is no window. Together with eq. (3)'s unidirectional mask a token sees w tokens,
                 itself included: Mistral, every second layer of Gemma 2
"""

from numpy import arange


def sliding_window(l_z, l_x, w):
    Mask = abs(arange(l_x)[None, :] - arange(l_z)[:, None]) < w                                         # 1
    return Mask
