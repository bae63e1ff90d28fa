"""The parameter pytrees: fields named as in the paper, heads stacked on a leading axis `H`, layers on one `L`.

A field that only a variation has is None by default, and a bias, β or table that a variation lacks is None: what is
None is not computed. `init_d_transformer` and its sisters know which fields go with which hyperparameters.
"""

from typing import NamedTuple

from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class AttentionParameters:
    """One head of Algorithm 4: `W_q` (d_attn, d_x), `W_k` (d_attn, d_z), `W_v` (d_out, d_z) and their biases.

    Stacked heads may share keys and values (grouped-query attention): `W_k` and `W_v` then have H_kv of them, and
    H/H_kv consecutive queries go with each. `gamma_q`, `gamma_k` scale normalised queries and keys: (d_attn,), the same
    for all heads, or (H, d_attn) and (H_kv, d_attn).
    """

    W_q: Float[Array, "*stack d_attn d_x"]
    b_q: Float[Array, "*stack d_attn"] | None
    W_k: Float[Array, "*stack_kv d_attn d_z"]
    b_k: Float[Array, "*stack_kv d_attn"] | None
    W_v: Float[Array, "*stack_kv d_out d_z"]
    b_v: Float[Array, "*stack_kv d_out"] | None
    gamma_q: Float[Array, "*some d_attn"] | None = None
    gamma_k: Float[Array, "*some_kv d_attn"] | None = None


@struct.dataclass
class MHAttentionParameters:
    """Algorithm 5, eq. (4): `heads` stacked on a leading axis H; `W_o` (d_out, H·d_mid), `b_o` (d_out,).

    `gamma`, `beta` (H·d_mid,): the norm of the stacked heads before `W_o`, where the placement has one (sub-LN).
    """

    heads: AttentionParameters
    W_o: Float[Array, "*stack d_out H_d_mid"]
    b_o: Float[Array, "*stack d_out"] | None
    gamma: Float[Array, "*stack H_d_mid"] | None = None
    beta: Float[Array, "*stack H_d_mid"] | None = None


@struct.dataclass
class BranchParameters:
    """What is done to a sub-layer's output before it is added: a norm `gamma`, `beta` (d_e,), a `scale` (d_e,)."""

    gamma: Float[Array, "*stack d_e"] | None = None
    beta: Float[Array, "*stack d_e"] | None = None
    scale: Float[Array, "*stack d_e"] | None = None


class MLPParameters(NamedTuple):
    """A layer's MLP: `W_in` (d_mlp, d_e), `W_out` (d_e, d_mlp); `W_gate` if gated; the norm before `W_out` (sub-LN)."""

    W_in: Float[Array, "*stack d_mlp d_e"]
    b_in: Float[Array, "*stack d_mlp"] | None
    W_out: Float[Array, "*stack d_e d_mlp"]
    b_out: Float[Array, "*stack d_e"] | None
    W_gate: Float[Array, "*stack d_mlp d_e"] | None
    b_gate: Float[Array, "*stack d_mlp"] | None
    gamma: Float[Array, "*stack d_mlp"] | None
    beta: Float[Array, "*stack d_mlp"] | None


@struct.dataclass
class LayerParameters:
    """A layer of Algorithms 9 and 10, and of the encoder of Algorithm 8; stacked on a leading axis L."""

    attention: MHAttentionParameters
    gamma_1: Float[Array, "*stack d_e"] | None
    beta_1: Float[Array, "*stack d_e"] | None
    W_mlp1: Float[Array, "*stack d_mlp d_e"]
    b_mlp1: Float[Array, "*stack d_mlp"] | None
    W_mlp2: Float[Array, "*stack d_e d_mlp"]
    b_mlp2: Float[Array, "*stack d_e"] | None
    gamma_2: Float[Array, "*stack d_e"] | None
    beta_2: Float[Array, "*stack d_e"] | None
    W_gate: Float[Array, "*stack d_mlp d_e"] | None = None
    b_gate: Float[Array, "*stack d_mlp"] | None = None
    gamma_mlp: Float[Array, "*stack d_mlp"] | None = None
    beta_mlp: Float[Array, "*stack d_mlp"] | None = None
    branch_1: BranchParameters | None = None
    branch_2: BranchParameters | None = None

    @property
    def mlp(self) -> MLPParameters:
        """The parameters of its MLP."""
        first, second = (self.W_mlp1, self.b_mlp1), (self.W_mlp2, self.b_mlp2)
        return MLPParameters(*first, *second, self.W_gate, self.b_gate, self.gamma_mlp, self.beta_mlp)


