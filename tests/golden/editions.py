"""Parameters for tests: random ones, those of a closed rule, and the way from the library's form to the paper's."""

import itertools
from dataclasses import fields, is_dataclass

import jax
import numpy as np

import formal_tx
from algorithms.notation import Parameters
from formal_tx import (
    AttentionParameters,
    DecoderLayerParameters,
    DTransformerHyperparameters,
    DTransformerParameters,
    EDTransformerHyperparameters,
    EDTransformerParameters,
    ETransformerHyperparameters,
    ETransformerParameters,
    LayerParameters,
    MHAttentionParameters,
)

INITIALISE = {
    DTransformerHyperparameters: formal_tx.init_d_transformer,
    ETransformerHyperparameters: formal_tx.init_e_transformer,
    EDTransformerHyperparameters: formal_tx.init_ed_transformer,
}
STACKED = ("heads", "layers", "encoder", "decoder")  # on a leading axis in the library, a list in the paper's form
BY_ROWS = ("W_e", "W_p")  # a row for each token or position in the library, a column in the paper


def assert_agree(actual, expected, tolerance, scale=None):
    """Equal shapes, and no difference above `tolerance` times the largest magnitude expected (or `scale`)."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    error = np.abs(actual - expected).max()
    assert error <= tolerance * (np.abs(expected).max() if scale is None else scale)  # false for nan


def named(params):
    """The arrays of a pytree of parameters, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


def unnamed(arrays, like):
    """The inverse of `named`, in the form of the pytree `like`."""
    names = named(jax.tree.map(lambda leaf: np.empty(leaf.shape), like))
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])


def shapes(init, *args, **sizes):
    """The form of the parameters that one of the library's `init_…` functions makes."""
    return jax.eval_shape(lambda key: init(key, *args, **sizes), jax.random.key(0))


def random_parameters(form, seed, dtype="float64"):
    """Parameters of a form (hyperparameters, or what `shapes` gives) in which nothing is 0 or 1: γ, β, biases too."""
    rng = np.random.default_rng(seed)
    if type(form) in INITIALISE:
        form = shapes(INITIALISE[type(form)], form)

    def draw(path, leaf):
        name, noise = path[-1].name, rng.normal(size=leaf.shape)
        if name.startswith("gamma"):
            noise = 1 + 0.3 * noise
        elif name.startswith(("b_", "beta")):
            noise = 0.3 * noise
        elif name not in BY_ROWS:
            noise = 1.5 * noise / leaf.shape[-1] ** 0.5
        return noise.astype(dtype)

    return jax.tree_util.tree_map_with_path(draw, form)


def paper_form(params):
    """A set of the library's parameters as `algorithms/` takes it: lists of heads and layers, tables by columns."""
    if not is_dataclass(params):
        return np.array(params, np.float64)
    parts = {}
    for name in (field.name for field in fields(params)):
        part = getattr(params, name)
        if part is None and name == "W_u":  # tied embeddings: the unembedding matrix is W_e
            part = params.W_e
        if part is None:  # of a variation
            continue
        if name in STACKED:
            count = len(jax.tree.leaves(part)[0])
            parts[name] = [paper_form(jax.tree.map(lambda a, i=i: a[i], part)) for i in range(count)]
        else:
            parts[name] = paper_form(part).T if name in BY_ROWS else paper_form(part)
    return Parameters(**parts)


class Fill:
    """The deterministic fill: entry k of the c-th array asked for is 0.5 sin(1.7 k + 0.9 c), both counted from 1."""

    def __init__(self, d_attn, d_mid, d_mlp, d_e, H):
        self.d_attn, self.d_mid, self.d_mlp, self.d_e, self.H = d_attn, d_mid, d_mlp, d_e, H
        self.counter = itertools.count(1)

    def array(self, *shape):
        k = 1 + np.arange(np.prod(shape)).reshape(shape)
        return 0.5 * np.sin(1.7 * k + 0.9 * next(self.counter))

    def norms(self, width, *numbers):
        """gamma_1, beta_1, gamma_2, … for the given numbers."""
        return {
            f"{name}{n}": self.array(width) if name.startswith("beta") else 1 + 0.2 * self.array(width)
            for n in numbers
            for name in ("gamma", "beta")
        }

    def head(self, d_x, d_z, d_attn, d_out):
        shapes = [(d_attn, d_x), (d_attn,), (d_attn, d_z), (d_attn,), (d_out, d_z), (d_out,)]
        return AttentionParameters(*[self.array(*shape) for shape in shapes])

    def attention(self, d_x=None, d_z=None, d_out=None):
        d_x, d_z, d_out = d_x or self.d_e, d_z or self.d_e, d_out or self.d_e
        heads = stack([self.head(d_x, d_z, self.d_attn, self.d_mid) for _ in range(self.H)])
        return MHAttentionParameters(heads, self.array(d_out, self.H * self.d_mid), self.array(d_out))

    def mlp(self, first, second):
        shapes = [(self.d_mlp, self.d_e), (self.d_mlp,), (self.d_e, self.d_mlp), (self.d_e,)]
        names = [f"W_mlp{first}", f"b_mlp{first}", f"W_mlp{second}", f"b_mlp{second}"]
        return dict(zip(names, [self.array(*shape) for shape in shapes], strict=True))

    def tables(self, N_V, l_max):
        return {"W_e": self.array(self.d_e, N_V).T, "W_p": self.array(self.d_e, l_max).T}

    def layer(self):
        attention = self.attention()
        return LayerParameters(attention=attention, **self.norms(self.d_e, "_1", "_2"), **self.mlp(1, 2))

    def decoder_layer(self):
        attention = {"self_attention": self.attention(), "cross_attention": self.attention()}
        return DecoderLayerParameters(**attention, **self.norms(self.d_e, "_3", "_4", "_5"), **self.mlp(3, 4))

    def d_transformer(self, N_V, l_max, L):
        tables, layers = self.tables(N_V, l_max), stack([self.layer() for _ in range(L)])
        return DTransformerParameters(
            **tables, layers=layers, **self.norms(self.d_e, ""), W_u=self.array(N_V, self.d_e)
        )

    def e_transformer(self, N_V, l_max, L, d_f):
        tables, layers = self.tables(N_V, l_max), stack([self.layer() for _ in range(L)])
        final = {"W_f": self.array(d_f, self.d_e), "b_f": self.array(d_f), **self.norms(d_f, "")}
        return ETransformerParameters(**tables, layers=layers, **final, W_u=self.array(N_V, d_f))

    def ed_transformer(self, N_V, l_max, L_enc, L_dec):
        tables = self.tables(N_V, l_max)
        encoder = stack([self.layer() for _ in range(L_enc)])
        decoder = stack([self.decoder_layer() for _ in range(L_dec)])
        return EDTransformerParameters(**tables, encoder=encoder, decoder=decoder, W_u=self.array(N_V, self.d_e))


def stack(trees):
    """Pytrees of one form, stacked on a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
