"""Hierarchical attention (Yang et al., NAACL 2016, N16-1174): which words of a sentence, which sentences of a document?

The line numbers are those of `algorithms/long_context/hierarchical_attention.py`. Its head is that of `heads.py`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..contracts import algorithm, is_concrete
from ..embedding import rows
from ..heads import HeadParameters, classification_logits
from ..linear import affine, softmax, wide
from ..losses import scored
from ..tagging import line
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_count,
    require_fields,
    require_flags,
    require_ids,
    require_kind,
    require_shapes,
)
from .gru import BidirectionalGRUParameters, all_real, bidirectional_gru, init_gru, require_rows


@struct.dataclass
class PoolingParameters:
    """`W` (a, d), `b` (a,), and `u` (a,), the vector that asks what matters."""

    W: Float[Array, "a d"]
    b: Float[Array, "a"]
    u: Float[Array, "a"]


@struct.dataclass
class HierarchicalAttentionParameters:
    """θ: `E` (N_V, e), row 0 of which, the padding's, is not looked at; units and pooling of both levels; the head."""

    E: Float[Array, "N_V e"]
    words: BidirectionalGRUParameters
    word_attention: PoolingParameters
    sentences: BidirectionalGRUParameters
    sentence_attention: PoolingParameters
    classifier: HeadParameters


@struct.dataclass
class Classified:
    """p (..., C) of classes, and what mattered: alpha (..., S, W) of words, beta (..., S) of sentences."""

    p: Float[Array, "*batch C"]
    alpha: Float[Array, "*batch S W"]
    beta: Float[Array, "*batch S"]


def init_hierarchical_attention(
    key: PRNGKeyArray, *, N_V: int, e: int, h: int, a: int, C: int
) -> HierarchicalAttentionParameters:
    """Random parameters for N_V words of width e, h states, a questions asked of a state, and C classes.

    Raises:
      ValueError: for a size that is no integer of at least 1, or of at least 2 for N_V and C.
    """
    for name, size, least in (("N_V", N_V, 2), ("e", e, 1), ("h", h, 1), ("a", a, 1), ("C", C, 2)):
        require_count("init_hierarchical_attention", name, size, at_least=least)
    keys = jax.random.split(key, 8)

    def both(i: int, d: int) -> BidirectionalGRUParameters:
        return BidirectionalGRUParameters(init_gru(keys[i], d=d, h=h), init_gru(keys[i + 1], d=d, h=h))

    def pooling(i: int) -> PoolingParameters:
        of_W, of_u = jax.random.split(keys[i])
        W = (2 * h) ** -0.5 * jax.random.normal(of_W, (a, 2 * h))
        return PoolingParameters(W, jnp.zeros(a), a**-0.5 * jax.random.normal(of_u, (a,)))

    return HierarchicalAttentionParameters(
        E=jax.random.normal(keys[0], (N_V, e)),
        words=both(1, e),
        word_attention=pooling(3),
        sentences=both(4, 2 * h),
        sentence_attention=pooling(6),
        classifier=HeadParameters((2 * h) ** -0.5 * jax.random.normal(keys[7], (C, 2 * h)), jnp.zeros(C)),
    )


def _pooling_requires(H, params, real, projected=False, function="attention_weights"):
    require_kind(function, "params", params, PoolingParameters, made_by="init_hierarchical_attention")
    require_flags(function, projected=projected)
    canonical, axes = require_rows(function, "H", H, real)
    params = require_fields(function, "params", params)
    of_params = {"params.W": (params.W, "a d"), "params.b": (params.b, "a"), "params.u": (params.u, "a")}
    require_shapes(function, **axes, **of_params)
    return canonical | {"params": params}


@algorithm(_pooling_requires)
def attention_weights(
    H: Float[Array, "*batch n d"], params: PoolingParameters, real: Bool[Array, "*batch n"] | None = None
) -> Float[Array, "*batch n"]:
    """How much each row of `H` (..., n, d) matters: weights (..., n) with sum 1, all 0 where no row is `real` (..., n).

    Raises:
      ValueError: if the sizes do not belong together. TypeError: for what are no floating arrays, or a `real` that is
        not boolean.
    """
    real = all_real(H, real)
    U = line(1, "U", jnp.tanh(affine(H, params.W, params.b)))
    e = line(2, "e", jnp.where(real, affine(U, params.u[None])[..., 0], -jnp.inf))
    some = real.any(axis=-1, keepdims=True)
    return line(3, "alpha", jnp.where(some, softmax(jnp.where(some, e, 0)), 0))


