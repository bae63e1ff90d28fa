"""What the property tests draw from: seeds, a few fixed shapes, random parameters, and the two editions of the paper.

A strategy draws a seed and NumPy makes the arrays from it: the shapes stay fixed, so that little is compiled, and a
failing example is one number.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import settings
from hypothesis import strategies as st

import algorithms
import formal_tx
from algorithms.notation import GELU, Parameters, softmax
from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    init_attention,
    init_d_transformer,
    init_e_transformer,
    init_ed_transformer,
    init_mh_attention,
    masks,
)
from formal_tx.activations import gelu
from formal_tx.embedding import sinusoidal_positions

TOLERANCE = 1e-10

examples = partial(settings, deadline=None, derandomize=True)
few, some = examples(max_examples=10), examples(max_examples=20)

seeds = st.integers(0, 2**32 - 1)

close = partial(np.testing.assert_allclose, rtol=TOLERANCE, atol=TOLERANCE)


def differ(a, b, by=1e-6):
    """`a` and `b` are not nearly the same."""
    assert np.max(np.abs(np.asarray(a) - np.asarray(b))) > by


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# The models: no two of their dimensions are equal (but H = 3 and ℓ_x = 3), and epsilon is the paper's.

L_Z, L_X = 5, 3
_SIZES = {"l_max": 7, "H": 3, "d_e": 6, "d_mlp": 11, "N_V": 13, "d_attn": 2, "d_mid": 4, "epsilon": 0.0}

D = DTransformerHyperparameters(**_SIZES, L=2)
E = ETransformerHyperparameters(**_SIZES, L=2, d_f=8)
ED = EDTransformerHyperparameters(**_SIZES, L_enc=1, L_dec=2)

_INITIALISE = {
    DTransformerHyperparameters: init_d_transformer,
    ETransformerHyperparameters: init_e_transformer,
    EDTransformerHyperparameters: init_ed_transformer,
}


@cache
def _shapes(init, sizes):
    return jax.eval_shape(lambda key: init(key, **dict(sizes)), jax.random.key(0))


def random_like(seed, shapes):
    """Gaussian arrays in place of `shapes`, nothing trivial: biases and β are not 0, γ is near 1 but not 1."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        noise = rng.normal(size=leaf.shape)
        return 1 + 0.2 * noise if "gamma" in jax.tree_util.keystr(path) else 0.6 * noise

    return jax.tree_util.tree_map_with_path(fill, shapes)


def random_model(seed, hyperparameters):
    """Random parameters of the architecture that `hyperparameters` belong to."""
    init = _INITIALISE[type(hyperparameters)]
    return random_like(seed, _shapes(lambda key, hp, init=init: init(key, hp), (("hp", hyperparameters),)))


def random_head(seed, **sizes):
    return random_like(seed, _shapes(init_attention, tuple(sizes.items())))


def random_heads(seed, **sizes):
    return random_like(seed, _shapes(init_mh_attention, tuple(sizes.items())))


def tokens(seed, *shape, N_V=_SIZES["N_V"]):
    return np.random.default_rng(seed).integers(0, N_V, shape)


def change(seed, x, where, N_V=_SIZES["N_V"]):
    """The tokens `x` with those at `where` replaced by other ones."""
    x = x.copy()
    x[where] = (x[where] + np.random.default_rng(seed).integers(1, N_V, x[where].shape)) % N_V
    return x


def permutation(seed, n):
    return np.random.default_rng(seed).permutation(n)


