"""Algorithms 8 to 10, and what 11 to 15 share with them: ids, lengths, parameters, hyperparameters."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

import formal_tx

from .cases import (
    ED,
    INFERENCE,
    MODELS,
    TRAINING,
    TRANSFORMERS,
    D,
    E,
    call,
    close,
    function,
    good,
    integers,
    is_nan,
    jitted,
    models,
    nan_at,
    refused,
    spoiled,
)

EVERY_MODEL = pytest.mark.parametrize("name", MODELS)
EVERY_TRANSFORMER = pytest.mark.parametrize("name", TRANSFORMERS)
EVERY_SEQUENCE = pytest.mark.parametrize(("name", "ids"), [(n, i) for n in MODELS for i in ("z", "x") if i in good(n)])


def sequence(name, ids, *tokens):
    """`tokens` as `name` takes its argument `ids`: training takes as many sequences as the good call has."""
    return [list(tokens)] * 2 if name in TRAINING else list(tokens)


def at(name, ids, position):
    return f"{ids}[0, {position}]" if name in TRAINING else f"{ids}[{position}]"


def lengths_of(name, ids):
    """The keyword for the lengths of `ids`."""
    return "lengths" if "z" not in good(name) else f"{ids}_lengths"


@EVERY_SEQUENCE
class TestSequences:
    def test_id_out_of_range(self, name, ids):
        for bad in (-1, 11, 2**40):
            message = f"{name}: {at(name, ids, 1)} is {bad}, outside [0, N_V) = [0, 11)"
            refused(name, {ids: sequence(name, ids, 1, bad)}, ValueError, message)

    def test_no_integers(self, name, ids):
        for token, dtype in ((1.0, "float64"), (True, "bool")):
            message = f"{name}: {ids} has dtype {dtype}, expected integers"
            refused(name, {ids: sequence(name, ids, token, token)}, TypeError, message)

    def test_no_array(self, name, ids):
        refused(name, {ids: None}, TypeError, f"{name}: {ids} is None, expected an array of numbers")
        refused(name, {ids: "hello"}, TypeError, f"{name}: {ids} has dtype <U5, expected an array of numbers")
        message = f"{name}: {ids} is a list of which no array can be made, expected rows of one length"
        refused(name, {ids: [[1, 2], [1]]}, ValueError, message)

    def test_empty(self, name, ids):
        message = f"{name}: {ids} is empty, at least one token is needed"
        refused(name, {ids: sequence(name, ids)}, ValueError, message)

    def test_no_sequences(self, name, ids):
        changes = {i: np.zeros((0, 3), int) for i in ("z", "x") if i in good(name)}
        refused(name, changes, ValueError, "has shape (0, 3), expected at least one sequence")

    def test_longer_than_l_max(self, name, ids):
        tokens = sequence(name, ids, *[1] * 6)
        refused(name, {ids: tokens}, ValueError, f"{name}: {ids} has 6 tokens, more than l_max = 5")

    def test_a_single_token(self, name, ids):
        refused(name, {ids: 3}, ValueError, f"{name}: {ids} is a single token, expected a sequence (..., ℓ)")

    def test_lengths(self, name, ids):
        batch = {i: [[1, 2, 3], [4, 5, 6]] for i in ("z", "x") if i in good(name)}

        def refuses(lengths, error, message):
            refused(name, batch | {lengths_of(name, ids): lengths}, error, f"{name}: {message}")

        refuses([3, 0], ValueError, f"lengths[1] of {ids} is 0, outside [1, ℓ] = [1, 3]")
        refuses([4, 1], ValueError, f"lengths[0] of {ids} is 4, outside [1, ℓ] = [1, 3]")
        refuses([-1, 1], ValueError, f"lengths[0] of {ids} is -1, outside [1, ℓ] = [1, 3]")
        refuses(2, ValueError, f"lengths of {ids} have shape (), expected (2,): one for each sequence")
        refuses([1, 2, 3], ValueError, f"lengths of {ids} have shape (3,), expected (2,): one for each sequence")
        refuses([1.0, 2.0], TypeError, f"lengths of {ids} have dtype float64, expected integers")
        refuses([True, True], TypeError, f"lengths of {ids} have dtype bool, expected integers")
        refuses("ab", TypeError, f"lengths of {ids} has dtype <U2, expected an array of numbers")


@EVERY_MODEL
class TestParameters:
    def test_of_another_architecture(self, name):
        kind = type(good(name)["params"])
        for params in (models().d, models().e, models().ed, models().heads, None, {"W_e": 1}):
            if not isinstance(params, kind):
                message = f"{name}: params is a {type(params).__name__}, expected {kind.__name__}, as init_"
                refused(name, {"params": params}, TypeError, message)

    def test_hyperparameters_of_another_architecture(self, name):
        kind = type(good(name)["hyperparameters"])
        for hyperparameters in (D, E, ED, None, {"l_max": 5}):
            if not isinstance(hyperparameters, kind):
                message = f"{name}: hyperparameters is a {type(hyperparameters).__name__}, expected {kind.__name__}"
                refused(name, {"hyperparameters": hyperparameters}, TypeError, message)

    def test_of_other_hyperparameters(self, name):
        """The first field that differs is named, with both shapes and the hyperparameters they are compared with."""
        hp = good(name)["hyperparameters"]
        for changes, field, found, wanted in (
            ({"N_V": 12}, "W_e", (11, 6), (12, 6)),
            ({"l_max": 7}, "W_p", (5, 6), (7, 6)),
            ({"d_mlp": 8}, "W_mlp1", (1, 7, 6), (1, 8, 6)),
            ({"H": 3}, "heads.W_q", (1, 2, 3, 6), (1, 3, 3, 6)),
        ):
            changed = replace(hp, **changes)
            message = f"{field} has shape {found}, expected {wanted} from {changed}"
            refused(name, {"hyperparameters": changed}, ValueError, message)

    def test_unembedding_matrix(self, name):
        """Missing where it is not tied, one too many where it is."""
        hp, params = good(name)["hyperparameters"], good(name)["params"]
        message = f"{name}: params.W_u is missing, expected shape {params.W_u.shape} from {hp}"
        refused(name, {"params": params.replace(W_u=None)}, ValueError, message)
        if hp is not E:  # whose W_u has another width than W_e: there it cannot be tied
            tied = replace(hp, tied_embeddings=True)
            message = f"{name}: params.W_u is one too many, expected None from {tied}"
            refused(name, {"hyperparameters": tied}, ValueError, message)

    def test_no_floats(self, name):
        """Integers would be rounded by an update, and truncate what is added to them; they are refused by name."""
        for path in ("W_e", "W_u"):
            params = spoiled(good(name)["params"], path, integers)
            refused(name, {"params": params}, TypeError, f"{name}: params.{path} has dtype int")
        params = spoiled(good(name)["params"], "W_p", lambda W: np.full(W.shape, "a"))
        refused(name, {"params": params}, TypeError, f"{name}: params.W_p has dtype <U1, expected an array of numbers")

    def test_two_floating_types(self, name):
        """One type for all of θ: the residual stream, the cache and the temperature have the type of W_e."""
        params = spoiled(good(name)["params"], "W_u", lambda W: W.astype(jnp.bfloat16))
        message = f"{name}: params.W_u has dtype bfloat16, expected float32, which params.W_e has"
        refused(name, {"params": params}, TypeError, message)

    def test_nan(self, name):
        """Whether it shows in the result (of the functions that look there) or at entry (training and inference)."""
        layers = {"d": "layers", "e": "layers", "ed": "decoder"}[name.split("_")[0]]
        for path, index in (("W_u", (0, 1)), (f"{layers}.{'gamma_5' if layers == 'decoder' else 'gamma_2'}", (0, 3))):
            params = spoiled(good(name)["params"], path, nan_at(*index))
            message = f"{name}: params.{path} holds nan, first at index {list(index)}"
            refused(name, {"params": params}, ValueError, message)

    def test_a_missing_argument(self, name):
        arguments = {key: value for key, value in good(name).items() if key != "params"}
        with pytest.raises(TypeError, match=f"{name}.* missing .*'params'"):
            function(name)(**arguments)


@pytest.mark.parametrize("name", TRAINING + INFERENCE)
def test_nan_that_nobody_asks_for(name):
    """Training and inference refuse it wherever it stands: it would come to light after hours."""
    params = spoiled(good(name)["params"], "W_p", nan_at(4, 5))  # a position that no sequence here has
    refused(name, {"params": params}, ValueError, f"{name}: params.W_p holds nan, first at index [4, 5]")


@EVERY_TRANSFORMER
def test_the_logits_refuse_the_same(name):
    """The part before the softmax checks what the whole checks, under its architecture's name."""
    logits = getattr(formal_tx, f"{name}_logits")
    with pytest.raises(ValueError, match=rf"^{name}: x\[0\] is -1, outside"):
        logits(**(good(name) | {"x": [-1, 2]}))
    with pytest.raises(TypeError, match=f"^{name}: params is a NoneType, expected"):
        logits(**(good(name) | {"params": None}))


