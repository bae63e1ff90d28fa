"""What holds for every Vision Transformer, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formal_tx import ETransformerHyperparameters
from formal_tx.heads import HeadParameters, pool_first_token, pool_mean
from formal_tx.placement import PRE
from formal_tx.vision import (
    VisionTransformerHyperparameters,
    attention_maps,
    init_vision_transformer,
    interpolate_positions,
    patchify,
    resampling_matrix,
    rollout,
    unpatchify,
    vision_transformer,
)

LAYERS = {"l_max": 99, "L": 2, "H": 2, "d_e": 6, "d_mlp": 7, "N_V": 0, "placement": PRE, "final_norm": True}
ENCODER = ETransformerHyperparameters(**LAYERS, head=False, table=None, layer_scale=True)
HP = VisionTransformerHyperparameters(encoder=ENCODER, P=2, grid=(3, 3), C=2, N_r=1)
PARAMS = init_vision_transformer(jax.random.key(0), HP)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


sides = st.integers(1, 4)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(sides, sides, sides, sides, st.integers(0, 2))
def test_patches_are_the_image(P, rows, columns, C, batch):
    I = draw(*(2,) * batch, rows * P, columns * P, C)
    X = patchify(I, P)
    assert X.shape == (*(2,) * batch, rows * columns, C * P * P)
    np.testing.assert_array_equal(unpatchify(X, P, (rows, columns)), I)


def test_the_first_matrix_is_a_convolution():
    I, W = draw(6, 8, 2), draw(5, 2, 2, 2, seed=1)
    expected = jax.lax.conv_general_dilated(I[None], W, (2, 2), "VALID", dimension_numbers=("NHWC", "OIHW", "NHWC"))
    found = np.asarray(patchify(I, 2)) @ W.reshape(5, -1).T
    np.testing.assert_allclose(found, expected.reshape(-1, 5), atol=1e-5)


def test_without_positions_the_order_of_patches_is_not_seen():
    I = draw(6, 6, 2)
    order = np.random.default_rng(1).permutation(9)
    shuffled = unpatchify(patchify(I, 2)[order], 2, (3, 3))
    without = PARAMS.replace(W_p=jnp.zeros_like(PARAMS.W_p))
    X, Y = (vision_transformer(image, without, HP) for image in (I, shuffled))
    np.testing.assert_allclose(X[:2], Y[:2], atol=1e-5)
    np.testing.assert_allclose(X[2:][order], Y[2:], atol=1e-5)
    X, Y = (vision_transformer(image, PARAMS, HP) for image in (I, shuffled))
    assert np.abs(X[0] - Y[0]).max() > 1e-5


def test_layers_that_are_scaled_to_nothing():
    zero = jnp.zeros((2, 6))
    layers = PARAMS.encoder.layers
    layers = layers.replace(branch_1=layers.branch_1.replace(scale=zero), branch_2=layers.branch_2.replace(scale=zero))
    params = PARAMS.replace(encoder=PARAMS.encoder.replace(layers=layers))
    x = PARAMS.X_cls[0] + PARAMS.W_p[0]
    expected = (x - x.mean()) / np.sqrt(x.var() + ENCODER.epsilon)
    for seed in range(2):
        np.testing.assert_allclose(vision_transformer(draw(6, 6, 2, seed=seed), params, HP)[0], expected, atol=1e-5)


def test_a_batch_is_a_loop():
    I = draw(2, 3, 4, 8, 2)
    together = vision_transformer(I, PARAMS, HP)
    assert together.shape == (2, 3, 2 + 8, 6)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(together[i], vision_transformer(I[i], PARAMS, HP), atol=1e-5)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.1]), st.booleans())
def test_resized_constants_are_constant(m, n, offset, antialias):
    R = resampling_matrix(m, n, offset, antialias)
    assert R.shape == (n, m)
    np.testing.assert_allclose(R.sum(axis=1), 1, atol=1e-12)
    if m == n and not offset:
        np.testing.assert_allclose(R, np.eye(n), atol=1e-12)


def test_first_tokens_keep_their_positions():
    W_p = jnp.asarray(draw(11, 6))
    np.testing.assert_array_equal(interpolate_positions(W_p, (3, 3), (5, 2))[:2], W_p[:2])
    assert interpolate_positions(W_p, (3, 3), (3, 3)) is W_p


def test_attention_and_its_rollout():
    I = draw(2, 6, 6, 2)
    A = attention_maps(I, PARAMS, HP)
    assert A.shape == (2, 2, 2, 11, 11)
    np.testing.assert_allclose(A.sum(axis=-1), 1, atol=1e-5)
    one = rollout(A[:, 0], 2)
    assert one.shape == (9,)
    assert float(one.max()) == 1
    assert float(one.min()) >= 0
    np.testing.assert_allclose(rollout(jnp.moveaxis(A, 0, 1), 2)[0], one, atol=1e-6)


def test_a_rollout_of_what_attends_to_itself():
    """The first token hears of patches only from its own row: R is (F + I)/2 then."""
    A = np.tile(np.eye(5, dtype=np.float32), (3, 1, 1, 1))
    A[-1, 0, 0] = [0, 0.5, 0.25, 0.25, 0]
    np.testing.assert_allclose(rollout(A, 1), [1, 0.5, 0.5, 0], atol=1e-6)


def refused(error, match, *arguments):
    with pytest.raises(error, match=match):
        vision_transformer(*arguments)


def test_images_that_are_refused():
    refused(ValueError, r"I has shape \(6, 7, 2\), expected .* multiples of P = 2", draw(6, 7, 2), PARAMS, HP)
    refused(ValueError, r"I has shape \(0, 6, 2\)", draw(0, 6, 2), PARAMS, HP)
    refused(ValueError, r"I has shape \(6, 6, 3\), expected \(..., H, W, C\) with C = 2", draw(6, 6, 3), PARAMS, HP)
    refused(ValueError, r"I has shape \(6, 6\)", draw(6, 6), PARAMS, HP)
    refused(TypeError, "I has dtype uint8, expected floating-point pixels", np.zeros((6, 6, 2), np.uint8), PARAMS, HP)
    for bad in (np.nan, np.inf):
        I = draw(6, 6, 2)
        I[3, 1, 0] = bad
        refused(ValueError, r"I\[3, 1, 0\] is not finite", I, PARAMS, HP)


def test_parameters_that_are_refused():
    I = draw(6, 6, 2)
    refused(ValueError, r"params.W_p has shape \(9, 6\), expected \(10, 6\)", I, PARAMS.replace(W_p=PARAMS.W_p[1:]), HP)
    refused(ValueError, r"params.X_r has shape None, expected \(1, 6\)", I, PARAMS.replace(X_r=None), HP)
    refused(
        TypeError, "params is a ETransformerParameters, expected VisionTransformerParameters", I, PARAMS.encoder, HP
    )
    refused(TypeError, "hyperparameters is a ETransformerHyperparameters", I, PARAMS, ENCODER)
    with pytest.raises(ValueError, match=r"grid is \(3,\), expected the numbers of rows and columns"):
        VisionTransformerHyperparameters(encoder=ENCODER, P=2, grid=(3,))
    with pytest.raises(ValueError, match="P is 0, expected an integer of at least 1"):
        VisionTransformerHyperparameters(encoder=ENCODER, P=0, grid=(3, 3))
    reads_tokens = ETransformerHyperparameters(l_max=4, L=1, H=1, d_e=2, d_mlp=2, N_V=5)
    with pytest.raises(ValueError, match="expected one that reads vectors"):
        VisionTransformerHyperparameters(encoder=reads_tokens, P=2, grid=(3, 3))


def test_rollouts_that_are_refused():
    A = draw(2, 2, 5, 5)
    for arguments, match in (
        ((A, 5), "first is 5, and of 5 tokens"),
        ((A, 0), "first is 0, expected an integer of at least 1"),
        ((A, 1, "median"), "fusion is 'median', expected one of mean, max, min"),
        ((A, 1, "mean", 1.0), r"rho is 1.0, expected a share of at least 0 and less than 1"),
        ((A[..., :4], 1), r"A has shape \(2, 2, 5, 4\)"),
    ):
        with pytest.raises(ValueError, match=match):
            rollout(*arguments)


def test_heads_that_are_refused():
    head = HeadParameters(draw(3, 6), draw(3))
    with pytest.raises(ValueError, match=r"params.W has shape \(3, 6\), expected .* the size that X gives it"):
        pool_first_token(draw(4, 5), head)
    with pytest.raises(TypeError, match="params is a ndarray, expected HeadParameters"):
        pool_first_token(draw(4, 6), draw(3, 6))
    with pytest.raises(ValueError, match=r"lengths are int64 of shape \(3,\), expected integers of shape \(2,\)"):
        pool_mean(draw(2, 4, 5), np.array([1, 2, 3]))
    assert np.isnan(pool_mean(draw(2, 4, 5), np.array([0, 5]))).all()
