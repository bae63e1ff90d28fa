"""Algorithm 5 with linear heads, and a decoder of them whose every token takes the same time (2006.16236)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..architecture_contracts import d_requires, require_hyperparameters, require_parameters
from ..architectures import Attend, d_layers, logits_of
from ..attending import AS_PRINTED
from ..attention import join_heads
from ..contracts import algorithm
from ..hyperparameters import DTransformerHyperparameters
from ..linear import affine, aligned, wide
from ..parameters import AttentionParameters, DTransformerParameters, MHAttentionParameters
from ..tagging import line, stacked
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_fields,
    require_flags,
    require_floats,
    require_ids,
    require_kind,
    require_shapes,
)
from .feature_maps import FeatureMap, as_feature_map, elu_plus_one, require_features
from .linear_attention import (
    CHUNK,
    EPSILON,
    LinearState,
    causal_linear_attention,
    continue_linear_attention,
    empty_state,
    linear_attention,
)


def projections(X: jax.Array, Z: jax.Array, heads: AttentionParameters) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Lines 1 to 3 of Algorithm 4 for all heads: queries (..., H, ℓ_x, d_attn), keys, values; shared ones repeated."""
    Q = line(2, "Q", affine(X, heads.W_q, heads.b_q))
    shared = Q.shape[-3] // heads.W_k.shape[0]
    K = line(3, "K", jnp.repeat(affine(Z, heads.W_k, heads.b_k), shared, axis=-3))
    V = line(4, "V", jnp.repeat(affine(Z, heads.W_v, heads.b_v), shared, axis=-3))
    return Q, K, V


def require_mh(function: str, X: Any, Z: Any, params: Any, same_length: bool = False) -> dict[str, Any]:
    """Sequences X (..., ℓ_x, d_x) and Z (..., ℓ_z, d_z), and `MHAttentionParameters` that fit them."""
    X, Z = as_arrays(function, X=X, Z=Z)
    require_kind(function, "params", params, MHAttentionParameters, made_by="init_mh_attention")
    params = require_fields(function, "params", params, may_lack=True)
    heads, l_x, l_z = params.heads, *(("l", "l") if same_length else ("l_x", "l_z"))
    H = heads.W_q.shape[0]
    H_kv = "H_kv" if heads.W_k.ndim == 3 and heads.W_k.shape[0] and not H % heads.W_k.shape[0] else "H"
    axes = {"W_q": "H d_attn d_x", "b_q": "H d_attn", "W_k": f"{H_kv} d_attn d_z", "b_k": f"{H_kv} d_attn"}
    axes |= {"W_v": f"{H_kv} d_mid d_z", "b_v": f"{H_kv} d_mid"}
    given = {name: spelled for name, spelled in axes.items() if getattr(heads, name) is not None}
    sizes = require_shapes(
        function,
        X=(X, f"... {l_x} d_x"),
        Z=(Z, f"... {l_z} d_z"),
        **{f"params.heads.{name}": (getattr(heads, name), spelled) for name, spelled in given.items()},
        **{"params.W_o": (params.W_o, "d_out H·d_mid")},
    )
    if sizes["H·d_mid"] != H * sizes["d_mid"]:
        raise ValueError(
            f"{function}: params.W_o has shape {params.W_o.shape}, expected (d_out, H·d_mid) with H·d_mid = "
            f"{H} × {sizes['d_mid']} = {H * sizes['d_mid']}"
        )
    require_floats(function, X=X, Z=Z)
    require_at_least_one(function, X=sizes[l_x], Z=sizes[l_z])
    require_batch(function, X=X.shape[:-2], Z=Z.shape[:-2])
    return {"X": jnp.asarray(X), "Z": jnp.asarray(Z), "params": params}


def refuse_window(function: str, window: Any) -> None:
    """Raise `ValueError` for a layer with a window: this attention knows no mask."""
    if window is not None:
        raise ValueError(f"{function}: the hyperparameters have windows, expected none: this attention knows no mask")


def require_plain(function: str, hyperparameters: Any) -> None:
    """Raise `ValueError` for variations of softmax attention, which would not be applied."""
    hp = hyperparameters
    if hp.attending != AS_PRINTED or any(window is not None for window in hp.windows):
        names = ("rotate", "score", "scale", "normalise_qk", "windows")
        varied = [name for name in names if name in hp.varied()] or ["placement"]
        raise ValueError(f"{function}: hyperparameters.{varied[0]} changes softmax attention, expected none that does")


