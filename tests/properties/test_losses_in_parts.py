"""A loss whose logits are made for some positions at a time is the loss: the same value and the same gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    init_d_transformer,
    init_e_transformer,
    init_ed_transformer,
    losses_in_parts,
)
from formal_tx.implementation import attend_with
from formal_tx.losses import d_loss, e_loss, ed_loss
from formal_tx.practice import Practice
from formal_tx.scores import SoftCap

B, LENGTH, N_V = 3, 11, 23
SIZES = {"l_max": LENGTH, "H": 2, "d_e": 8, "d_mlp": 12, "N_V": N_V}
D = DTransformerHyperparameters(L=2, **SIZES)
TIED = DTransformerHyperparameters(L=1, tied_embeddings=True, logit_cap=SoftCap(0.5), logit_scale=0.7, **SIZES)
E = ETransformerHyperparameters(L=2, d_f=10, **SIZES)
ED = EDTransformerHyperparameters(L_enc=1, L_dec=2, **SIZES)
RNG = np.random.default_rng(0)
X, Z = (RNG.integers(N_V - 3, size=(B, LENGTH)) for _ in range(2))
LENGTHS = np.array([11, 4, 7])
SEGMENTS = np.sort(RNG.integers(3, size=(B, LENGTH)), axis=-1)
MASKED = np.where(RNG.random((B, LENGTH)) < 0.4, E.mask_token, X)
SMOOTHED = Practice(label_smoothing=0.2)
LOSSES = {
    "sum": (D, lambda theta: d_loss(theta, X, D)),
    "mean of padded": (D, lambda theta: d_loss(theta, X, D, LENGTHS, mean=True)),
    "segments": (D, lambda theta: d_loss(theta, X, D, segments=SEGMENTS, practice=SMOOTHED)),
    "capped, tied": (TIED, lambda theta: d_loss(theta, X, TIED, mean=True)),
    "one sequence": (D, lambda theta: d_loss(theta, X[0], D)),
    "one position": (D, lambda theta: d_loss(theta, X[:, :2], D)),
    "masked words": (E, lambda theta: e_loss(theta, MASKED, X, E, LENGTHS, mean=True, practice=SMOOTHED)),
    "translation": (ED, lambda theta: ed_loss(theta, Z, X, ED, LENGTHS, LENGTHS[::-1], mean=True)),
}
INITIALISE = {D: init_d_transformer, TIED: init_d_transformer, E: init_e_transformer, ED: init_ed_transformer}


@pytest.fixture(autouse=True, scope="module")
def _few_logits():
    jax.clear_caches()  # what was compiled does not know of another number
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses_in_parts, "LOGITS", 50)
        yield
    jax.clear_caches()


def both(name, dtype=jnp.float64):
    """Value and gradient with all logits at once, and in parts."""
    hp, loss = LOSSES[name]
    theta = jax.tree.map(
        lambda W: jnp.asarray(W, dtype), jax.jit(lambda key: INITIALISE[hp](key, hp))(jax.random.key(0))
    )
    with attend_with("dense"):
        whole = jax.jit(jax.value_and_grad(loss))(theta)
    return whole, jax.jit(jax.value_and_grad(loss))(theta)


SLOW = ("translation", "masked words", "mean of padded")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in LOSSES])
def test_parts_give_the_loss_and_its_gradient(name):
    whole, parts = both(name)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-13)


def test_single_precision_differs_by_rounding():
    whole, parts = both("segments", jnp.float32)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [pytest.param("bfloat16", marks=pytest.mark.slow), "float16"])
def test_half_precision_is_summed_in_single(dtype):
    """The gradient of W_u is a sum over parts, which do not round it: it is as near to the exact one as at once."""
    theta = jax.tree.map(lambda W: W.astype(jnp.float32), init_d_transformer(jax.random.key(0), D))
    exact = jax.jit(jax.grad(lambda theta: d_loss(theta, X, D, mean=True)))(theta).W_u

    def error(**how):
        loss = jax.jit(jax.grad(lambda theta: d_loss(theta, X, D, mean=True, practice=Practice(dtype=dtype))))
        with attend_with(how.get("implementation")):
            found = loss(theta).W_u
        assert found.dtype == jnp.float32
        return np.abs(found - exact).max()

    assert error() < 1.5 * error(implementation="dense")


def test_an_id_that_is_traced_and_out_of_range_gives_nan():
    theta = init_d_transformer(jax.random.key(0), D)
    x = X.copy()
    x[1, 5] = N_V
    value, gradient = jax.jit(jax.value_and_grad(lambda theta, x: d_loss(theta, x, D)))(theta, x)
    assert np.isnan(value)
    assert np.isnan(gradient.W_u).all()


def test_there_never_are_all_logits():
    theta = init_d_transformer(jax.random.key(0), D)

    def program():
        return str(jax.make_jaxpr(jax.grad(lambda theta: d_loss(theta, X, D)))(theta))

    all_of_them = f"{B},{LENGTH},{N_V}]"
    assert all_of_them not in program()
    with attend_with("dense"):
        assert all_of_them in program()


def test_memory_is_that_of_a_part(monkeypatch):
    """GPT-2's vocabulary and 2,048 tokens: 0.4 GB of logits, three times, against a part of 128 MiB, three times."""
    hp = DTransformerHyperparameters(l_max=1024, L=1, H=2, d_e=32, d_mlp=32, N_V=50257)
    theta = jax.eval_shape(lambda key: init_d_transformer(key, hp), jax.random.key(0))
    theta = jax.tree.map(lambda W: jax.ShapeDtypeStruct(W.shape, jnp.float32), theta)
    x = jax.ShapeDtypeStruct((2, 1024), jnp.int32)

    def used():
        gradient = jax.jit(jax.grad(lambda theta, x: d_loss(theta, x, hp)))
        return gradient.lower(theta, x).compile().memory_analysis().temp_size_in_bytes

    monkeypatch.setattr(losses_in_parts, "LOGITS", 2**25)
    parts = used()
    with attend_with("dense"):
        assert parts < 0.5 * used()
    assert parts < 4.5 * 2**25 * 4


def test_sequences_on_two_devices():
    """Each device scores its own sequences: a part has positions of all of them."""
    if jax.device_count() < 2:
        pytest.skip("needs two devices")
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    by_sequence, everywhere = NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())
    theta, x = init_d_transformer(jax.random.key(0), D), np.concatenate([X, Z[:1]])
    step = jax.jit(jax.value_and_grad(lambda theta, x: d_loss(theta, x, D, mean=True)))
    on_one = step(theta, x)
    on_two = step(jax.device_put(theta, everywhere), jax.device_put(x, by_sequence))
    for a, b in zip(jax.tree.leaves(on_one), jax.tree.leaves(on_two), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-13)


def test_it_lowers_for_every_platform():
    theta = init_d_transformer(jax.random.key(0), D)
    gradient = jax.jit(jax.grad(lambda theta, x: d_loss(theta, x, D)))
    exported = jax.export.export(gradient, platforms=["cpu", "cuda", "rocm", "tpu"])(theta, X)
    assert len(exported.platforms) == 4
