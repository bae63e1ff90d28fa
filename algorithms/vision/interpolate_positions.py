"""Interpolation of positions: W <- interpolate_positions(W_p, M, grid)

Positions of a grid of patches that was not trained on, from those of one that was.
Input:           W_p (d_e, k + M[0] M[1]), the positions of k first tokens, and of the patches, row by row
Output:          W (d_e, k + grid[0] grid[1])
Hyperparameters: M, the trained rows and columns; grid, those wanted; offset, which DINOv2 adds to grid (0.1)

Each feature is a picture of M[0] x M[1], resized by cubic convolution (a = -0.75). The first tokens stay as they are. A
patch beyond the border is taken for the one at the border.
"""

from numpy import column_stack, floor


def cubic(x, a):
    """The kernel of cubic convolution."""
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0


def bicubic(picture, m, i, scale, a=-0.75):
    """Entry i of a row of m numbers, picture(0), ..., picture(m - 1), resized by a scale."""
    s = (i + 0.5) / scale - 0.5                                                                         # 1
    f = int(floor(s))                                                                                   # 2
    return sum(cubic(s - t, a) * picture(min(max(t, 0), m - 1)) for t in range(f - 1, f + 3))           # 3


def interpolate_positions(W_p, M, grid, offset=0):
    k = W_p.shape[1] - M[0] * M[1]
    if tuple(grid) == tuple(M):                                                                         # 1
        return W_p
    scale = [(grid[0] + offset) / M[0], (grid[1] + offset) / M[1]]                                      # 2

    def row(r, j):
        return bicubic(lambda s: W_p[:, k + r * M[1] + s], M[1], j, scale[1])

    W = [W_p[:, t] for t in range(k)]                                                                   # 3
    for i in range(grid[0]):                                                                            # 4
        for j in range(grid[1]):                                                                        # 5
            W.append(bicubic(lambda r: row(r, j), M[0], i, scale[0]))                                   # 6
    W = column_stack(W)                                                                                 # 7
    return W
