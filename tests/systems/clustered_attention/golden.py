"""Makes fast_transformers.npz: what the authors' package, pytorch-fast-transformers 0.4.0, computes.

It compiles C++ when it is installed, so it is no dependency of the tests. With it on the path,

    python tests/systems/clustered_attention/golden.py

writes the file anew. Layouts are the package's: (N, L, H, E). Its planes and first positions are drawn again from the
same seeds. Of the seeds those are taken in which no cluster becomes empty: centroids of these are drawn inside of C++.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("fast_transformers.npz")
BITS, CLUSTERS, ITERATIONS, K = 31, 4, 5, 6


def make():
    import torch
    from fast_transformers.attention import ClusteredAttention, ImprovedClusteredAttention
    from fast_transformers.clustering.hamming import cluster
    from fast_transformers.hashing import compute_hashes
    from fast_transformers.masking import FullMask, LengthMask

    torch.manual_seed(0)
    N, L, S, H, E, D = 2, 23, 13, 3, 4, 5
    # Three kinds of queries, each a little off, so that clusters are found.
    kinds = 3 * torch.randn(1, 1, H, 3, E)
    which = torch.randint(3, (N, L, 1))
    Q = kinds.expand(N, L, H, 3, E).gather(3, which[..., None, None].expand(N, L, H, 1, E))[..., 0, :]
    Q = Q + 0.5 * torch.randn(N, L, H, E)
    made = {"Q": Q, "K": torch.randn(N, S, H, E), "V": torch.randn(N, S, H, D)}
    masks = FullMask(L, S), LengthMask(torch.full((N,), L)), LengthMask(torch.full((N,), S))
    options = {"iterations": ITERATIONS, "bits": BITS, "attention_dropout": 0.0}

    def seeded(seed):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002, the generator that the package draws from

    for seed in range(1000):
        seeded(seed)
        planes = torch.empty(BITS, E + 1).normal_()
        first = torch.as_tensor(np.random.choice(L, size=[CLUSTERS], replace=False))  # noqa: NPY002
        hashes = compute_hashes(Q.permute(0, 2, 1, 3).reshape(-1, E).contiguous(), planes).view(N, H, L)
        of_all = []
        for iterations in range(1, ITERATIONS + 1):
            seeded(seed)
            groups, counts = cluster(
                hashes, torch.full((N,), L).int(), clusters=CLUSTERS, iterations=iterations, bits=BITS
            )
            of_all.append(counts)
        if all((counts > 0).all() for counts in of_all):
            break
    made |= {"planes": planes, "first": first, "clusters": groups}
    seeded(seed)
    made["clustered"] = ClusteredAttention(CLUSTERS, **options)(Q, made["K"], made["V"], *masks)
    seeded(seed)
    made["improved"] = ImprovedClusteredAttention(CLUSTERS, topk=K, **options)(Q, made["K"], made["V"], *masks)
    return {name: np.asarray(value.detach()) for name, value in made.items()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **make())