@struct.dataclass
class DecoderLayerParameters:
    """A layer of the decoder of Algorithm 8; stacked on a leading axis L_dec."""

    self_attention: MHAttentionParameters
    gamma_3: Float[Array, "*stack d_e"] | None
    beta_3: Float[Array, "*stack d_e"] | None
    cross_attention: MHAttentionParameters
    gamma_4: Float[Array, "*stack d_e"] | None
    beta_4: Float[Array, "*stack d_e"] | None
    W_mlp3: Float[Array, "*stack d_mlp d_e"]
    b_mlp3: Float[Array, "*stack d_mlp"] | None
    W_mlp4: Float[Array, "*stack d_e d_mlp"]
    b_mlp4: Float[Array, "*stack d_e"] | None
    gamma_5: Float[Array, "*stack d_e"] | None
    beta_5: Float[Array, "*stack d_e"] | None
    W_gate: Float[Array, "*stack d_mlp d_e"] | None = None
    b_gate: Float[Array, "*stack d_mlp"] | None = None
    gamma_mlp: Float[Array, "*stack d_mlp"] | None = None
    beta_mlp: Float[Array, "*stack d_mlp"] | None = None
    branch_3: BranchParameters | None = None
    branch_4: BranchParameters | None = None
    branch_5: BranchParameters | None = None

    @property
    def mlp(self) -> MLPParameters:
        """The parameters of its MLP."""
        first, second = (self.W_mlp3, self.b_mlp3), (self.W_mlp4, self.b_mlp4)
        return MLPParameters(*first, *second, self.W_gate, self.b_gate, self.gamma_mlp, self.beta_mlp)


@struct.dataclass
class DTransformerParameters:
    """θ of Algorithm 10: `W_e` (N_V, d_e), `W_p` (l_max, d_e), `layers`, the final norm, `W_u` (N_V, d_e).

    Variations: `b_u` (N_V,), a bias of the logits; `gamma_e`, `beta_e`, the norm of the embeddings; `W_r` (rows, H),
    the table of a learned score.
    """

    W_e: Float[Array, "N_V d_e"]
    W_p: Float[Array, "l_max d_e"] | None
    layers: LayerParameters
    gamma: Float[Array, "d_e"] | None
    beta: Float[Array, "d_e"] | None
    W_u: Float[Array, "N_V d_e"] | None
    b_u: Float[Array, "N_V"] | None = None
    gamma_e: Float[Array, "d_e"] | None = None
    beta_e: Float[Array, "d_e"] | None = None
    W_r: Float[Array, "rows H"] | None = None


@struct.dataclass
class ETransformerParameters:
    """θ of Algorithm 9: as Algorithm 10's, and `W_f` (d_f, d_e), `b_f`; the final norm and `W_u` have width d_f.

    Variations: as Algorithm 10's; `W_s` (N_S, d_e), the table of token types; `gamma_x`, `beta_x`, a norm after the
    last layer. Without a head there are no `W_f`, `b_f`, `gamma`, `beta` and `W_u`, and without a vocabulary no `W_e`.
    """

    W_e: Float[Array, "N_V d_e"] | None
    W_p: Float[Array, "l_max d_e"] | None
    layers: LayerParameters
    W_f: Float[Array, "d_f d_e"] | None
    b_f: Float[Array, "d_f"] | None
    gamma: Float[Array, "d_f"] | None
    beta: Float[Array, "d_f"] | None
    W_u: Float[Array, "N_V d_f"] | None
    b_u: Float[Array, "N_V"] | None = None
    gamma_e: Float[Array, "d_e"] | None = None
    beta_e: Float[Array, "d_e"] | None = None
    W_r: Float[Array, "rows H"] | None = None
    W_s: Float[Array, "N_S d_e"] | None = None
    gamma_x: Float[Array, "d_e"] | None = None
    beta_x: Float[Array, "d_e"] | None = None


@struct.dataclass
class EDTransformerParameters:
    """θ of Algorithm 8: one `W_e` (N_V, d_e) and one `W_p` (l_max, d_e) for both sequences, and no final norm.

    Variations: `b_u` (N_V,), a bias of the logits; for the encoder and for the decoder each a norm of the embeddings
    (`gamma_ez`, `gamma_ex`), one after the last layer (`gamma_z`, `gamma_x`) and the table of a learned score (`W_rz`,
    `W_rx`); `W_pz` (l_max_z, d_e), the context's own positional table, and `W_ez` (N_V_z, d_e), its own embeddings.
    """

    W_e: Float[Array, "N_V d_e"]
    W_p: Float[Array, "l_max d_e"] | None
    encoder: LayerParameters
    decoder: DecoderLayerParameters
    W_u: Float[Array, "N_V d_e"] | None
    b_u: Float[Array, "N_V"] | None = None
    W_pz: Float[Array, "l_max_z d_e"] | None = None
    gamma_ez: Float[Array, "d_e"] | None = None
    beta_ez: Float[Array, "d_e"] | None = None
    gamma_ex: Float[Array, "d_e"] | None = None
    beta_ex: Float[Array, "d_e"] | None = None
    gamma_z: Float[Array, "d_e"] | None = None
    beta_z: Float[Array, "d_e"] | None = None
    gamma_x: Float[Array, "d_e"] | None = None
    beta_x: Float[Array, "d_e"] | None = None
    W_rz: Float[Array, "rows H"] | None = None
    W_rx: Float[Array, "rows H"] | None = None
    W_ez: Float[Array, "N_V_z d_e"] | None = None