def _mh_requires(X, Z, params, feature_map, causal, chunk, epsilon, lengths):
    name = "linear_mh_attention"
    require_flags(name, causal=causal)
    if causal and lengths is not None:
        raise ValueError(f"{name}: lengths are given, expected none where causal: no token sees the padding after it")
    canonical = require_mh(name, X, Z, params, same_length=causal)
    return canonical | {"feature_map": as_feature_map(name, feature_map)}


@algorithm(_mh_requires, static=("causal", "chunk", "epsilon"))
def linear_mh_attention(
    X: Float[Array, "*#batch l_x d_x"],
    Z: Float[Array, "*#batch l_z d_z"],
    params: MHAttentionParameters,
    feature_map: FeatureMap = elu_plus_one,
    causal: bool = False,
    chunk: int | None = CHUNK,
    epsilon: float = EPSILON,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch l_x d_out"]:
    """Algorithm 5 with linear attention in its heads.

    Args:
      X: (..., ℓ_x, d_x) primary sequence. Z: (..., ℓ_z, d_z) context. params: as for `mh_attention`.
      causal: whether token i sees those up to itself alone, which needs ℓ_x = ℓ_z, or everything.
      feature_map, chunk, epsilon: as `causal_linear_attention`.
      lengths: (...) how many tokens of the context are real, where not causal.
    Returns:
      (..., ℓ_x, d_out).
    Raises:
      TypeError, ValueError: as `linear_attention`, and for parameters that do not fit.
    """
    with stacked("heads", axis=-3):
        Q, K, V = projections(X, Z, params.heads)
        if causal:
            Y_h = causal_linear_attention(Q, K, V, feature_map, chunk, epsilon)
        else:
            of_heads = None if lengths is None else lengths[..., None]
            Y_h = linear_attention(Q, K, V, feature_map, epsilon, of_heads)
        Y_h = line(5, "Y_h", Y_h)
    return line(8, "V_tilde", join_heads(Y_h, params))


def linear_attend(
    feature_map: Any = elu_plus_one, *, causal: bool = True, chunk: int | None = CHUNK, epsilon: float = EPSILON
) -> Attend:
    """Linear self-attention for a stack of layers, `d_layers` for one.

    Where the layers carry states, `LinearState` with a leading axis for the layers, their tokens follow those that the
    states are of, and new states are given: for one token, in a time that does not depend on how many there were.
    """

    def attend(X, W, state, window):
        refuse_window("linear_attend", window)
        if state is None:
            return linear_mh_attention(X, X, W, feature_map, causal, chunk, epsilon), None
        if not causal:
            raise ValueError("linear_attend: the layers carry states, expected none: only causal attention has them")
        with stacked("heads", axis=-3):
            Q, K, V = projections(X, X, W.heads)
            Y_h, state = continue_linear_attention(Q, K, V, state, feature_map, chunk, epsilon)
        return join_heads(Y_h, W), state

    return attend


def _logits_requires(x, params, hyperparameters, feature_map, chunk, epsilon):
    name = "d_linear_transformer_logits"
    canonical = d_requires(x, params, hyperparameters, None, function=name)
    require_plain(name, hyperparameters)
    return {"x": canonical["x"], "params": canonical["params"], "feature_map": as_feature_map(name, feature_map)}


@algorithm(_logits_requires, static=("hyperparameters", "chunk", "epsilon"))
def d_linear_transformer_logits(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    feature_map: FeatureMap = elu_plus_one,
    chunk: int | None = CHUNK,
    epsilon: float = EPSILON,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10 with causal linear attention, up to the softmax, in time proportional to ℓ.

    Args:
      x: (..., ℓ) token ids. params, hyperparameters: as for `d_transformer`. The others as `causal_linear_attention`.
    Returns:
      logits (..., ℓ, N_V).
    Raises:
      TypeError, ValueError: as `d_transformer`, and for hyperparameters that change softmax attention.
    """
    attend = linear_attend(feature_map, chunk=chunk, epsilon=epsilon)
    return logits_of(d_layers(x, params, hyperparameters, attend)[0], params, hyperparameters)


def empty_states(
    hyperparameters: DTransformerHyperparameters,
    batch: tuple[int, ...] = (),
    feature_map: Any = elu_plus_one,
    dtype: Any = jnp.float32,
) -> LinearState:
    """The states of a decoder that has read nothing: S (L, ..., H, n, d_mid), z (L, ..., H, n).

    Args:
      batch: the leading axes (...) of the sequences. dtype: that of the parameters.
    Raises:
      TypeError, ValueError: for other hyperparameters than a decoder's, and a feature map that does not fit them.
    """
    name, hp = "empty_states", hyperparameters
    require_hyperparameters(name, hp, "DTransformerHyperparameters")
    phi = as_feature_map(name, feature_map)
    n = require_features(name, phi, K=jnp.zeros((1, hp.d_attn), dtype))
    assert hp.d_mid is not None  # hyperparameters know it once they are made
    return empty_state((hp.L, *batch, hp.H), n, hp.d_mid, wide(jnp.zeros((), dtype)).dtype)


def d_linear_extend(
    x: Int[Array, "*batch n"],
    t: Int[Array, "*#batch"],
    states: LinearState,
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    feature_map: Any = elu_plus_one,
    chunk: int | None = CHUNK,
    epsilon: float = EPSILON,
) -> tuple[Float[Array, "*batch n N_V"], LinearState]:
    """The logits after each of n more tokens, and the states after them: a step for n = 1, a whole prompt for t = 0.

    Memory and the time of a step do not depend on t. Without a table of positions t has no limit.

    Args:
      x: (..., n) ids. t: () or (...) the position of the first of each. states: of the tokens before, as `empty_states`
        or this function gives them. The others as `d_linear_transformer_logits`.
    Returns:
      logits (..., n, N_V), nan where a traced id or position is out of range; and the new states.
    Raises:
      TypeError, ValueError: as `d_linear_transformer_logits`, for a position out of range, and for states of another
        batch or model.
    """
    name, hp = "d_linear_extend", hyperparameters
    require_hyperparameters(name, hp, "DTransformerHyperparameters")
    params = require_parameters(name, params, DTransformerParameters, hp)
    require_plain(name, hp)
    phi = as_feature_map(name, feature_map)
    x, t = as_arrays(name, x=x, t=t)
    if not x.ndim or not x.shape[-1]:
        raise ValueError(f"{name}: x has shape {x.shape}, expected at least one token for each sequence")
    _require_states(name, states, x.shape[:-1], phi, hp, params.W_e.dtype)
    if t.shape not in ((), x.shape[:-1]):
        raise ValueError(
            f"{name}: t has shape {t.shape}, expected () or {x.shape[:-1]}: one position for each sequence"
        )
    limited = params.W_p is not None or hp.table is not None
    last = hp.l_max - x.shape[-1] + 1 if limited else jnp.iinfo(jnp.int32).max
    t = require_ids(name, "t", t, last, what="l_max - n + 1" if limited else "2³¹ - 1")
    return _d_linear_extend(require_ids(name, "x", x, hp.N_V), t, states, params, hp, phi, chunk, epsilon)


@partial(jax.jit, static_argnames=("hyperparameters", "chunk", "epsilon"))
def _d_linear_extend(x, t, states, params, hyperparameters, feature_map, chunk, epsilon):
    positions = jnp.broadcast_to(t[..., None], x.shape) + aligned(jnp.arange(x.shape[-1], dtype=t.dtype), x)
    attend = linear_attend(feature_map, chunk=chunk, epsilon=epsilon)
    X, states = d_layers(x, params, hyperparameters, attend, positions=positions, states=states)
    return logits_of(X, params, hyperparameters), states


def _require_states(function: str, states: Any, batch: tuple[int, ...], phi: FeatureMap, hp: Any, dtype: Any) -> None:
    require_kind(function, "states", states, LinearState, made_by="empty_states")
    expected = jax.eval_shape(lambda: empty_states(hp, batch, phi, dtype))
    for name in ("S", "z"):
        found, wanted = getattr(states, name), getattr(expected, name)
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"{function}: states.{name} has shape {found.shape} and dtype {found.dtype}, expected "
                f"{wanted.shape} and {wanted.dtype}: that of another batch, feature map or model?"
            )