def test_pairs_that_do_not_fit():
    """A context for each sequence, or one for all."""
    x, z = [[1, 2], [3, 4]], [[5, 6]] * 3
    message = "ed_transformer: z has leading axes (3,) and x has (2,), expected the same"
    refused("ed_transformer", {"x": x, "z": z}, ValueError, message)
    message = "ed_transformer: z has leading axes (3,) and x has (), expected the same"
    refused("ed_transformer", {"z": z}, ValueError, message)
    each = call("ed_transformer", x=x, z=z[:2])
    close(call("ed_transformer", x=x, z=z[0]), each)


@EVERY_TRANSFORMER
class TestTraced:
    def test_id_out_of_range(self, name):
        """A bad token is nan, and so is what attends to it; the other sequences of a batch are as they were."""
        batch = {i: np.array([[9, 1, 2]] * 3) for i in ("z", "x") if i in good(name)}
        spoiled_x = np.array([[9, 1, 2], [99, 1, 2], [9, 1, -1]])
        P = jitted(name, **(batch | {"x": spoiled_x}))
        close(P[0], call(name, **batch)[0])
        assert is_nan(P[1])
        assert is_nan(P[2, 2])

    def test_lengths(self, name):
        """Of 0, and of more than ℓ."""
        batch = {i: np.array([[9, 1, 2]] * 3) for i in ("z", "x") if i in good(name)}
        for ids in batch:
            P = jitted(name, **batch, **{lengths_of(name, ids): np.array([0, 2, 4])})
            assert is_nan(P[np.array([0, 2])])
            assert not jnp.isnan(P[1, :2]).any()

    def test_nan(self, name):
        assert is_nan(jitted(name, params=spoiled(good(name)["params"], "W_u", nan_at(0, 0))))

    def test_vmap(self, name):
        """Under `vmap` values are out of sight, concrete or not: nan, as under `jit`."""
        x = np.array([[9, 1, 2], [9, 1, 99]])
        P = jax.vmap(lambda x: call(name, x=x))(x)
        assert not jnp.isnan(P[0]).any()
        assert is_nan(P[1, 2])


