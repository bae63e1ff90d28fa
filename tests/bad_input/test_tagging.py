"""Selectors that name nothing or too much, and values that do not fit where they are planted: each message is read."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import formal_tx
from formal_tx.tagging import Reaped, SelectorError, line, plant, reap, stacked

from .cases import ED, D, models

X = np.array([1, 2, 3])
PREFIX = "ed_transformer_logits/"


def decoder(x):
    return formal_tx.d_transformer_logits(x, models().d, D)


def translator(x):
    return formal_tx.ed_transformer_logits(x, x, models().ed, ED)


@pytest.fixture(scope="module")
def reaped():
    return {f.__name__: reap(f)(X)[1] for f in (decoder, translator)}


REFUSED = [
    pytest.param(decoder, "SS", "'SS' names no line: no line assigns 'SS', did you mean 'S'?", id="variable"),
    pytest.param(decoder, "5.A", "no line assigns '5.A', did you mean '6.A' or '5.S' or 'A'?", id="line"),
    pytest.param(
        decoder,
        "layer/0/atention/S",
        "'layer/0/atention/S' names no line: there is no 'layer', did you mean 'layers' or 'layer_norm'?",
        id="scope",
    ),
    pytest.param(
        decoder,
        "layers/0/atention/S",
        "there is no 'atention', did you mean 'attention' or 'mh_attention'?",
        id="function",
    ),
    pytest.param(
        decoder, "zzz/S", "there is no 'zzz', expected one of attention, d_transformer_logits, ", id="nothing"
    ),
    pytest.param(
        decoder,
        "attention/layers/S",
        "'attention/layers/S' names no line, expected one of:\n"
        "  d_transformer_logits/layers/mh_attention/attention/heads/4.S\n"
        "  d_transformer_logits/layers/mh_attention/attention/heads/5.S",
        id="another order",
    ),
    pytest.param(
        translator,
        "layers/0/heads/1/S",
        "'layers/0/heads/1/S' names 3 lines, expected one of them:\n"
        f"  {PREFIX}encoder/layers/mh_attention#1/attention/heads/5.S\n"
        f"  {PREFIX}decoder/layers/self_attention/mh_attention#2/attention/heads/5.S\n"
        f"  {PREFIX}decoder/layers/cross_attention/mh_attention#3/attention/heads/5.S",
        id="several lines",
    ),
    pytest.param(decoder, "layers/m", "'layers/m' names 2 lines, expected one of them:\n", id="two calls"),
    pytest.param(
        decoder,
        "layers/1/S",
        "'layers/1/S': layers/1 is out of range, expected 0 to 0 for d_transformer_logits/mh_attention/attention/5.S",
        id="layer",
    ),
    pytest.param(decoder, "layers/0/heads/-3/S", "heads/-3 is out of range, expected 0 to 1", id="head"),
    pytest.param(
        decoder,
        "attention/0/S",
        "'attention/0/S' picks entry 0 of 'attention', which is not the name of an axis there",
        id="no axis",
    ),
    pytest.param(decoder, "heads/0/Y", "'heads/0/Y' names no line, expected one of:\n", id="an axis of others"),
    pytest.param(decoder, "3/S", "'3/S': 3 follows no name, expected an axis, as in layers/3", id="index first"),
    pytest.param(decoder, "layers/0/1/S", "'layers/0/1/S': 1 follows no name", id="two indices"),
    pytest.param(decoder, "layers/0", "'layers/0': expected names with / between them, of which the", id="index last"),
    pytest.param(decoder, "", "'': expected names with / between them", id="empty"),
    pytest.param(decoder, "layers//S", "'layers//S': expected names with / between them", id="an empty part"),
]


@pytest.mark.parametrize(("f", "selector", "message"), REFUSED)
def test_a_selector_that_names_no_line_or_several(f, selector, message, reaped):
    """The same words where values are read, and where they are planted, in a trace as well."""
    with pytest.raises(SelectorError, match=re.escape(message)):
        reaped[f.__name__][selector]
    with pytest.raises(SelectorError, match=re.escape(message)):
        jax.eval_shape(plant(f, {selector: jnp.zeros_like}), X)


def test_a_selector_that_is_no_string(reaped):
    with pytest.raises(TypeError, match="a selector is of type int, expected a string such as 'layers/0/S'"):
        reaped["decoder"][3]
    with pytest.raises(TypeError, match="a selector is of type tuple, expected a string"):
        plant(decoder, {("layers", 0): jnp.zeros_like})(X)


def test_a_selector_error_is_an_error_of_value_and_of_key():
    """As a mapping's is, and yet its message is not quoted."""
    assert issubclass(SelectorError, KeyError)
    assert issubclass(SelectorError, ValueError)
    with pytest.raises(SelectorError, match=r"^'y' names no line: none is tagged$"):
        Reaped([], [], [])["y"]


