"""MEGABYTE (2305.07185): a decoder of bytes with a large stack of layers that reads patches, and a small one for bytes.

The line numbers are those of `algorithms/long_context/megabyte.py`. Both stacks are the layers of Algorithm 10.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import masks
from ..architectures import d_layers_embedded, self_attend
from ..contracts import algorithm, spell
from ..embedding import embed, within
from ..hyperparameters import DTransformerHyperparameters
from ..initialization import init_d_transformer
from ..linear import affine, aligned, wide
from ..losses import scored
from ..parameters import LayerParameters
from ..tagging import line
from ..validation import require_count, require_fields, require_kind, require_sequence, same_shapes


@dataclass(frozen=True, kw_only=True)
class MegabyteHyperparameters:
    """The sizes of MEGABYTE.

    Attributes:
      N_V: how many bytes there are, 256 unless given. T_max: longest text, in bytes; P divides it. P: bytes in a patch.
      D_G: width of a byte in the global stack, whose rows have width P·D_G. D_L: width of the local stack.
      L_G, L_L: layers of the stacks. H_G, H_L: their heads, which divide P·D_G and D_L.
      d_mlp_G, d_mlp_L: width inside of their MLPs, four times their own unless given.
      epsilon: added to the variance in every layer norm.
    Raises:
      ValueError: names the hyperparameter, its value and what was expected.
    """

    T_max: int
    P: int
    D_G: int
    D_L: int
    L_G: int
    L_L: int
    H_G: int
    H_L: int
    N_V: int = 256
    d_mlp_G: int | None = None
    d_mlp_L: int | None = None
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        name = "MegabyteHyperparameters"
        for field in ("N_V", "T_max", "P", "D_G", "D_L", "H_G", "H_L", "L_G", "L_L"):
            require_count(name, field, getattr(self, field), at_least=0 if field in ("L_G", "L_L") else 1)
        for field in ("d_mlp_G", "d_mlp_L"):
            if getattr(self, field) is not None:
                require_count(name, field, getattr(self, field), at_least=1)
        if self.T_max % self.P:
            raise ValueError(f"{name}: T_max is {self.T_max}, expected a multiple of P = {self.P}")
        for H, of, width in (("H_G", "P·D_G", self.P * self.D_G), ("H_L", "D_L", self.D_L)):
            if width % getattr(self, H):
                raise ValueError(f"{name}: {H} is {getattr(self, H)}, expected a divisor of {of} = {width}")
        _ = self.local_stack  # which checks epsilon

    @property
    def global_stack(self) -> DTransformerHyperparameters:
        """Those of the layers that read patches."""
        return self._stack(self.T_max // self.P, self.P * self.D_G, self.L_G, self.H_G, self.d_mlp_G)

    @property
    def local_stack(self) -> DTransformerHyperparameters:
        """Those of the layers that write the bytes of a patch."""
        return self._stack(self.P, self.D_L, self.L_L, self.H_L, self.d_mlp_L)

    def _stack(self, l_max: int, d_e: int, L: int, H: int, d_mlp: int | None) -> DTransformerHyperparameters:
        # Its vectors are embedded already: what is left of an embedding is one token, and no table of positions.
        return DTransformerHyperparameters(
            l_max=l_max,
            L=L,
            H=H,
            d_e=d_e,
            d_mlp=4 * d_e if d_mlp is None else d_mlp,
            N_V=1,
            table=None,
            tied_embeddings=True,
            epsilon=self.epsilon,
        )


@struct.dataclass
class StackParameters:
    """Lines 4 to 10 of Algorithm 10: `layers`, and `gamma`, `beta` (d_e,) of the last norm."""

    layers: LayerParameters
    gamma: Float[Array, "d_e"]
    beta: Float[Array, "d_e"]


@struct.dataclass
class MegabyteParameters:
    """θ of MEGABYTE.

    Of patches `E_G` (N_V, D_G), `Pos_G` (T_max, D_G), `pad_G` (P, D_G), what stands before the first one, and
    `global_stack`; of bytes `W_GL` (D_L, D_G), `E_L` (N_V, D_L), the unembedding too, `pad_L` (D_L,) and `local_stack`.
    """

    E_G: Float[Array, "N_V D_G"]
    Pos_G: Float[Array, "T_max D_G"]
    pad_G: Float[Array, "P D_G"]
    global_stack: StackParameters
    W_GL: Float[Array, "D_L D_G"]
    E_L: Float[Array, "N_V D_L"]
    pad_L: Float[Array, "D_L"]
    local_stack: StackParameters


def init_megabyte(key: PRNGKeyArray, hyperparameters: MegabyteHyperparameters) -> MegabyteParameters:
    """Random parameters of MEGABYTE: what a byte and what its context add to the local stack's input is of one size."""
    hp, local = hyperparameters, hyperparameters.D_L**-0.5
    of_global, of_local, *keys = jax.random.split(key, 8)

    def stack(key: PRNGKeyArray, of: DTransformerHyperparameters) -> StackParameters:
        theta = init_d_transformer(key, of)
        assert theta.gamma is not None  # there is a last norm, and it has a bias
        assert theta.beta is not None
        return StackParameters(theta.layers, theta.gamma, theta.beta)

    def normal(i: int, scale: float, *shape: int) -> jax.Array:
        return scale * jax.random.normal(keys[i], shape)

    return MegabyteParameters(
        E_G=normal(0, 0.02, hp.N_V, hp.D_G),
        Pos_G=normal(1, 0.02, hp.T_max, hp.D_G),
        pad_G=normal(2, 0.02, hp.P, hp.D_G),
        global_stack=stack(of_global, hp.global_stack),
        W_GL=normal(3, local * hp.D_G**-0.5, hp.D_L, hp.D_G),
        E_L=normal(4, local, hp.N_V, hp.D_L),
        pad_L=normal(5, local, hp.D_L),
        local_stack=stack(of_local, hp.local_stack),
    )