def test_traced_context():
    assert is_nan(jitted("ed_transformer", z=np.array([3, 99])))
    assert is_nan(jitted("ed_transformer", z=np.array([3, -1])))


def test_a_constant_of_a_trace_is_seen():
    """What is concrete inside `jit` raises there, while it is traced."""
    with pytest.raises(ValueError, match=r"^d_transformer: x\[1\] is 99, outside"):
        jax.jit(lambda params: call("d_transformer", params=params, x=np.array([9, 99])))(models().d)


def test_padding_is_not_looked_at():
    """Ids that stand in the padding may be anything."""
    clean = call("d_transformer", x=[9, 1, 0], lengths=2)[:2]
    np.testing.assert_array_equal(call("d_transformer", x=[9, 1, -1], lengths=2)[:2], clean)
    close(jitted("d_transformer", x=np.array([9, 1, 99]), lengths=2)[:2], clean)


def test_checkify():
    """JAX's own checks work on the functions, and report the nan that a traced bad id becomes."""
    checked = jax.jit(checkify.checkify(lambda x: call("d_transformer", x=x), errors=checkify.nan_checks))
    error, _ = checked(np.array([9, 1]))
    assert error.get() is None
    error, P = checked(np.array([9, 99]))
    assert "nan generated by primitive" in error.get()
    assert is_nan(P[1])
