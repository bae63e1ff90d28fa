"""Algorithms 11 to 13 and their losses: counts, options, probabilities, keys; `test_architectures.py` has the rest."""

import chex
import jax
import numpy as np
import optax
import pytest

import formal_tx
from formal_tx.masking import mask_tokens

from .cases import KEY, TRAINING, bad, call, good, is_nan, jitted, models, nan_at, refused, spoiled, theta

EVERY_TRAINING = pytest.mark.parametrize("name", TRAINING)
NAN = float("nan")
NO_KEY = "expected a key as `jax.random.key(seed)` makes it"


@EVERY_TRAINING
class TestOptions:
    @pytest.mark.parametrize("epochs", [-1, True, 1.0, "1", None], ids=repr)
    def test_epochs(self, name, epochs):
        message = f"{name}: epochs is {epochs!r}, expected an integer of at least 0"
        refused(name, {"epochs": epochs}, ValueError, message)

    @pytest.mark.parametrize("batch_size", [0, -1, True, 1.0, None], ids=repr)
    def test_batch_size(self, name, batch_size):
        message = f"{name}: batch_size is {batch_size!r}, expected an integer of at least 1"
        refused(name, {"batch_size": batch_size}, ValueError, message)

    def test_batch_size_that_does_not_divide(self, name):
        refused(name, {"batch_size": 3}, ValueError, f"{name}: batch_size is 3, expected a divisor of N_data = 2")

    @pytest.mark.parametrize("optimizer", [None, 0.1, "sgd", optax.sgd], ids=["None", "eta", "name", "maker"])
    def test_optimizer(self, name, optimizer):
        message = f"{name}: optimizer is of type {type(optimizer).__name__}, expected an optax transformation"
        refused(name, {"optimizer": optimizer}, TypeError, message)

    def test_optimizer_state(self, name):
        """Of another optimiser, or of other parameters."""
        message = f"{name}: optimizer_state is not one of this optimizer for these parameters"
        for params in (good(name)["params"], models().heads):
            state = optax.adam(0.1).init(params)
            refused(name, {"optimizer_state": state}, ValueError, message)
        other = optax.adam(0.1).init(models().heads)
        refused(name, {"optimizer": optax.adam(0.1), "optimizer_state": other}, ValueError, message)

    @pytest.mark.parametrize("flag", ["mean", "history"])
    def test_flags(self, name, flag):
        for value in ("no", 1, None):
            refused(name, {flag: value}, TypeError, f"{name}: {flag} is {value!r}, expected True or False")

    def test_a_single_sequence(self, name):
        message = (
            f"{name}: {'z' if name == 'ed_training' else 'x'} has shape (3,), expected (N_data, ℓ), sequences padded"
        )
        changes = {ids: [9, 1, 2] for ids in ("z", "x") if ids in good(name)}
        refused(name, changes, ValueError, message)

    def test_no_epochs(self, name):
        """θ comes back as it was: the loop of the paper runs no times."""
        before, after = good(name)["params"], call(name, epochs=0)
        chex.assert_trees_all_equal(before, after)

    def test_traced_id_out_of_range(self, name):
        """Not one update that looks usable: θ is nan."""
        for token in (99, -1):
            assert is_nan(jitted(name, x=np.array([[9, 1, 2], [9, token, 10]])).W_u)


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        bad("ed_training", "N_data", ValueError, "z has 1 and x has 2 sequences, expected as many", z=[[1, 2]]),
        *(
            bad(
                "e_training",
                f"mask_probability {p}",
                ValueError,
                f"mask_probability is {p}, expected a number inside (0, 1)",
                mask_probability=p,
            )
            for p in (0, 0.0, 1, 1.0, -0.5, 1.5, NAN)
        ),
        *(
            bad(
                "e_training",
                f"mask_probability {p!r}",
                TypeError,
                f"mask_probability is {p!r}, expected a number",
                mask_probability=p,
            )
            for p in (None, True, "half", [0.5])
        ),
        bad(
            "e_training",
            "two probabilities",
            ValueError,
            "mask_probability has shape (2,), expected a single number",
            mask_probability=np.array([0.2, 0.3]),
        ),
        bad("e_training", "no key", TypeError, f"key is NoneType, {NO_KEY}", key=None),
        bad("e_training", "a seed", TypeError, f"key is int, {NO_KEY}", key=0),
        bad(
            "e_training",
            "a seed of NumPy",
            TypeError,
            f"key is an array of shape () and dtype int32, {NO_KEY}",
            key=np.int32(0),
        ),
        bad(
            "e_training", "two keys", ValueError, "key has shape (2,), expected a single key", key=jax.random.split(KEY)
        ),
        bad("d_loss", "mean", TypeError, "mean is 'no', expected True or False", mean="no"),
        bad(
            "d_loss",
            "nan",
            ValueError,
            "params.W_u holds nan, first at index [0, 0]",
            params=theta("d_loss", "W_u", nan_at(0, 0)),
        ),
        bad("d_loss", "id", ValueError, "x[1] is 11, outside [0, N_V) = [0, 11)", x=[1, 11]),
        bad("ed_loss", "id", ValueError, "z[0] is -1, outside [0, N_V) = [0, 11)", z=[-1, 11]),
        bad("e_loss", "id", ValueError, "x[1] is 11, outside [0, N_V) = [0, 11)", x=[1, 11, 2]),
        bad("e_loss", "masked id", ValueError, "x_tilde[1] is 11, outside [0, N_V) = [0, 11)", x_tilde=[1, 11, 2]),
        bad("e_loss", "shapes", ValueError, "x_tilde has shape (2,) and x has (3,), expected the same", x_tilde=[1, 8]),
    ],
)
def test_refused(name, changes, error, message):
    refused(name, changes, error, message)


