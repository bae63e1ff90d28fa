"""The parameter pytrees: fields named as in the paper, heads stacked on a leading axis `H`, layers on one `L`."""

from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class AttentionParameters:
    """One head of Algorithm 4: `W_q` (d_attn, d_x), `W_k` (d_attn, d_z), `W_v` (d_out, d_z) and their biases."""

    W_q: Float[Array, "*stack d_attn d_x"]
    b_q: Float[Array, "*stack d_attn"]
    W_k: Float[Array, "*stack d_attn d_z"]
    b_k: Float[Array, "*stack d_attn"]
    W_v: Float[Array, "*stack d_out d_z"]
    b_v: Float[Array, "*stack d_out"]


@struct.dataclass
class MHAttentionParameters:
    """Algorithm 5, eq. (4): `heads` stacked on a leading axis H; `W_o` (d_out, H·d_mid), `b_o` (d_out,)."""

    heads: AttentionParameters
    W_o: Float[Array, "*stack d_out H_d_mid"]
    b_o: Float[Array, "*stack d_out"]


@struct.dataclass
class LayerParameters:
    """A layer of Algorithms 9 and 10, and of the encoder of Algorithm 8; stacked on a leading axis L."""

    attention: MHAttentionParameters
    gamma_1: Float[Array, "*stack d_e"]
    beta_1: Float[Array, "*stack d_e"]
    W_mlp1: Float[Array, "*stack d_mlp d_e"]
    b_mlp1: Float[Array, "*stack d_mlp"]
    W_mlp2: Float[Array, "*stack d_e d_mlp"]
    b_mlp2: Float[Array, "*stack d_e"]
    gamma_2: Float[Array, "*stack d_e"]
    beta_2: Float[Array, "*stack d_e"]


@struct.dataclass
class DecoderLayerParameters:
    """A layer of the decoder of Algorithm 8; stacked on a leading axis L_dec."""

    self_attention: MHAttentionParameters
    gamma_3: Float[Array, "*stack d_e"]
    beta_3: Float[Array, "*stack d_e"]
    cross_attention: MHAttentionParameters
    gamma_4: Float[Array, "*stack d_e"]
    beta_4: Float[Array, "*stack d_e"]
    W_mlp3: Float[Array, "*stack d_mlp d_e"]
    b_mlp3: Float[Array, "*stack d_mlp"]
    W_mlp4: Float[Array, "*stack d_e d_mlp"]
    b_mlp4: Float[Array, "*stack d_e"]
    gamma_5: Float[Array, "*stack d_e"]
    beta_5: Float[Array, "*stack d_e"]


@struct.dataclass
class DTransformerParameters:
    """θ of Algorithm 10: `W_e` (N_V, d_e), `W_p` (l_max, d_e), `layers`, the final norm, `W_u` (N_V, d_e)."""

    W_e: Float[Array, "N_V d_e"]
    W_p: Float[Array, "l_max d_e"]
    layers: LayerParameters
    gamma: Float[Array, "d_e"]
    beta: Float[Array, "d_e"]
    W_u: Float[Array, "N_V d_e"] | None


@struct.dataclass
class ETransformerParameters:
    """θ of Algorithm 9: as Algorithm 10's, and `W_f` (d_f, d_e), `b_f`; the final norm and `W_u` have width d_f."""

    W_e: Float[Array, "N_V d_e"]
    W_p: Float[Array, "l_max d_e"]
    layers: LayerParameters
    W_f: Float[Array, "d_f d_e"]
    b_f: Float[Array, "d_f"]
    gamma: Float[Array, "d_f"]
    beta: Float[Array, "d_f"]
    W_u: Float[Array, "N_V d_f"] | None


@struct.dataclass
class EDTransformerParameters:
    """θ of Algorithm 8: one `W_e` (N_V, d_e) and one `W_p` (l_max, d_e) for both sequences, and no final norm."""

    W_e: Float[Array, "N_V d_e"]
    W_p: Float[Array, "l_max d_e"]
    encoder: LayerParameters
    decoder: DecoderLayerParameters
    W_u: Float[Array, "N_V d_e"] | None
