"""Algorithms 14 and 15: prompts, counts, temperatures and keys; `test_architectures.py` has the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import formal_tx
from formal_tx.inference.filters import top_k

from .cases import INFERENCE, KEY, Later, bad, call, good, jitted, models, nan_at, refused, spoiled

EVERY_INFERENCE = pytest.mark.parametrize("name", INFERENCE)
PROMPT = {"d_inference": "x", "ed_inference": "z"}
FINITE = "expected a finite number greater than 0"
COUNT = "expected an integer of at least 1"
NO_KEY = "expected a key as `jax.random.key(seed)` makes it"


def has_no_token(name, y):
    """Whether each token that was to be drawn is -1: `x_hat` begins with bos_token, which is not drawn."""
    return bool((np.asarray(y)[..., 1 if name == "ed_inference" else 0 :] == -1).all())


@EVERY_INFERENCE
class TestBoth:
    @pytest.mark.parametrize("temperature", [0, 0.0, -1.0, float("nan"), float("inf"), np.float32(0)], ids=repr)
    def test_temperature(self, name, temperature):
        message = f"{name}: temperature is {temperature}, {FINITE}"
        refused(name, {"temperature": temperature}, ValueError, message)

    @pytest.mark.parametrize("temperature", [None, True, "hot", [1.0], 1j], ids=repr)
    def test_temperature_that_is_no_number(self, name, temperature):
        message = f"{name}: temperature is {temperature!r}, expected a number"
        refused(name, {"temperature": temperature}, TypeError, message)

    def test_a_temperature_for_each_token(self, name):
        """It would broadcast against the logits, without a word."""
        message = f"{name}: temperature has shape (11,), expected a single number"
        refused(name, {"temperature": np.ones(11)}, ValueError, message)

    def test_a_temperature_that_vanishes(self, name):
        message = f"{name}: temperature is 1e-50, which is 0 in float32"
        refused(name, {"temperature": 1e-50}, ValueError, message)

    @pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
    def test_traced_temperature(self, name, temperature):
        assert has_no_token(name, jitted(name, temperature=temperature))

    @pytest.mark.parametrize(
        ("key", "found"),
        [
            (None, "NoneType"),
            (0, "int"),
            ([0, 1], "list"),
            (np.int32(0), "an array of shape () and dtype int32"),
            (np.zeros(3, np.uint32), "an array of shape (3,) and dtype uint32"),
        ],
        ids=repr,
    )
    def test_key(self, name, key, found):
        refused(name, {"key": key}, TypeError, f"{name}: key is {found}, {NO_KEY}")

    def test_number_of_keys(self, name):
        """One, or one for each sequence of a batch."""
        refused(
            name, {"key": jax.random.split(KEY, 3)}, ValueError, f"{name}: key has shape (3,), expected a single key"
        )
        batch = {PROMPT[name]: [[1, 2], [3, 4]], "key": jax.random.split(KEY, 3)}
        message = f"{name}: key has shape (3,), expected a single key, or one for each sequence, of shape (2,)"
        refused(name, batch, ValueError, message)

    @pytest.mark.parametrize("token", [99, 11, -1])
    def test_traced_id_out_of_range(self, name, token):
        prompt = np.array([1, token] if name == "ed_inference" else [9, 1, token])  # as long as the good one
        assert has_no_token(name, jitted(name, **{PROMPT[name]: prompt}))

    def test_traced_id_of_eight_bits(self, name):
        """-1 has a place in what comes back, though it has none in the prompt's type."""
        y = jitted(name, **{PROMPT[name]: np.array([9, 99, 2], np.uint8)})
        assert y.dtype == np.int32
        assert has_no_token(name, y)

    @pytest.mark.parametrize("length", [0, -1, 4])
    def test_traced_lengths(self, name, length):
        """4 is more than the prompt has, though less than it is padded to."""
        keyword = "lengths" if name == "d_inference" else "z_lengths"
        y = jitted(name, **{PROMPT[name]: np.array([9, 1, 2]), keyword: np.array(length)})
        assert has_no_token(name, y)

    def test_traced_nan(self, name):
        assert has_no_token(name, jitted(name, params=spoiled(good(name)["params"], "W_u", nan_at(0, 0))))

    def test_nan_in_the_constants_of_a_trace(self, name):
        params = spoiled(good(name)["params"], "W_u", nan_at(0, 0))
        with pytest.raises(ValueError, match=f"^{name}: params.W_u holds nan, first at index "):
            jax.jit(lambda temperature: call(name, params=params, temperature=temperature))(1.0)

    def test_vmap(self, name):
        prompts = np.array([[9, 1, 2], [9, 99, 2]])
        y = jax.vmap(lambda prompt: call(name, **{PROMPT[name]: prompt}))(prompts)
        assert (y[0] >= 0).all()
        assert has_no_token(name, y[1])


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        *(
            bad("d_inference", f"length {n!r}", ValueError, f"length is {n!r}, {COUNT}", length=n)
            for n in (0, -1, 1.0, True, None, "2")
        ),
        bad(
            "d_inference",
            "too long",
            ValueError,
            "a prompt of 3 tokens and 4 more do not fit: ℓ + length - 1 = 6 is more than l_max = 5",
            length=4,
        ),
        bad(
            "d_inference",
            "a full prompt",
            ValueError,
            "a prompt of 5 tokens and 2 more do not fit: ℓ + length - 1 = 6 is more than l_max = 5",
            x=[1] * 5,
        ),
        bad("d_inference", "too full a prompt", ValueError, "x has 6 tokens, more than l_max = 5", x=[1] * 6, length=1),
        bad("d_inference", "an empty prompt", ValueError, "x is empty, at least one token is needed", x=[]),
        *(
            bad("ed_inference", f"l_max {n!r}", ValueError, f"l_max is {n!r}, {COUNT}", l_max=n)
            for n in (0, -1, 1.0, True, "2")
        ),
        bad(
            "ed_inference",
            "l_max beyond the model's",
            ValueError,
            "l_max is 6, more than the model's l_max = 5",
            l_max=6,
        ),
        bad("ed_inference", "an empty context", ValueError, "z is empty, at least one token is needed", z=[]),
    ],
)
def test_refused(name, changes, error, message):
    refused(name, changes, error, message)


