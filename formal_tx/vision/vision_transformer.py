"""The Vision Transformer (2010.11929). The line numbers are those of `algorithms/vision/vision_transformer.py`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..architecture_contracts import require_parameters
from ..architectures import e_layers
from ..contracts import algorithm, is_concrete
from ..linear import affine
from ..parameters import ETransformerParameters
from ..tagging import line, reap
from ..validation import as_arrays, require_fields, require_kind, require_shapes
from .parameters import VisionTransformerHyperparameters, VisionTransformerParameters
from .patches import patchify, require_patches
from .positions import interpolate_positions

_NAME = "vision_transformer"


def _requires(I, params, hyperparameters):
    hp = hyperparameters
    if not isinstance(hp, VisionTransformerHyperparameters):
        kind = type(hp).__name__
        raise TypeError(f"{_NAME}: hyperparameters is a {kind}, expected VisionTransformerHyperparameters")
    require_kind(_NAME, "params", params, VisionTransformerParameters, made_by="init_vision_transformer")
    encoder = require_parameters(_NAME, params.encoder, ETransformerParameters, hp.encoder)
    params = require_fields(_NAME, "params", params.replace(encoder=encoder), may_lack=True)
    expected = {
        "W_e": (hp.encoder.d_e, hp.C * hp.P**2),
        "b_e": (hp.encoder.d_e,),
        "X_cls": (hp.N_cls, hp.encoder.d_e),
        "W_p": (hp.N_cls + hp.grid[0] * hp.grid[1], hp.encoder.d_e),
        "X_r": (hp.N_r, hp.encoder.d_e) if hp.N_r else None,
    }
    for name, shape in expected.items():
        found = getattr(getattr(params, name), "shape", None)
        if found != shape:
            raise ValueError(f"{_NAME}: params.{name} has shape {found}, expected {shape} from {hp}")
    return {"I": require_images(_NAME, I, hp), "params": params}


def require_images(function: str, I, hyperparameters: VisionTransformerHyperparameters) -> jax.Array:
    """Images (..., H, W, C) that a model can read.

    Raises:
      TypeError: for pixels that are integers. ValueError: for another number of channels, sizes that are no multiple of
        the patches' and pixels that are not finite.
    """
    (I,) = as_arrays(function, I=I)
    require_shapes(function, I=(I, "... H W C"))
    if not jnp.issubdtype(I.dtype, jnp.floating):
        raise TypeError(
            f"{function}: I has dtype {I.dtype}, expected floating-point pixels, scaled and normalised as in training"
        )
    if I.shape[-1] != hyperparameters.C:
        raise ValueError(f"{function}: I has shape {I.shape}, expected (..., H, W, C) with C = {hyperparameters.C}")
    require_patches(function, I, hyperparameters.P)
    if is_concrete(I):
        bad = np.argwhere(~np.isfinite(np.asarray(I)))
        if len(bad):
            raise ValueError(f"{function}: I{[int(i) for i in bad[0]]} is not finite")
    return jnp.asarray(I)


@algorithm(_requires, static=("hyperparameters",))
def vision_transformer(
    I: Float[Array, "*batch H W C"],
    params: VisionTransformerParameters,
    hyperparameters: VisionTransformerHyperparameters,
) -> Float[Array, "*batch l d_e"]:
    """The encoding of images: Algorithm 9 up to line 9, with norms before its sub-layers, on their patches.

    Args:
      I: (..., H, W, C) images, scaled and normalised; H and W are multiples of P, and need not be those of training.
      params: `VisionTransformerParameters`. hyperparameters: `VisionTransformerHyperparameters`.
    Returns:
      X (..., N_cls + N_r + n, d_e): first tokens, registers, patches row by row.
    Raises:
      TypeError: for parameters of another kind, or pixels that are integers.
      ValueError: for images that do not divide into patches, of other channels, or with pixels that are not finite, and
        for parameters of another size.
    """
    hp = hyperparameters
    grid = (I.shape[-3] // hp.P, I.shape[-2] // hp.P)
    X = line(1, "X", affine(patchify(I, hp.P), params.W_e, params.b_e))
    X = line(2, "X", jnp.concatenate([_for_each(X, params.X_cls), X], axis=-2))
    W_p = interpolate_positions(params.W_p, hp.grid, grid, hp.offset, hp.antialias)
    X = line(3, "X", X + _for_each(X, W_p))
    if params.X_r is not None:
        first, patches = X[..., : hp.N_cls, :], X[..., hp.N_cls :, :]
        X = jnp.concatenate([first, _for_each(X, params.X_r), patches], axis=-2)
    X = line(4, "X", X)
    return line(12, "X", e_layers(X, params.encoder, hp.encoder))


def _for_each(X: jax.Array, rows: jax.Array) -> jax.Array:
    """Rows (k, d_e) for each sequence of X (..., ℓ, d_e)."""
    return jnp.broadcast_to(rows.astype(X.dtype), (*X.shape[:-2], *rows.shape))


@partial(jax.jit, static_argnames=("hyperparameters",))
def _attention_maps(I, params, hyperparameters):
    _, values = reap(vision_transformer)(I, params, hyperparameters)
    return values["A"]


def attention_maps(
    I: Float[Array, "*batch H W C"],
    params: VisionTransformerParameters,
    hyperparameters: VisionTransformerHyperparameters,
) -> Float[Array, "L *batch heads l l"]:
    """What each token attends to, in each layer and head: (L, ..., H, ℓ, ℓ), row t_x over t_z.

    What the first token attends to among the patches is `[layer, ..., head, 0, N_cls + N_r :]`, row by row of the
    image. Arguments and errors as `vision_transformer`.
    """
    prepared = _requires(I, params, hyperparameters)
    return _attention_maps(prepared["I"], prepared["params"], hyperparameters)