SHAPE, DTYPE = (D.L, D.H, 3, 3), "float32"


@pytest.mark.parametrize(
    ("selector", "value", "found", "expected"),
    [
        pytest.param("A", np.zeros(3, np.float32), f"shape (3,) and dtype {DTYPE}", SHAPE, id="shape"),
        pytest.param("A", 0.0, f"shape () and dtype {DTYPE}", SHAPE, id="a number"),
        pytest.param("A", np.zeros(SHAPE, np.int32), f"shape {SHAPE} and dtype int32", SHAPE, id="dtype"),
        pytest.param("A", np.zeros(SHAPE, np.float16), f"shape {SHAPE} and dtype float16", SHAPE, id="half precision"),
        pytest.param("layers/0/A", np.zeros(SHAPE), f"shape {SHAPE} and dtype {DTYPE}", SHAPE[1:], id="a layer"),
        pytest.param("heads/0/A", np.zeros(SHAPE), f"shape {SHAPE} and dtype {DTYPE}", (1, 3, 3), id="a head"),
        pytest.param("layers/0/A", lambda A: A[0], f"shape (3, 3) and dtype {DTYPE}", SHAPE[1:], id="a function"),
        pytest.param("A", lambda A: A > 0, "shape (2, 3, 3) and dtype bool", SHAPE[1:], id="a function's dtype"),
    ],
)
def test_a_value_that_does_not_fit(selector, value, found, expected):
    """The error says which line, what was given, and what is expected."""
    path = "d_transformer_logits/mh_attention/attention/6.A"
    message = f"plant: the value for {path} has {found}, expected shape {expected} and dtype {DTYPE}"
    with pytest.raises(ValueError, match=re.escape(message)):
        plant(decoder, {selector: value})(X)
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.jit(plant(decoder, {selector: value})).lower(X)


def test_values_that_are_no_mapping():
    with pytest.raises(TypeError, match="plant: values is of type list, expected a mapping of selectors to values"):
        plant(decoder, [("A", jnp.zeros_like)])


def test_a_line_that_nothing_makes_use_of():
    """A static length is tagged for its readers alone; to plant there would change nothing, in silence."""
    message = re.escape(
        "plant: d_transformer_logits/1.l is used by nothing that follows: what is planted there changes"
    )
    with pytest.raises(ValueError, match=message):
        plant(decoder, {"l": 2})(X)


def test_planting_in_what_a_backward_pass_computes_again():
    """It would be planted the first time only, and the gradient would be of neither function."""
    f = jax.checkpoint(lambda x: jnp.sin(line(1, "y", x**2)))
    message = re.escape("plant: 1.y is computed again in the backward pass, by jax.checkpoint: plant before you ")
    with pytest.raises(ValueError, match=message):
        plant(jax.grad(f), {"y": 0.3})(2.0)
    assert jax.grad(plant(f, {"y": lambda y: 2 * y}))(2.0) == pytest.approx(8 * np.cos(8))


def test_a_tag_inside_of_what_cannot_be_looked_into():
    """A function that is mapped over devices computes pieces: neither are they the value, nor is one told apart."""
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")
    f = jax.shard_map(lambda x: line(1, "y", 2 * x), mesh=mesh, in_specs=spec, out_specs=spec)
    with pytest.raises(ValueError, match=r"^1\.y is tagged inside of shard_map, which cannot be looked into$"):
        reap(f)(np.ones(4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two words",), "stacked: name is 'two words', expected letters, digits and underscores"),
        (("a/b",), "stacked: name is 'a/b', expected letters, digits and underscores"),
        (("3",), "stacked: name is '3', expected letters"),
        (("heads", 1), "stacked: axis is 1, expected a negative integer: axes count from the end"),
    ],
)
def test_axes_that_cannot_be_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        stacked(*arguments)


def test_an_axis_that_a_value_has_not_got_is_not_named():
    """A vector has no rows."""

    @stacked("rows", axis=-2)
    def layer(x, _):
        return line(1, "y", x), None

    _, values = reap(lambda x: lax.scan(layer, x, None, 2)[0])(np.ones(3))
    with pytest.raises(SelectorError, match="there is no 'rows', expected one of "):
        values["rows/0/y"]