@algorithm(partial(_pooling_requires, function="attention_pooling"), static=("projected",))
def attention_pooling(
    H: Float[Array, "*batch n d"],
    params: PoolingParameters,
    real: Bool[Array, "*batch n"] | None = None,
    projected: bool = False,
) -> Float[Array, "*batch d_out"]:
    """The rows of `H` (..., n, d) as one vector, each as much as it matters: (..., d), 0 where no row is real.

    Arguments and errors as `attention_weights`, and one more.

    Args:
      projected: what is weighted is tanh(W h + b), as some implementations have it, and the result (..., a).
    """
    alpha = line(1, "alpha", attention_weights(H, params, real))
    V = line(2, "V", jnp.tanh(affine(H, params.W, params.b)) if projected else H)
    return line(3, "v", (alpha[..., None, :] @ V)[..., 0, :])


def _requires(x, params, projected=False, function="hierarchical_attention"):
    kind = HierarchicalAttentionParameters
    require_kind(function, "params", params, kind, made_by="init_hierarchical_attention")
    require_flags(function, projected=projected)
    (x,) = as_arrays(function, x=x)
    params = require_fields(function, "params", params)
    sizes = require_shapes(function, x=(x, "... S W"), **{"params.E": (params.E, "N_V e")})
    require_at_least_one(function, **{"x": sizes["S"], "a sentence of x": sizes["W"]})
    if len(params.classifier.b) < 2:
        raise ValueError(f"{function}: params.classifier has {len(params.classifier.b)} class, expected at least 2")
    x = require_ids(function, "x", x, sizes["N_V"])
    if is_concrete(x):
        empty = np.argwhere(~(np.asarray(x) > 0).any(axis=(-2, -1)))
        if len(empty):
            raise ValueError(f"{function}: the document at index {empty[0].tolist()} has no word, only padding")
    return {"x": x, "params": params}


def _document(x, params, projected):
    """Lines 1 to 10: documents (..., d), and what mattered of them, alpha (..., S, W) and beta (..., S)."""
    real = line(1, "real", x > 0)
    H_i = line(3, "H_i", bidirectional_gru(rows(params.E, x), params.words, real))
    alpha = line(4, "alpha", attention_weights(H_i, params.word_attention, real))
    s = line(5, "s", attention_pooling(H_i, params.word_attention, real, projected))
    m = line(7, "m", real.any(axis=-1))
    H = line(8, "H", bidirectional_gru(s, params.sentences, m))
    beta = line(9, "beta", attention_weights(H, params.sentence_attention, m))
    d = line(10, "d", attention_pooling(H, params.sentence_attention, m, projected))
    return jnp.where(m.any(axis=-1, keepdims=True), d, jnp.nan), alpha, beta


@algorithm(_requires, static=("projected",))
def hierarchical_attention(
    x: Int[Array, "*batch S W"], params: HierarchicalAttentionParameters, projected: bool = False
) -> Classified:
    """Classifies documents, and says which words and which sentences mattered.

    Args:
      x: (..., S, W) word ids; 0 is padding, of which there may be whole sentences.
      params: `HierarchicalAttentionParameters`.
      projected: as for `attention_pooling`, on both levels: a is then the width of what each level gives to the next.
    Returns:
      `Classified`: p (..., C), alpha (..., S, W), beta (..., S). p is nan where a traced document has no word, or an id
      that is out of range.
    Raises:
      TypeError: for other parameters, or ids that are not integers.
      ValueError: for ids out of range, a document without a word, fewer than two classes, or sizes that do not belong
        together.
    """
    d, alpha, beta = _document(x, params, projected)
    p = line(11, "p", softmax(classification_logits(d, params.classifier)))
    return Classified(p, alpha, beta)


def _loss_requires(params, x, labels, projected):
    name = "hierarchical_attention_loss"
    canonical = _requires(x, params, projected, name)
    (labels,) = as_arrays(name, labels=labels)
    if labels.shape != canonical["x"].shape[:-2]:
        expected = canonical["x"].shape[:-2]
        raise ValueError(f"{name}: labels have shape {labels.shape}, expected {expected}: one for each document")
    labels = require_ids(name, "labels", labels, len(canonical["params"].classifier.b), what="C")
    return canonical | {"labels": labels}


@algorithm(_loss_requires, static=("projected",))
def hierarchical_attention_loss(
    params: HierarchicalAttentionParameters,
    x: Int[Array, "*batch S W"],
    labels: Int[Array, "*batch"],
    projected: bool = False,
) -> Float[Array, ""]:
    """- log p[label], the mean over documents `x` (..., S, W) with labels (...) in [0, C). Errors as above."""
    d, _, _ = _document(x, params, projected)
    log_p = jax.nn.log_softmax(wide(classification_logits(d, params.classifier)))
    log_p, labels = log_p.reshape(-1, log_p.shape[-1]), labels.reshape(-1)
    return scored(log_p, labels, jnp.ones(labels.shape, bool), mean=True)
