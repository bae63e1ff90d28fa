"""Recurrent Memory Transformer (2207.06881, 2304.11062): m vectors carry what is to be known of a text's segments.

The backbone is a decoder or an encoder as it is, given rows of which some are memory (`d_layers_embedded`,
`e_layers`). A segment is a step of `lax.scan`, computed again in the backward pass: the activations of one segment are
all that is ever stored, and a memory for each.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import masks
from ..architecture_contracts import require_hyperparameters, require_parameters, require_special_tokens
from ..architectures import d_layers_embedded, e_layers, logits_of, positional_table, self_attend
from ..contracts import algorithm
from ..embedding import embed
from ..hyperparameters import DTransformerHyperparameters, ETransformerHyperparameters
from ..initialization import init_d_transformer, init_e_transformer
from ..linear import aligned
from ..parameters import DTransformerParameters, ETransformerParameters
from ..tagging import line
from ..validation import (
    as_arrays,
    require_count,
    require_flags,
    require_floats,
    require_kind,
    require_sequence,
)


@struct.dataclass
class RecurrentMemoryParameters:
    """θ: the `backbone`'s, those of Algorithm 9 or 10, and `M_0` (m, d_e), the memory before the first segment."""

    backbone: Any
    M_0: Float[Array, "m d_e"]


class Encoded(NamedTuple):
    """`cls` (..., d_e): the first row of the last segment. `Y` (..., ℓ, d_e): the tokens. `M` (..., m, d_e)."""

    cls: jax.Array
    Y: jax.Array
    M: jax.Array


def init_recurrent_memory(
    key: PRNGKeyArray, hyperparameters: DTransformerHyperparameters | ETransformerHyperparameters, m: int
) -> RecurrentMemoryParameters:
    """Random parameters with m rows of memory, as spread as the embeddings, each row drawn for itself.

    Rows that begin alike would stay alike, where nothing tells their positions apart.
    """
    m = require_count("init_recurrent_memory", "m", m, at_least=0)
    of_backbone, of_memory = jax.random.split(key)
    if isinstance(hyperparameters, DTransformerHyperparameters):
        backbone: Any = init_d_transformer(of_backbone, hyperparameters)
    else:
        backbone = init_e_transformer(of_backbone, hyperparameters)
    M_0 = jnp.std(backbone.W_e) * jax.random.normal(of_memory, (m, hyperparameters.d_e), backbone.W_e.dtype)
    return RecurrentMemoryParameters(backbone, M_0)


# Masks


def _in_turn(t_x, t_z, m, s, both_ways):
    read = (t_x < m) & (t_z < m)
    write = (t_x >= m + s) & (t_z >= m + s)
    return (t_z <= t_x) | (both_ways & (read | write))


def _keys_in_turn(first, last, l_z, m, s, both_ways):
    end = jnp.where(last >= m + s, l_z, jnp.where(first < m, jnp.maximum(last + 1, m), last + 1))
    return 0, jnp.where(both_ways, end, last + 1)


def memory_mask(m: int, s: int, mem_bidirectional: bool = False) -> masks.Mask:
    """Who sees whom of the decoder's rows: m of memory to read, s tokens, m of memory to write.

    Nothing sees what is behind it; with `mem_bidirectional`, rows of the same memory see each other all the same.
    """
    if not mem_bidirectional:
        return masks.causal
    return masks.Mask(_in_turn, (np.asarray(m), np.asarray(s), np.asarray(True)), _keys_in_turn)


# Recurrence


def _through(n: int, bptt: int | None) -> jax.Array:
    """Whether gradients pass into the memory that a segment reads (n,): at the last `bptt` borders, and into M_0."""
    border = np.arange(n)[::-1]  # how many segments follow
    return jnp.asarray((border < (n if bptt is None else bptt)) | (np.arange(n) == 0))


def recur(
    step: Callable[[jax.Array, Any], tuple[jax.Array, Any]],
    M: jax.Array,
    segments: Any,
    bptt: int | None = None,
    remat: bool = True,
) -> tuple[jax.Array, Any]:
    """Runs `step` over segments, each with the memory that the one before has left.

    Args:
      step: (M, a segment) -> (M, what is wanted of it).
      M: the first memory. segments: a pytree with a leading axis n.
      bptt: through how many borders of segments, the last ones, gradients go; all of them unless given.
      remat: activations of a segment are computed again in the backward pass, not stored.
    Returns:
      The last memory, and what is wanted of each segment, stacked.
    """

    def of_segment(M, segment):
        through, segment = segment
        return step(jnp.where(through, M, lax.stop_gradient(M)), segment)

    n = jax.tree.leaves(segments)[0].shape[0]
    body = jax.checkpoint(of_segment, prevent_cse=False) if remat else of_segment
    return lax.scan(body, M, (_through(n, bptt), segments))


