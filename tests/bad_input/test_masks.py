"""Masks that are not boolean, do not fit, or let a query attend to nothing; and the adapters from other conventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks

from .cases import call, close, good, is_nan, jitted, refused

L_X, L_Z = 4, 3  # of the good calls
FULL = np.ones((L_X, L_Z), bool)
LEFT_OUT = FULL & (np.arange(L_X) != 2)[:, None]  # query 2 may attend to nothing
SHAPE = "expected (..., ℓ_x, ℓ_z) = (..., 4, 3): a row for each query, a column for each key"
CONVERT = "expected bool with true meaning 'may attend'. Convert it by name: masks.from_additive"
BOTH = pytest.mark.parametrize("name", ["attention", "mh_attention"])


def as_numbers(t_x, t_z):
    return jnp.where(t_z <= t_x, 0.0, -jnp.inf)


def as_integers(t_x, t_z):
    return (t_z <= t_x).astype(int)


def nothing(t_x, t_z):
    return None


def never(t_x, t_z):
    return (t_z > t_x) & (t_z < t_x)


def square(t_x, t_z):
    return jnp.ones((2, 2), bool)


@BOTH
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        pytest.param(FULL.T, ValueError, f"mask has shape (3, 4), {SHAPE}", id="transposed"),
        pytest.param(FULL[0], ValueError, f"mask has shape (3,), {SHAPE}", id="a row"),
        pytest.param(np.True_, ValueError, f"mask has shape (), {SHAPE}", id="a scalar"),
        pytest.param(FULL * 1.0, TypeError, f"mask has dtype float64, {CONVERT}", id="floats"),
        pytest.param(np.log(FULL * 1.0), TypeError, f"mask has dtype float64, {CONVERT}", id="additive"),
        pytest.param(FULL * 1, TypeError, f"mask has dtype int64, {CONVERT}", id="integers"),
        pytest.param((FULL * 1).tolist(), TypeError, f"mask has dtype int64, {CONVERT}", id="a list of integers"),
        pytest.param(None, TypeError, "mask is of type NoneType, expected a predicate", id="None"),
        pytest.param(True, TypeError, "mask is of type bool, expected a predicate of (t_x, t_z) or", id="True"),
        pytest.param("causal", TypeError, "mask is of type str, expected a predicate of (t_x, t_z) or", id="a string"),
        pytest.param(as_numbers, TypeError, "the mask's predicate returned float32, expected bool", id="scores"),
        pytest.param(as_integers, TypeError, "the mask's predicate returned int32, expected bool", id="0 and 1"),
        pytest.param(nothing, TypeError, "the mask's predicate returned NoneType, expected bool", id="nothing"),
        pytest.param(square, ValueError, f"mask has shape (2, 2), {SHAPE}", id="a predicate of its own size"),
        pytest.param(LEFT_OUT, ValueError, "the mask lets query 2 attend to nothing (row [2] is all", id="empty row"),
        pytest.param(
            LEFT_OUT.tolist(), ValueError, "the mask lets query 2 attend to nothing", id="empty row of a list"
        ),
        pytest.param(
            np.stack([FULL, LEFT_OUT]),
            ValueError,
            "the mask lets query 2 attend to nothing (row [1, 2",
            id="in a batch",
        ),
        pytest.param(never, ValueError, "the mask lets query 0 attend to nothing", id="an empty predicate"),
        pytest.param(~masks.full, ValueError, "the mask lets query 0 attend to nothing", id="the negation of all"),
        pytest.param(masks.padding(0), ValueError, "the mask lets query 0 attend to nothing", id="nothing but padding"),
    ],
)
def test_refused(name, mask, error, message):
    refused(name, {"mask": mask}, error, f"{name}: {message}")


@BOTH
@pytest.mark.parametrize("mask", [np.stack([FULL] * 3), masks.padding([1, 2, 3])], ids=["array", "predicate"])
def test_batch_axes_that_do_not_fit(name, mask):
    """The error has the leading axes of all that have some."""
    X = np.stack([good(name)["X"]] * 2)
    message = f"{name}: the leading axes are mask (3,) and X (2,), expected axes that fit each other"
    refused(name, {"X": X, "mask": mask}, ValueError, message)


@BOTH
def test_masks_that_fit(name):
    """Broadcasting is meant: a row for all queries, a mask for all sequences, and one for each."""
    one, X = call(name), np.stack([good(name)["X"]] * 2)
    for mask in (FULL.tolist(), FULL[:1], FULL[:, :1], lambda t_x, t_z: t_z < t_x + 9):
        close(call(name, mask=mask), one)
    for mask in (FULL, FULL[None], np.stack([FULL] * 2), masks.padding([L_Z, L_Z])):
        close(call(name, X=X, mask=mask), np.stack([one, one]))


@BOTH
def test_traced_empty_row(name):
    """nan for the query that sees nothing, and for no other; as often averaged over everything by other code."""
    result, others = jitted(name, mask=LEFT_OUT), np.array([0, 1, 3])
    assert is_nan(result[2])
    close(result[others], call(name)[others])


@BOTH
def test_vmap_over_masks(name):
    result = jax.vmap(lambda mask: call(name, mask=mask))(np.stack([FULL, LEFT_OUT]))
    close(result[0], call(name))
    assert is_nan(result[1, 2])


@BOTH
def test_traced_padding(name):
    """No real token in the context: every row is nan."""
    assert is_nan(jax.jit(lambda n: call(name, mask=masks.padding(n)))(0))


def test_combinations():
    """What is combined is checked as what stands alone."""
    with pytest.raises(ValueError, match=r"masks of shapes \(4, 3\) and \(3, 4\) do not combine"):
        call("attention", mask=masks.as_mask(FULL) & FULL.T)
    with pytest.raises(TypeError, match="the mask's predicate returned int32, expected bool"):
        call("attention", mask=masks.causal | as_integers)
    with pytest.raises(TypeError, match="the mask's predicate returned float32, expected bool"):
        call("attention", mask=~masks.Mask(as_numbers))
    with pytest.raises(TypeError, match="mask has dtype float64, expected bool"):
        masks.causal & (FULL * 1.0)


@pytest.mark.parametrize(
    ("adapter", "argument", "error", "message"),
    [
        (masks.padding, [1.0, 2.0], TypeError, "masks.padding: lengths have dtype float64, expected integers"),
        (masks.padding, True, TypeError, "masks.padding: lengths have dtype bool, expected integers"),
        (masks.from_additive, FULL, TypeError, "masks.from_additive: the mask has dtype bool, expected a floating"),
        (masks.from_additive, FULL * 1, TypeError, "masks.from_additive: the mask has dtype int64"),
        (masks.from_additive, [[0.0, -0.5]], ValueError, "masks.from_additive: the mask holds other values than 0 and"),
        (masks.from_additive, [[0.0, np.nan]], ValueError, "masks.from_additive: the mask holds other values than 0"),
        (masks.from_torch, np.log(FULL * 1.0), TypeError, "masks.from_torch: the mask has dtype float64, expected"),
        (masks.from_torch, FULL * 1, TypeError, "one of floats is for masks.from_additive"),
        (masks.from_padding, [[1.0, 0.0]], TypeError, "masks.from_padding: the mask has dtype float64, expected bool"),
        (masks.from_padding, [3, 2], ValueError, "masks.from_padding: the mask holds other values than 0 and 1"),
    ],
)
def test_adapters_refuse(adapter, argument, error, message):
    with pytest.raises(error) as caught:
        adapter(argument)
    assert message in str(caught.value)


def test_adapters_of_traced_values():
    """A row of which no boolean mask can be made keeps nothing, so that its queries get nan, not an answer."""
    additive = np.zeros((L_X, L_Z), np.float32)
    additive[1] = -0.5
    result = jax.jit(lambda bias: call("attention", mask=masks.from_additive(bias)))(additive)
    assert is_nan(result[1])
    assert not np.isnan(result[np.array([0, 2, 3])]).any()
    lengths = np.array([3, 2, 1])
    assert is_nan(jax.jit(lambda real: call("attention", mask=masks.from_padding(real)))(lengths))