def stack(trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def pick(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def same_tree(a, b, rtol=TOLERANCE, atol=TOLERANCE):
    """Two pytrees of the same structure whose arrays are close."""
    chex.assert_trees_all_close(a, b, rtol=rtol, atol=atol)


# The two editions, both with a row for each token.

_UNSTACKED = ("heads", "layers", "encoder", "decoder")


def paper_parameters(params):
    """The library's parameters as the pseudocode takes them: lists of heads and layers, tables by columns."""

    def convert(name, value):
        if name in _UNSTACKED:
            return [paper_parameters(pick(value, i)) for i in range(len(jax.tree.leaves(value)[0]))]
        if is_dataclass(value):
            return paper_parameters(value)
        return np.asarray(value).T if name in ("W_e", "W_p") else np.asarray(value)

    present = {f.name: getattr(params, f.name) for f in fields(params) if getattr(params, f.name) is not None}
    return Parameters(**{name: convert(name, value) for name, value in present.items()})


def _paper_attention(f):
    def attend(X, Z, params, mask=masks.full):
        mask = np.asarray(masks.dense(mask, len(X), len(Z)))
        return f(X.T, Z.T, paper_parameters(params), mask.T).T

    return attend


def _by_row(f):
    """`f` of one vector, for the last axis of an array."""
    return lambda e, *args: np.apply_along_axis(lambda row: f(row, *args), -1, e)


def _array(f):
    return lambda *args, **kwargs: np.asarray(f(*args, **kwargs))


def _paper_model(f):
    def model(*args):
        *sequences, params, hyperparameters = args
        return f(*sequences, paper_parameters(params), hyperparameters.epsilon).T

    return model


LIBRARY = SimpleNamespace(
    token_embedding=_array(formal_tx.token_embedding),
    positional_embedding=_array(formal_tx.positional_embedding),
    sinusoidal_positions=_array(sinusoidal_positions),
    softmax=_array(jax.nn.softmax),
    gelu=lambda x: np.asarray(gelu(jnp.asarray(x))),
    single_query=_array(formal_tx.basic_single_query_attention),
    attention=_array(formal_tx.attention),
    mh_attention=_array(formal_tx.mh_attention),
    layer_norm=lambda e, gamma, beta, epsilon=0.0: np.asarray(
        formal_tx.layer_norm(e, gamma, beta, epsilon=np.float64(epsilon))
    ),
    unembedding=_array(formal_tx.unembedding),
    ed_transformer=_array(formal_tx.ed_transformer),
    e_transformer=_array(formal_tx.e_transformer),
    d_transformer=_array(formal_tx.d_transformer),
)

PAPER = SimpleNamespace(
    token_embedding=lambda v, W_e: algorithms.token_embedding(v, W_e.T).T,
    positional_embedding=lambda t, W_p: algorithms.positional_embedding(t, W_p.T).T,
    sinusoidal_positions=lambda l_max, d_e: algorithms.sinusoidal_positions(d_e, l_max).T,
    softmax=lambda A: softmax(np.swapaxes(A, 0, -1)).swapaxes(0, -1),
    gelu=GELU,
    single_query=lambda e, context, params: algorithms.basic_single_query_attention(
        e, list(context), paper_parameters(params)
    ),
    attention=_paper_attention(algorithms.attention),
    mh_attention=_paper_attention(algorithms.mh_attention),
    layer_norm=_by_row(algorithms.layer_norm),
    unembedding=_by_row(algorithms.unembedding),
    ed_transformer=_paper_model(algorithms.ed_transformer),
    e_transformer=_paper_model(algorithms.e_transformer),
    d_transformer=_paper_model(algorithms.d_transformer),
)


# Algorithm 5 says of heads what Algorithm 4 says of one: the properties that carry over (P5.5) are asked of both.


def _head_values(params, Z):
    return Z @ params.W_v.T + params.b_v


def _mixed_values(params, Z):
    values = [_head_values(pick(params.heads, h), Z) for h in range(len(params.heads.W_v))]
    return np.concatenate(values, axis=-1) @ params.W_o.T + params.b_o


def _head_with(params, **changes):
    return params.replace(**changes)


def _heads_with(params, **changes):
    return params.replace(heads=params.heads.replace(**changes))


ATTENTION = SimpleNamespace(
    name="attention",
    draw=lambda seed, d_x, d_z: random_head(seed, d_x=d_x, d_z=d_z, d_attn=2, d_out=4),
    heads=lambda params: params,
    replace=_head_with,
    values=_head_values,
    d_out=4,
)

MH_ATTENTION = SimpleNamespace(
    name="mh_attention",
    draw=lambda seed, d_x, d_z: random_heads(seed, d_x=d_x, d_z=d_z, d_attn=2, d_mid=4, d_out=5, H=3),
    heads=lambda params: params.heads,
    replace=_heads_with,
    values=_mixed_values,
    d_out=5,
)


# The fifteen public functions, each with small arguments: what is true of them all is asked of this table.


class Public(NamedTuple):
    """One of the fifteen, as a function of its arrays alone.

    `draw(seed)` gives these; `floats` are the places of those that it can be differentiated with respect to.
    """

    f: Callable
    draw: Callable
    floats: tuple[int, ...]

    def scalar(self):
        """(the differentiable arguments, the others) -> a number that depends on all of the output, smoothly."""

        def g(floats, others):
            places = iter(floats), iter(others)
            arguments = [next(places[0] if i in self.floats else places[1]) for i in range(self.count)]
            result = self.f(*arguments)
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(result))

        return g

    @property
    def count(self):
        return len(self.draw(0))

    def split(self, arguments):
        """The differentiable arguments, and the others."""
        floats = tuple(arguments[i] for i in self.floats)
        return floats, tuple(a for i, a in enumerate(arguments) if i not in self.floats)


_TINY = {"l_max": 4, "H": 2, "d_e": 3, "d_mlp": 5, "N_V": 7, "d_attn": 2, "d_mid": 2}
TINY_D = DTransformerHyperparameters(**_TINY, L=1)
TINY_E = ETransformerHyperparameters(**_TINY, L=1, d_f=4)
TINY_ED = EDTransformerHyperparameters(**_TINY, L_enc=1, L_dec=1)
_SGD = optax.sgd(0.02)


def _key(seed):
    return jax.random.key_data(jax.random.key(seed))


def _single(seed):
    return normal(seed, 3), normal(seed + 1, 4, 3), random_head(seed, d_x=3, d_z=3, d_attn=2, d_out=5)


def _several(draw_params):
    return lambda seed: (normal(seed, 2, 3), normal(seed + 1, 4, 5), draw_params(seed))


def _ids(seed, *shape):
    return tokens(seed, *shape, N_V=7)


PUBLIC = {
    "token_embedding": Public(formal_tx.token_embedding, lambda s: (_ids(s, 3), normal(s, 7, 2)), (1,)),
    "positional_embedding": Public(formal_tx.positional_embedding, lambda s: (_ids(s, 3), normal(s, 7, 2)), (1,)),
    "basic_single_query_attention": Public(formal_tx.basic_single_query_attention, _single, (0, 1, 2)),
    "attention": Public(
        lambda X, Z, params: formal_tx.attention(X, Z, params, masks.causal),
        _several(lambda seed: random_head(seed, d_x=3, d_z=5, d_attn=2, d_out=4)),
        (0, 1, 2),
    ),
    "mh_attention": Public(
        lambda X, Z, params: formal_tx.mh_attention(X, Z, params, masks.causal),
        _several(lambda seed: random_heads(seed, d_x=3, d_z=5, d_attn=2, d_mid=3, d_out=4, H=2)),
        (0, 1, 2),
    ),
    "layer_norm": Public(
        formal_tx.layer_norm, lambda s: (normal(s, 2, 5), normal(s + 1, 5), normal(s + 2, 5)), (0, 1, 2)
    ),
    "unembedding": Public(formal_tx.unembedding, lambda s: (normal(s, 2, 3), normal(s + 1, 7, 3)), (0, 1)),
    "ed_transformer": Public(
        lambda z, x, params: formal_tx.ed_transformer(z, x, params, TINY_ED),
        lambda seed: (_ids(seed, 2), _ids(seed + 1, 3), random_model(seed, TINY_ED)),
        (2,),
    ),
    "e_transformer": Public(
        lambda x, params: formal_tx.e_transformer(x, params, TINY_E),
        lambda seed: (_ids(seed, 3), random_model(seed, TINY_E)),
        (1,),
    ),
    "d_transformer": Public(
        lambda x, params: formal_tx.d_transformer(x, params, TINY_D),
        lambda seed: (_ids(seed, 3), random_model(seed, TINY_D)),
        (1,),
    ),
    "ed_training": Public(
        lambda z, x, params: formal_tx.ed_training(z, x, params, TINY_ED, epochs=1, optimizer=_SGD),
        lambda seed: (_ids(seed, 2, 2), _ids(seed + 1, 2, 3), random_model(seed, TINY_ED)),
        (2,),
    ),
    "e_training": Public(
        lambda x, params, key: formal_tx.e_training(
            x, params, TINY_E, epochs=1, optimizer=_SGD, mask_probability=0.5, key=key
        ),
        lambda seed: (_ids(seed, 2, 3), random_model(seed, TINY_E), _key(seed)),
        (1,),
    ),
    "d_training": Public(
        lambda x, params: formal_tx.d_training(x, params, TINY_D, epochs=1, optimizer=_SGD),
        lambda seed: (_ids(seed, 2, 3), random_model(seed, TINY_D)),
        (1,),
    ),
    "d_inference": Public(
        lambda x, params, key: formal_tx.d_inference(x, params, TINY_D, length=2, key=key),
        lambda seed: (_ids(seed, 2), random_model(seed, TINY_D), _key(seed)),
        (),
    ),
    "ed_inference": Public(
        lambda z, params, key: formal_tx.ed_inference(z, params, TINY_ED, key=key),
        lambda seed: (_ids(seed, 2), random_model(seed, TINY_ED), _key(seed)),
        (),
    ),
}