@pytest.mark.parametrize("name", ["e_training", "e_loss"])
def test_no_mask_token(name):
    """With two tokens there is none: N_V - 3 would be -1."""
    hyperparameters = formal_tx.ETransformerHyperparameters(l_max=5, L=0, H=1, d_e=2, d_mlp=1, N_V=2)
    params = formal_tx.init_e_transformer(KEY, hyperparameters)
    changes = {"x": [[0, 1]], "params": params, "hyperparameters": hyperparameters}
    changes |= {"x_tilde": [[0, 1]]} if name == "e_loss" else {}
    refused(name, changes, ValueError, f"{name}: N_V is 2, a vocabulary with a mask_token has at least 3")


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 1.5, NAN])
def test_traced_mask_probability(p):
    """0 would train on nothing and give θ back, 1.5 would mask everything: both look as if all was well."""
    assert is_nan(jitted("e_training", mask_probability=p))
    assert not is_nan(jitted("e_training", mask_probability=0.5))


@pytest.mark.parametrize("token", [11, 99, -1])
@pytest.mark.parametrize("name", ["d_loss", "e_loss", "ed_loss"])
def test_traced_target_out_of_range(name, token):
    """The last token of `x` is a target and no more, the masked one too; -1 would be counted from the end."""
    x = np.array([9, token, 2]) if name == "e_loss" else np.array([9, 1, token])
    assert is_nan(jitted(name, x=x))


@pytest.mark.parametrize("length", [0, -1, 4])
@pytest.mark.parametrize("name", ["d_loss", "e_loss", "ed_loss"])
def test_traced_lengths(name, length):
    """A length of 0 would be a sum of nothing: a loss of 0, the best there is."""
    for keyword in ("z_lengths", "x_lengths") if name == "ed_loss" else ("lengths",):
        batch = {ids: np.array([9, 1, 2]) for ids in ("z", "x") if ids in good(name)}
        assert is_nan(jitted(name, **batch, **{keyword: np.array(length)}))


@pytest.mark.parametrize("name", ["d_loss", "e_loss", "ed_loss"])
def test_traced_nan(name):
    assert is_nan(jitted(name, params=spoiled(good(name)["params"], "W_u", nan_at(0, 0))))


def test_a_raw_key_is_a_key():
    """`jax.random.PRNGKey` makes the same numbers as `jax.random.key`."""
    chex.assert_trees_all_equal(call("e_training", key=jax.random.PRNGKey(0)), call("e_training"))
    assert mask_tokens(KEY, np.array([1, 2]), good("e_loss")["hyperparameters"], 0.5)[0].shape == (2,)