@lru_cache(maxsize=64)
def _expected(hyperparameters: MegabyteHyperparameters) -> Any:
    return jax.eval_shape(partial(init_megabyte, hyperparameters=hyperparameters), jax.random.key(0))


def require_megabyte(function: str, params: Any, hyperparameters: Any) -> MegabyteParameters:
    """Parameters of these hyperparameters as JAX arrays; `TypeError` or `ValueError` if they are others."""
    require_kind(function, "hyperparameters", hyperparameters, MegabyteHyperparameters, made_by="its constructor")
    require_kind(function, "params", params, MegabyteParameters, made_by="init_megabyte")
    expected = _expected(hyperparameters)
    params = require_fields(function, "params", params, may_lack=True)
    if not same_shapes(params, expected):
        found, wanted = (dict(jax.tree_util.tree_leaves_with_path(tree)) for tree in (params, expected))
        for path, like in wanted.items():
            shape = found[path].shape if path in found else None
            if shape != like.shape:
                raise ValueError(
                    f"{function}: params.{spell(path)} has shape {shape}, expected {like.shape} from {hyperparameters}"
                )
        raise ValueError(f"{function}: params have another structure than init_megabyte gives them")
    return params


def _requires(x, params, hyperparameters, lengths, function="megabyte"):
    params, hp = require_megabyte(function, params, hyperparameters), hyperparameters
    x, lengths = require_sequence(function, "x", x, hp.N_V, hp.T_max, lengths)
    if x.shape[-1] % hp.P:
        raise ValueError(
            f"{function}: x has {x.shape[-1]} bytes, expected a multiple of P = {hp.P}: pad it at the end, and say in "
            "`lengths` how many are real"
        )
    return {"x": x, "params": params, "lengths": lengths}


@partial(jax.jit, static_argnames=("hyperparameters",))
def decoder_stack(X: jax.Array, params: StackParameters, hyperparameters: DTransformerHyperparameters) -> jax.Array:
    """Lines 3 to 10 of Algorithm 10 of sequences X (..., l, d_e) that are embedded."""
    return d_layers_embedded(X, params, hyperparameters, self_attend(masks.causal, hyperparameters.attending))[0]


