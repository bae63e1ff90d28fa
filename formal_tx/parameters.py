"""The parameter pytrees: fields named as in the paper, heads stacked on a leading axis `H`, layers on one `L`."""

import jax
from flax import struct

Array = jax.Array


@struct.dataclass
class AttentionParameters:
    """One head of Algorithm 4: `W_q` (d_attn, d_x), `W_k` (d_attn, d_z), `W_v` (d_out, d_z) and their biases."""

    W_q: Array
    b_q: Array
    W_k: Array
    b_k: Array
    W_v: Array
    b_v: Array


@struct.dataclass
class MHAttentionParameters:
    """Algorithm 5, eq. (4): `heads` stacked on a leading axis H; `W_o` (d_out, H·d_mid), `b_o` (d_out,)."""

    heads: AttentionParameters
    W_o: Array
    b_o: Array


@struct.dataclass
class LayerParameters:
    """A layer of Algorithms 9 and 10, and of the encoder of Algorithm 8; stacked on a leading axis L."""

    attention: MHAttentionParameters
    gamma_1: Array
    beta_1: Array
    W_mlp1: Array
    b_mlp1: Array
    W_mlp2: Array
    b_mlp2: Array
    gamma_2: Array
    beta_2: Array


@struct.dataclass
class DecoderLayerParameters:
    """A layer of the decoder of Algorithm 8; stacked on a leading axis L_dec."""

    self_attention: MHAttentionParameters
    gamma_3: Array
    beta_3: Array
    cross_attention: MHAttentionParameters
    gamma_4: Array
    beta_4: Array
    W_mlp3: Array
    b_mlp3: Array
    W_mlp4: Array
    b_mlp4: Array
    gamma_5: Array
    beta_5: Array


@struct.dataclass
class DTransformerParameters:
    """θ of Algorithm 10: `W_e` (N_V, d_e), `W_p` (l_max, d_e), `layers`, the final norm, `W_u` (N_V, d_e)."""

    W_e: Array
    W_p: Array
    layers: LayerParameters
    gamma: Array
    beta: Array
    W_u: Array | None


@struct.dataclass
class ETransformerParameters:
    """θ of Algorithm 9: as Algorithm 10's, and `W_f` (d_f, d_e), `b_f`; the final norm and `W_u` have width d_f."""

    W_e: Array
    W_p: Array
    layers: LayerParameters
    W_f: Array
    b_f: Array
    gamma: Array
    beta: Array
    W_u: Array | None


@struct.dataclass
class EDTransformerParameters:
    """θ of Algorithm 8: one `W_e` (N_V, d_e) and one `W_p` (l_max, d_e) for both sequences, and no final norm."""

    W_e: Array
    W_p: Array
    encoder: LayerParameters
    decoder: DecoderLayerParameters
    W_u: Array | None
