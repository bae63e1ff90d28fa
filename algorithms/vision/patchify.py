"""Patchify: X <- patchify(I, P)

An image as a sequence of patches.
Input:           I (H, W, C), an image: rows, columns, channels
Output:          X (C P P, n), a column for each of the n = H/P * W/P patches, row by row of the image
Hyperparameters: P, the side of a patch, which divides H and W

A column lists the patch channel by channel, and each channel row by row. So W_e X is a convolution of stride P.
"""

from numpy import column_stack


def patchify(I, P):
    H, W, C = I.shape
    X = []
    for i in range(H // P):                                                                             # 1
        for j in range(W // P):                                                                         # 2
            patch = I[i * P : (i + 1) * P, j * P : (j + 1) * P, :]                                      # 3
            X.append([patch[r, s, c] for c in range(C) for r in range(P) for s in range(P)])            # 4
    X = column_stack(X)                                                                                 # 5
    return X
