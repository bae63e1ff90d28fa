"""Tiny models, a good call of each of the fifteen functions, and the means to spoil one of its arguments."""

from functools import cache, reduce
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import formal_tx
from formal_tx import training

KEY = jax.random.key(0)
N_V, L_MAX, D_E = 11, 5, 6

D = formal_tx.DTransformerHyperparameters(l_max=L_MAX, L=1, H=2, d_e=D_E, d_mlp=7, N_V=N_V)
E = formal_tx.ETransformerHyperparameters(l_max=L_MAX, L=1, H=2, d_e=D_E, d_mlp=7, N_V=N_V, d_f=2)
ED = formal_tx.EDTransformerHyperparameters(l_max=L_MAX, L_enc=1, L_dec=1, H=2, d_e=D_E, d_mlp=7, N_V=N_V)

FIFTEEN = (
    "token_embedding",
    "positional_embedding",
    "basic_single_query_attention",
    "attention",
    "mh_attention",
    "layer_norm",
    "unembedding",
    "ed_transformer",
    "e_transformer",
    "d_transformer",
    "ed_training",
    "e_training",
    "d_training",
    "d_inference",
    "ed_inference",
)
TRANSFORMERS = tuple(name for name in FIFTEEN if "transformer" in name)
TRAINING = tuple(name for name in FIFTEEN if "training" in name)
INFERENCE = tuple(name for name in FIFTEEN if "inference" in name)
MODELS = TRANSFORMERS + TRAINING + INFERENCE


STATIC = ("hyperparameters", "epochs", "optimizer", "length")


def function(name):
    """A public function by name, or one of the losses."""
    return getattr(formal_tx, name, None) or getattr(training, name)


@cache
def models():
    """The parameters that the good calls use: made once, when a test asks."""
    with jax.ensure_compile_time_eval():  # inside a trace too
        return SimpleNamespace(
            head=formal_tx.init_attention(KEY, d_x=2, d_z=3, d_attn=5, d_out=7),
            single=formal_tx.init_attention(KEY, d_x=2, d_z=2, d_attn=5, d_out=7),
            heads=formal_tx.init_mh_attention(KEY, d_x=2, d_z=3, d_attn=5, d_mid=7, d_out=4, H=2),
            d=jax.jit(formal_tx.init_d_transformer, static_argnums=1)(KEY, D),
            e=jax.jit(formal_tx.init_e_transformer, static_argnums=1)(KEY, E),
            ed=jax.jit(formal_tx.init_ed_transformer, static_argnums=1)(KEY, ED),
        )


@cache
def good(name):
    """Arguments by name that `name` takes."""
    m = models()
    rng = np.random.default_rng(0)
    vectors = {n: rng.normal(size=shape).astype(np.float32) for n, shape in {"X": (4, 2), "Z": (3, 3)}.items()}
    x, z = np.array([9, 1, 2]), np.array([3, 4])
    pairs = {"z": np.array([[3, 4], [5, 6]]), "x": np.array([[9, 1, 2], [9, 3, 10]])}
    d, e, ed = ({"params": params, "hyperparameters": hp} for params, hp in ((m.d, D), (m.e, E), (m.ed, ED)))
    train = {"epochs": 1, "optimizer": SGD}
    return {
        "token_embedding": {"v": 3, "W_e": m.d.W_e},
        "positional_embedding": {"t": 3, "W_p": m.d.W_p},
        "basic_single_query_attention": {"e": vectors["X"][0], "context": vectors["X"], "params": m.single},
        "attention": vectors | {"params": m.head},
        "mh_attention": vectors | {"params": m.heads},
        "layer_norm": {"e": vectors["Z"], "gamma": np.ones(3, np.float32), "beta": np.zeros(3, np.float32)},
        "unembedding": {"e": m.d.W_e[1], "W_u": m.d.W_u},
        "ed_transformer": {"z": z, "x": x} | ed,
        "e_transformer": {"x": x} | e,
        "d_transformer": {"x": x} | d,
        "ed_training": pairs | ed | train,
        "e_training": {"x": pairs["x"]} | e | train | {"mask_probability": 0.5, "key": KEY},
        "d_training": {"x": pairs["x"]} | d | train,
        "d_inference": {"x": x, "length": 2, "key": KEY} | d,
        "ed_inference": {"z": z, "key": KEY} | ed,
        "ed_loss": {"z": z, "x": x} | ed,
        "e_loss": {"x_tilde": np.array([9, 8, 2]), "x": x} | e,  # the second token is masked
        "d_loss": {"x": x} | d,
    }[name]


SGD = optax.sgd(0.1)  # one object: as a static argument it is compared by identity


def call(name, **changes):
    """A good call of `name`, but for what is changed."""
    return function(name)(**(good(name) | changes))


def jitted(name, **changes):
    """The same call under `jit`: every value is out of sight."""
    arguments = good(name) | changes
    return _jitted(name)({key: value for key, value in arguments.items() if key not in STATIC})


@cache
def _jitted(name):
    """Kept, so that arguments of the same shapes are compiled once."""
    return jax.jit(lambda arguments: call(name, **arguments))


def bad(name, title, error, message, **changes):
    """A case of bad input: what is changed in a good call, and what the error says after the function's name."""
    return pytest.param(name, changes, error, f"{name}: {message}", id=f"{name}, {title}")


def refused(name, changes, error, message):
    """`name` raises exactly this error, and says `message`. A callable makes a change when the test runs."""
    changes = {key: value() if isinstance(value, Later) else value for key, value in changes.items()}
    with pytest.raises(error) as caught:
        call(name, **changes)
    assert message in str(caught.value)
    assert type(caught.value) is error


class Later:
    """A value that is made when the test runs: no model is built while tests are collected."""

    def __init__(self, make):
        self.make = make

    def __call__(self):
        return self.make()


def theta(name, path=None, change=None):
    """The parameters of a good call of `name`, with the field at `path` put through `change`."""
    return Later(lambda: spoiled(good(name)["params"], path, change) if path else good(name)["params"])


def spoiled(params, path, change):
    """`params` with the field at `path`, such as "layers.attention.W_o", put through `change`."""
    first, _, rest = path.partition(".")
    field = getattr(params, first)
    return params.replace(**{first: spoiled(field, rest, change) if rest else change(field)})


def nan_at(*index):
    return lambda W: jnp.asarray(W).at[index].set(jnp.nan)


def integers(W):
    return np.ones(W.shape, int)


def close(result, expected):
    """Equal but for rounding: what is compared was compiled differently."""
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def is_nan(tree):
    """Whether every number of every array is nan."""
    return reduce(lambda a, b: a and b, (bool(jnp.isnan(leaf).all()) for leaf in jax.tree.leaves(tree)))
