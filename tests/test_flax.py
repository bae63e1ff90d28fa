"""The three architectures as Flax modules: the pure function inside, parameters both ways, Flax's own tools around."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import formal_tx
from formal_tx.activations import silu
from formal_tx.flax import DTransformer, EDTransformer, ETransformer
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.normalization import rms_norm
from formal_tx.positional import Rotary

SIZES = {"l_max": 7, "H": 2, "d_e": 6, "d_mlp": 5, "N_V": 11}
D = formal_tx.DTransformerHyperparameters(**SIZES, L=2)
LLAMA = formal_tx.DTransformerHyperparameters(
    **SIZES,
    L=2,
    norm=rms_norm,
    activation=silu,
    gated=True,
    biases=NO_BIASES,
    table=None,
    rotate=Rotary(size=2),
    H_kv=1,
)
E = formal_tx.ETransformerHyperparameters(**SIZES, L=1, d_f=3)
ED = formal_tx.EDTransformerHyperparameters(**SIZES, L_enc=1, L_dec=2, tied_embeddings=True)
X = jnp.array([[1, 2, 3, 4], [5, 6, 7, 8]])
MODULES = {
    "d": (DTransformer, D, (X,), formal_tx.d_transformer, formal_tx.d_transformer_logits),
    "llama": (DTransformer, LLAMA, (X,), formal_tx.d_transformer, formal_tx.d_transformer_logits),
    "e": (ETransformer, E, (X,), formal_tx.e_transformer, formal_tx.e_transformer_logits),
    "ed": (EDTransformer, ED, (X[:, :3], X), formal_tx.ed_transformer, formal_tx.ed_transformer_logits),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_the_pure_function(name):
    kind, hyperparameters, ids, f, logits = MODULES[name]
    module = kind(hyperparameters, rngs=nnx.Rngs(0))
    params = module.as_params()
    np.testing.assert_array_equal(module(*ids), f(*ids, params, hyperparameters))
    np.testing.assert_array_equal(module.logits(*ids), logits(*ids, params, hyperparameters))
    np.testing.assert_array_equal(nnx.jit(lambda module: module(*ids))(module), module(*ids))


@pytest.mark.parametrize("name", MODULES)
def test_parameters_go_both_ways(name):
    kind, hyperparameters, *_ = MODULES[name]
    params = kind.initialise(jax.random.key(1), hyperparameters)
    back = kind.from_params(params, hyperparameters).as_params()
    assert jax.tree.structure(back) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_parameters_are_found_by_the_names_of_the_paper():
    module = DTransformer(D, rngs=nnx.Rngs(0))
    assert isinstance(module.layers.attention.heads.W_q, nnx.Param)
    assert module.layers.attention.heads.W_q.shape == (2, 2, 3, 6)
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))
    assert count == sum(leaf.size for leaf in jax.tree.leaves(module.as_params()))


def test_split_and_merge():
    module = DTransformer(D, rngs=nnx.Rngs(0))
    graph, state = nnx.split(module)
    halved = nnx.merge(graph, jax.tree.map(lambda W: W / 2, state))
    np.testing.assert_array_equal(halved.as_params().W_e, module.as_params().W_e / 2)


def test_an_optimizer_of_flax_trains_it():
    module = DTransformer(D, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)

    def loss(module):
        logits = module.logits(X)[:, :-1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, X[:, 1:]).mean()

    @nnx.jit
    def step(module, optimizer):
        value, gradient = nnx.value_and_grad(loss)(module)
        optimizer.update(module, gradient)
        return value

    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
        losses = [float(step(module, optimizer)) for _ in range(60)]
    assert losses[-1] < 0.2 < 2 < losses[0]


def test_either_random_or_given():
    with pytest.raises(TypeError, match="DTransformer: expected either rngs, for random parameters, or params"):
        DTransformer(D)


def test_parameters_of_another_model():
    with pytest.raises(TypeError, match=r"DTransformer: params is a ETransformerParameters, expected DTrans"):
        DTransformer.from_params(formal_tx.init_e_transformer(jax.random.key(0), E), D)
    with pytest.raises(ValueError, match=r"DTransformer: params.W_p has shape \(7, 6\), expected \(8, 6\)"):
        DTransformer.from_params(
            formal_tx.init_d_transformer(jax.random.key(0), D),
            formal_tx.DTransformerHyperparameters(**SIZES | {"l_max": 8}, L=2),
        )