def _first(M: jax.Array | None, M_0: jax.Array, x: jax.Array) -> jax.Array:
    """The memory (..., m, d_e) before the first segment of x (..., ℓ): the one that is given, or M_0."""
    if M is None:
        M = jnp.broadcast_to(M_0.reshape((1,) * (x.ndim - 1) + M_0.shape), (*x.shape[:-1], *M_0.shape))
    return line(2, "M", M)


def _segments(x: jax.Array, s: int) -> jax.Array:
    """(..., ℓ) -> (n, ..., s)."""
    return jnp.moveaxis(x.reshape(*x.shape[:-1], x.shape[-1] // s, s), -2, 0)


def _joined(A: jax.Array) -> jax.Array:
    """(n, ..., s, d) -> (..., n · s, d)."""
    A = jnp.moveaxis(A, 0, -3)
    return A.reshape(*A.shape[:-3], -1, A.shape[-1])


def _placed(H: jax.Array, params: Any, hp: Any, gamma: Any, beta: Any) -> jax.Array:
    """Rows (..., k, d_e) as the backbone has them of tokens: with positions, and normalised if embeddings are."""
    W_p = positional_table(hp, params.W_p, params.W_e, hp.l_max)
    if W_p is not None:
        H = H + aligned(W_p[: H.shape[-2]], H)
    if getattr(hp, "N_S", 0):
        H = H + aligned(params.W_s[0], H)
    return hp.normalise(H, gamma, beta) if hp.embedding_norm else H


# The two variants


_INITIALISED_BY = "init_recurrent_memory"


def _requires(function, x, params, hyperparameters, M, segment, bptt, remat, kind, more):
    """What both variants require; `more` is how many rows there are beside the segment, for m of memory."""
    hp = hyperparameters
    require_kind(function, "params", params, RecurrentMemoryParameters, made_by=_INITIALISED_BY)
    backbone = require_parameters(function, params.backbone, kind, hp)
    (M_0,) = as_arrays(function, **{"params.M_0": params.M_0})
    require_floats(function, **{"params.M_0": M_0})
    if M_0.ndim != 2 or M_0.shape[-1] != hp.d_e:
        raise ValueError(f"{function}: params.M_0 has shape {M_0.shape}, expected (m, d_e) with d_e = {hp.d_e}")
    x, _ = require_sequence(function, "x", x, hp.N_V, max(np.shape(x)[-1:], default=0))
    segment = require_count(function, "segment", segment, at_least=1)
    if x.shape[-1] % segment:
        raise ValueError(f"{function}: segment is {segment}, expected a divisor of ℓ = {x.shape[-1]}")
    k, m = segment + more(len(M_0)), len(M_0)
    if k > hp.l_max:
        raise ValueError(
            f"{function}: a segment of {segment} tokens with m = {m} rows of memory is {k} rows, more than "
            f"l_max = {hp.l_max}"
        )
    if bptt is not None:
        require_count(function, "bptt", bptt, at_least=0)
    require_flags(function, remat=remat)
    params = RecurrentMemoryParameters(backbone, jnp.asarray(M_0))
    expected = (*x.shape[:-1], m, hp.d_e)
    if M is None:
        return {"x": x, "params": params}
    (M,) = as_arrays(function, M=M)
    require_floats(function, M=M)
    if M.shape != expected:
        raise ValueError(
            f"{function}: M has shape {M.shape}, expected (..., m, d_e) = {expected}: that of another model, or of "
            "other sequences?"
        )
    return {"x": x, "params": params, "M": jnp.asarray(M)}


def _decoder_requires(
    x, params, hyperparameters, M, segment, mem_bidirectional, bptt, remat, function="rmt_decoder_logits"
):
    require_hyperparameters(function, hyperparameters, "DTransformerHyperparameters")
    require_flags(function, mem_bidirectional=mem_bidirectional)
    kind = DTransformerParameters
    return _requires(function, x, params, hyperparameters, M, segment, bptt, remat, kind, lambda m: 2 * m)


def _probabilities_require(**arguments):
    return _decoder_requires(**arguments, function="rmt_decoder")


_STATIC = ("hyperparameters", "segment", "mem_bidirectional", "bptt", "remat")


@algorithm(_decoder_requires, static=_STATIC)
def rmt_decoder_logits(
    x: Int[Array, "*batch l"],
    params: RecurrentMemoryParameters,
    hyperparameters: DTransformerHyperparameters,
    M: Float[Array, "*batch m d_e"] | None = None,
    *,
    segment: int,
    mem_bidirectional: bool = False,
    bptt: int | None = None,
    remat: bool = True,
) -> tuple[Float[Array, "*batch l N_V"], Float[Array, "*batch m d_e"]]:
    """`rmt_decoder` up to the softmax: logits (..., ℓ, N_V), and the memory."""
    theta, hp, (m, _), s = params.backbone, hyperparameters, params.M_0.shape, segment
    attend = self_attend(memory_mask(m, s, mem_bidirectional), hp.attending, theta.W_r)

    def step(M, x_tau):
        E = line(4, "E", embed(x_tau, theta.W_e, None, scale=hp.embedding_scale))
        H = line(5, "H", jnp.concatenate([M, E, M], axis=-2))
        H, _ = d_layers_embedded(_placed(H, theta, hp, theta.gamma_e, theta.beta_e), theta, hp, attend)
        H = line(6, "H", H)
        return line(8, "M", H[..., m + s :, :]), logits_of(H[..., m : m + s, :], theta, hp)

    M, logits = recur(step, _first(M, params.M_0, x), _segments(x, s), bptt, remat)
    return _joined(logits), M


@algorithm(_probabilities_require, static=_STATIC)
def rmt_decoder(
    x: Int[Array, "*batch l"],
    params: RecurrentMemoryParameters,
    hyperparameters: DTransformerHyperparameters,
    M: Float[Array, "*batch m d_e"] | None = None,
    *,
    segment: int,
    mem_bidirectional: bool = False,
    bptt: int | None = None,
    remat: bool = True,
) -> tuple[Float[Array, "*batch l N_V"], Float[Array, "*batch m d_e"]]:
    """The decoder variant, 2207.06881: the memory is read in front of a segment, and written behind it.

    Args:
      x: (..., ℓ) token ids; a segment's length divides ℓ.
      params: `RecurrentMemoryParameters` around those of a decoder; M_0 may have no rows.
      hyperparameters: the decoder's; l_max is at least segment + 2m.
      M: (..., m, d_e) the memory that an earlier call returned, to go on with the text; M_0 unless given.
      segment: how many tokens are read at once.
      mem_bidirectional: rows of the memory that is read see each other, and so do those of the one that is written.
      bptt: through how many borders of segments, the last ones, gradients go; all of them unless given, 0 for none.
      remat: activations of a segment are computed again in the backward pass, not stored.
    Returns:
      P (..., ℓ, N_V), and the memory (..., m, d_e) after the last segment. nan from the segment on in which a traced id
      is out of range.
    Raises:
      TypeError: for parameters of another kind, or ids that are not integers.
      ValueError: for a segment that is empty, does not divide or does not fit, a memory of another size, and as
        `d_transformer`.
    """
    options = {"segment": segment, "mem_bidirectional": mem_bidirectional, "bptt": bptt, "remat": remat}
    logits, M = rmt_decoder_logits(x, params, hyperparameters, M, **options)
    return line(10, "P", jax.nn.softmax(logits)), M


def _encoder_requires(x, params, hyperparameters, M, segment, bptt, remat):
    function = "rmt_encoder"
    require_hyperparameters(function, hyperparameters, "ETransformerHyperparameters")
    require_special_tokens(function, hyperparameters, "tokens to begin and to end a segment")
    kind = ETransformerParameters
    return _requires(function, x, params, hyperparameters, M, segment, bptt, remat, kind, lambda m: m + 3)


@algorithm(_encoder_requires, static=("hyperparameters", "segment", "bptt", "remat"))
def rmt_encoder(
    x: Int[Array, "*batch l"],
    params: RecurrentMemoryParameters,
    hyperparameters: ETransformerHyperparameters,
    M: Float[Array, "*batch m d_e"] | None = None,
    *,
    segment: int,
    bptt: int | None = None,
    remat: bool = True,
) -> Encoded:
    """The encoder variant, 2304.11062: rows [CLS; M; SEP; a segment; SEP], all of which see each other.

    What the last layer makes of the memory's rows, after its final norm, is the memory of the next segment, to which
    positions are added as to any embedding (and a norm of the embeddings is applied).

    Args:
      x, M, segment, bptt, remat: as `rmt_decoder`.
      params: `RecurrentMemoryParameters` around those of an encoder. hyperparameters: the encoder's; l_max is at least
        segment + m + 3, CLS its bos_token and SEP its eos_token.
    Returns:
      `Encoded`: the row of CLS in the last segment, to classify the text by, the rows of all tokens, and the memory.
    Raises:
      TypeError, ValueError: as `rmt_decoder`.
    """
    theta, hp, (m, _), s = params.backbone, hyperparameters, params.M_0.shape, segment

    def step(M, x_tau):
        ends = [jnp.full((*x_tau.shape[:-1], 1), token, x_tau.dtype) for token in (hp.bos_token, hp.eos_token)]
        tokens = jnp.concatenate([*ends, x_tau, ends[1]], axis=-1)
        E = line(4, "E", embed(tokens, theta.W_e, None, scale=hp.embedding_scale))
        H = line(5, "H", jnp.concatenate([E[..., :1, :], M, E[..., 1:, :]], axis=-2))
        H = e_layers(_placed(H, theta, hp, theta.gamma_e, theta.beta_e), theta, hp)
        H = line(6, "H", H)
        M, Y = line(7, "M", H[..., 1 : m + 1, :]), line(8, "Y_tau", H[..., m + 2 : m + 2 + s, :])
        return M, (H[..., 0, :], Y)

    M, (cls, Y) = recur(step, _first(M, params.M_0, x), _segments(x, s), bptt, remat)
    return Encoded(cls[-1], _joined(Y), M)
