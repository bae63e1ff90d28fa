"""What clustered attention refuses, by its message; and nan where values cannot be seen."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer, init_mh_attention
from formal_tx.architectures import d_layers
from formal_tx.long_context import clustered_attention
from formal_tx.long_context.clustered_attention import draw_clustering

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
Q, K, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((6, 3), (4, 3), (4, 2)))
CLUSTERING = draw_clustering(KEY, 3, 6, 2)
HEADS = init_mh_attention(KEY, d_x=3, d_z=3, d_attn=3, d_mid=2, d_out=3, H=2)
HP = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=6, d_mlp=5, N_V=7)
PARAMS = init_d_transformer(KEY, HP)
X = jnp.array([1, 2, 3])

GOOD = {
    "draw_clustering": {"key": KEY, "E": 3, "l": 6, "clusters": 2},
    "clustered_attention": {"Q": Q, "K": K, "V": V, "clustering": CLUSTERING},
    "improved_clustered_attention": {"Q": Q, "K": K, "V": V, "clustering": CLUSTERING, "k": 2},
    "clustered_mh_attention": {"X": Q, "Z": K, "params": HEADS, "clustering": CLUSTERING},
}
TWICE, OUTSIDE = (CLUSTERING.replace(first=jnp.array(first)) for first in ([1, 1], [0, 6]))


def call(name, **changes):
    return getattr(clustered_attention, name)(**GOOD[name] | changes)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_call(name):
    call(name)


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("draw_clustering", {"clusters": 0}, ValueError, "clusters is 0, expected an integer of at least 1"),
        ("draw_clustering", {"clusters": -1}, ValueError, "clusters is -1, expected an integer of at least 1"),
        ("draw_clustering", {"clusters": 7}, ValueError, "clusters is 7, more than there are queries, 6"),
        ("draw_clustering", {"bits": 0}, ValueError, "bits is 0, expected an integer of at least 1"),
        ("draw_clustering", {"iterations": 0}, ValueError, "iterations is 0, expected an integer of at least 1"),
        ("draw_clustering", {"E": 0}, ValueError, "E is 0, expected an integer of at least 1"),
        ("draw_clustering", {"key": 1}, TypeError, "key is int, expected a key"),
        ("draw_clustering", {"offset": 1}, TypeError, "offset is 1, expected True or False"),
        ("clustered_attention", {"Q": Q[0]}, ValueError, "Q has shape (3,), expected (..., l_x, E)"),
        ("clustered_attention", {"K": K[:, :2]}, ValueError, "K has shape (4, 2), expected (..., l_z, E) with E = 3"),
        ("clustered_attention", {"V": V[:3]}, ValueError, "V has shape (3, 2), expected (..., l_z, D) with l_z = 4"),
        ("clustered_attention", {"K": K[:0], "V": V[:0]}, ValueError, "K is empty, at least one token is needed"),
        ("clustered_attention", {"V": V.astype(int)}, TypeError, "V has dtype int64, expected a floating dtype"),
        ("clustered_attention", {"V": V * np.nan}, ValueError, "V holds nan, first at index [0, 0]"),
        (
            "clustered_attention",
            {"Q": np.stack([Q] * 2), "K": np.stack([K] * 3)},
            ValueError,
            "the leading axes are Q (2,) and K (3,), expected axes that fit each other",
        ),
        (
            "clustered_attention",
            {"clustering": 2},
            TypeError,
            "clustering is a int, expected Clustering, as draw_clust",
        ),
        (
            "clustered_attention",
            {"clustering": draw_clustering(KEY, 5, 6, 2)},
            ValueError,
            "clustering.planes has shape (32, 6), expected (bits, 4): E is 3",
        ),
        (
            "clustered_attention",
            {"Q": Q[:1]},
            ValueError,
            "there are 2 clusters, expected from 1 to the number of queries, 1",
        ),
        (
            "clustered_attention",
            {"clustering": TWICE},
            ValueError,
            "clustering.first is [1, 1], expected positions in [0, 6), all different",
        ),
        (
            "clustered_attention",
            {"clustering": OUTSIDE},
            ValueError,
            "clustering.first is [0, 6], expected positions in [0, 6), all different",
        ),
        (
            "clustered_attention",
            {"clustering": CLUSTERING.replace(other=CLUSTERING.other[:, :1])},
            ValueError,
            "clustering.other has shape (9, 1, 32), expected (iterations-1, C, bits) with C = 2",
        ),
        (
            "clustered_attention",
            {"clustering": CLUSTERING.replace(other=CLUSTERING.other.astype(int))},
            TypeError,
            "clustering has first of dtype int32 and other of int32, expected integers and bool",
        ),
        ("improved_clustered_attention", {"k": 0}, ValueError, "k is 0, expected an integer of at least 1"),
        ("improved_clustered_attention", {"k": 5}, ValueError, "k is 5, more than there are keys, 4"),
        ("improved_clustered_attention", {"k": None}, ValueError, "k is None, expected an integer of at least 1"),
        ("improved_clustered_attention", {"k": 1.5}, ValueError, "k is 1.5, expected an integer of at least 1"),
        ("clustered_mh_attention", {"k": 5}, ValueError, "k is 5, more than there are keys, 4"),
        ("clustered_mh_attention", {"params": PARAMS}, TypeError, "params is a DTransformerParameters, expected MHAtt"),
        ("clustered_mh_attention", {"X": Q[:, :2]}, ValueError, "params.heads.W_q has shape (2, 3, 3), expected"),
        (
            "clustered_mh_attention",
            {"clustering": draw_clustering(KEY, 5, 6, 2)},
            ValueError,
            "clustering.planes has shape (32, 6), expected (bits, 4): E is 3",
        ),
    ],
)
def test_what_is_refused(name, changes, error, message):
    with pytest.raises(error, match=f"^{re.escape(f'{name}: {message}')}"):
        call(name, **changes)


def test_a_layer_with_a_window_is_refused():
    hp = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=6, d_mlp=5, N_V=7, windows=(3,))
    attend = clustered_attention.clustered_attend(2)
    with pytest.raises(ValueError, match=r"^clustered_attend: the hyperparameters have windows, expected none"):
        d_layers(X, PARAMS, hp, attend, states=jax.random.split(KEY, 2))


def test_layers_without_keys_are_refused():
    with pytest.raises(ValueError, match=r"^clustered_attend: the layers have no states, expected a key for each"):
        d_layers(X, PARAMS, HP, clustered_attention.clustered_attend(2))


def test_more_clusters_than_tokens_are_refused():
    attend = clustered_attention.clustered_attend(4)
    with pytest.raises(ValueError, match=r"^draw_clustering: clusters is 4, more than there are queries, 3"):
        d_layers(X, PARAMS, HP, attend, states=jax.random.split(KEY, 2))


@pytest.mark.parametrize("first", [[0, 6], [-1, 2]])
def test_a_traced_position_out_of_range_gives_nan(first):
    def run(first):
        clustering = CLUSTERING.replace(first=first)
        return (
            clustered_attention.clustered_attention(Q, K, V, clustering),
            clustered_attention.improved_clustered_attention(Q, K, V, clustering, 2),
        )

    assert all(jnp.isnan(Y).all() for Y in jax.jit(run)(jnp.array(first)))
    assert not any(jnp.isnan(Y).any() for Y in jax.jit(run)(jnp.array([0, 5])))
