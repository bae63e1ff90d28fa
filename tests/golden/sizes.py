"""The sizes of the golden cases: small, and as different as PyTorch's and Hugging Face's models let them be."""

from formal_tx import DTransformerHyperparameters, EDTransformerHyperparameters, ETransformerHyperparameters

L_X, L_Z = 4, 5
ATTENTION = {"d_x": 3, "d_z": 7, "d_attn": 2, "d_out": 11}
MH_ATTENTION = {"d_x": 6, "d_z": 7, "d_attn": 2, "d_mid": 2, "d_out": 6, "H": 3}
ED = EDTransformerHyperparameters(l_max=7, L_enc=1, L_dec=2, H=3, d_e=6, d_mlp=5, N_V=11)
E = ETransformerHyperparameters(l_max=7, L=2, H=3, d_e=6, d_mlp=5, N_V=11, d_f=5)
D = DTransformerHyperparameters(l_max=7, L=2, H=3, d_e=6, d_mlp=5, N_V=11)
TRAINED = DTransformerHyperparameters(l_max=4, L=1, H=2, d_e=4, d_mlp=3, N_V=5)
EPOCHS, ETA = 2, 0.03