def as_patches(X: jax.Array, P: int) -> jax.Array:
    """X (..., K·P, d), by patch: (..., K, P, d)."""
    return X.reshape(*X.shape[:-2], -1, P, X.shape[-1])


def after(pad: jax.Array, X: jax.Array) -> jax.Array:
    """The rows X (..., n, d) moved by one: `pad` (d,) in place of the first of them, and without the last."""
    first = jnp.broadcast_to(aligned(pad, X), (*X.shape[:-2], 1, X.shape[-1]))
    return jnp.concatenate([first, X[..., :-1, :]], axis=-2)


@algorithm(partial(_requires, function="megabyte_logits"), static=("hyperparameters",))
def megabyte_logits(
    x: Int[Array, "*batch T"],
    params: MegabyteParameters,
    hyperparameters: MegabyteHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch T N_V"]:
    """MEGABYTE up to its softmax: logits (..., T, N_V). Arguments and errors as `megabyte`."""
    P = hyperparameters.P
    T = line(1, "T", x.shape[-1])
    K = line(2, "K", T // P)
    h = line(3, "h", embed(x, params.E_G, params.Pos_G, lengths))
    patches = line(4, "patches", h.reshape(*h.shape[:-2], K, -1))
    G_in = line(5, "G_in", after(params.pad_G.reshape(-1), patches))
    G_out = line(6, "G_out", decoder_stack(G_in, params.global_stack, hyperparameters.global_stack))
    C = line(8, "C", as_patches(G_out.reshape(h.shape), P))
    L_ctx = line(9, "L_ctx", affine(C, params.W_GL))
    e = line(10, "e", after(params.pad_L, as_patches(embed(x, params.E_L, None, lengths), P)))
    L_in = line(11, "L_in", e + L_ctx)
    L_out = line(12, "L_out", decoder_stack(L_in, params.local_stack, hyperparameters.local_stack))
    S = line(13, "S", affine(L_out, params.E_L))
    return S.reshape(*x.shape, -1)


@algorithm(_requires, static=("hyperparameters",))
def megabyte(
    x: Int[Array, "*batch T"],
    params: MegabyteParameters,
    hyperparameters: MegabyteHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch T N_V"]:
    """MEGABYTE: how likely is each byte, after those before it?

    Args:
      x: (..., T) bytes, 1 ≤ T ≤ T_max; P divides T.
      params: `MegabyteParameters`. hyperparameters: `MegabyteHyperparameters`.
      lengths: (...) how many bytes of each right-padded text are real. What stands in the padding is not looked at, and
        the rows of the result that belong to it mean nothing.
    Returns:
      p (..., T, N_V): row t is the estimate of P(x[t] | x[0..t-1]), that of the first byte included. nan where a traced
      byte is out of range.
    Raises:
      TypeError: for parameters or hyperparameters of something else, or bytes that are not integers.
      ValueError: for bytes out of range, a text that is empty, longer than T_max or no multiple of P, or parameters of
        another size.
    """
    return line(14, "p", jax.nn.softmax(megabyte_logits(x, params, hyperparameters, lengths)))


@algorithm(
    lambda params, x, hyperparameters, lengths: _requires(x, params, hyperparameters, lengths, "bits_per_byte"),
    static=("hyperparameters",),
)
def bits_per_byte(
    params: MegabyteParameters,
    x: Int[Array, "*batch T"],
    hyperparameters: MegabyteHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, ""]:
    """The loss: - log₂ P(x[t] | x[0..t-1]), the mean over all real bytes, the first of a text included.

    Arguments and errors as `megabyte`; the parameters come first, to be differentiated.
    """
    log_p = jax.nn.log_softmax(wide(megabyte_logits(x, params, hyperparameters, lengths)))
    line(1, "p", jnp.exp(log_p))
    return line(2, "loss", scored(log_p, x, within(x, lengths), mean=True) / jnp.log(jnp.asarray(2, log_p.dtype)))