A_FILTER = "expected a filter, top_k(5) for example"


@EVERY_INFERENCE
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (5, "filters is of type int, expected filters"),
        (None, "filters is of type NoneType, expected filters"),
        ("top_k", "filters is of type str, expected filters"),
        ([top_k(2), 5], f"filters[1] is of type int, {A_FILTER}"),
        (("greedy",), f"filters[0] is of type str, {A_FILTER}"),
    ],
)
def test_filters(name, filters, found):
    refused(name, {"filters": filters}, TypeError, f"{name}: {found}")


@pytest.mark.parametrize(
    ("stop", "error", "message"),
    [
        ((1, 11), ValueError, "stop[1] is 11, outside [0, N_V) = [0, 11)"),
        ([-1], ValueError, "stop[0] is -1, outside [0, N_V) = [0, 11)"),
        (3, ValueError, "stop has shape (), expected a sequence of token ids"),
        ([[1]], ValueError, "stop has shape (1, 1), expected a sequence of token ids"),
        ([1.0], TypeError, "stop has dtype float64, expected integers"),
        ([True], TypeError, "stop has dtype bool, expected integers"),
        (("a",), TypeError, "stop has dtype <U1, expected an array of numbers"),
        (None, TypeError, "stop is None, expected an array of numbers"),
    ],
)
def test_stop(stop, error, message):
    refused("d_inference", {"stop": stop}, error, f"d_inference: {message}")


def test_stop_that_is_traced():
    with pytest.raises(TypeError, match=r"^d_inference: stop is traced, expected token ids that are known beforehand"):
        jax.jit(lambda token: call("d_inference", stop=token))(jnp.array([1]))


def test_a_prompt_as_long_as_l_max():
    """One token follows it; a second would need a position that does not exist."""
    assert call("d_inference", x=[9, 1, 2, 3, 4], length=1).shape == (1,)
    assert call("d_inference", x=[9, 1, 2, 3, 4], length=4, lengths=2).shape == (4,)  # of which two tokens are real


def test_no_special_tokens():
    hyperparameters = formal_tx.EDTransformerHyperparameters(l_max=5, L_enc=0, L_dec=0, H=1, d_e=2, d_mlp=1, N_V=2)
    params = Later(lambda: formal_tx.init_ed_transformer(KEY, hyperparameters))
    changes = {"z": [0, 1], "params": params, "hyperparameters": hyperparameters}
    message = "ed_inference: N_V is 2, a vocabulary with bos and eos tokens has at least 3"
    refused("ed_inference", changes, ValueError, message)


def test_integers_of_numpy_are_integers():
    np.testing.assert_array_equal(call("d_inference", length=np.int64(2)), call("d_inference"))
    np.testing.assert_array_equal(call("ed_inference", l_max=np.int64(5)), call("ed_inference"))


def test_a_number_of_any_kind_is_a_temperature():
    expected = call("d_inference", temperature=2.0)
    for temperature in (2, np.float64(2), jnp.float32(2), np.int32(2)):
        np.testing.assert_array_equal(call("d_inference", temperature=temperature), expected)


def test_the_models_are_not_degenerate():
    """The good calls, from which the others are made, give tokens."""
    assert (call("d_inference") >= 0).all()
    assert (call("ed_inference") >= 0).all()
    assert models().d.W_e.shape == (11, 6)
