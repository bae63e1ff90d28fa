"""The sizes and inputs that the tests of architectures and of inference share.

The models fix d_attn = d_mid = d_e / H; every other size is a prime of its own.
"""

import dataclasses

import numpy as np

from formal_tx import DTransformerHyperparameters, EDTransformerHyperparameters, ETransformerHyperparameters

SIZES = {"l_max": 11, "H": 3, "d_e": 15, "d_mlp": 7, "N_V": 13}
D = DTransformerHyperparameters(L=2, **SIZES)
E = ETransformerHyperparameters(L=2, d_f=5, **SIZES)
ED = EDTransformerHyperparameters(L_enc=1, L_dec=2, **SIZES)
D_TIED = dataclasses.replace(D, tied_embeddings=True)
E_TIED = dataclasses.replace(E, tied_embeddings=True, d_f=15)
D_PRINTED, E_PRINTED, ED_PRINTED = (dataclasses.replace(hp, epsilon=0.0) for hp in (D, E, ED))


def tokens(seed, *shape):
    """Random token ids."""
    return np.random.default_rng(seed).integers(0, SIZES["N_V"], shape)
