"""Makes fast_transformers.npz: what the authors' package, pytorch-fast-transformers 0.4.0, computes.

It compiles C++ when it is installed, so it is no dependency of the tests. With it on the path,

    python tests/systems/linear_attention/golden.py

writes the file anew. Layouts are the package's: (N, L, H, E).
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("fast_transformers.npz")


def make():
    import torch
    from fast_transformers.attention import CausalLinearAttention, LinearAttention
    from fast_transformers.feature_maps import Favor, GeneralizedRandomFeatures, SmoothedRandomFourierFeatures
    from fast_transformers.masking import FullMask, LengthMask, TriangularCausalMask
    from fast_transformers.recurrent.attention import RecurrentLinearAttention

    torch.manual_seed(0)
    N, L, S, H, E, D = 2, 11, 13, 3, 4, 5
    shapes = {"Q": (N, L, H, E), "K": (N, S, H, E), "V": (N, S, H, D), "X": (N, L, H, E)}
    made = {name: torch.randn(shape) for name, shape in shapes.items()}
    Q, K, V, X = made.values()

    lengths = torch.tensor([13, 6])
    made["lengths"] = lengths
    everything = FullMask(L, S)
    made["linear"] = LinearAttention(E)(Q, K, V, everything, LengthMask(torch.full((N,), L)), LengthMask(lengths))

    K, V = K[:, :L], V[:, :L]
    mask, length = TriangularCausalMask(L), LengthMask(torch.full((N,), L))
    made["causal"] = CausalLinearAttention(E)(Q, K, V, mask, length, length)

    step, state = RecurrentLinearAttention(E), None
    answers = []
    for i in range(L):
        y, state = step(Q[:, i], K[:, i], V[:, i], state)
        answers.append(y)
    made |= {"recurrent": torch.stack(answers, 1), "S": state[0], "z": state[1]}

    maps = {
        "favor": Favor(E, n_dims=6, softmax_temp=0.3),
        "fourier": SmoothedRandomFourierFeatures(E, n_dims=7),
        "relu": GeneralizedRandomFeatures(E, n_dims=3),
    }
    for name, feature_map in maps.items():
        feature_map.new_feature_map("cpu")
        made |= {f"Omega_{name}": feature_map.omega, name: feature_map(X)}
    return {name: np.asarray(value.detach()) for name, value in made.items()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **make())
