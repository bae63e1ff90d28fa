"""`plant` puts a value in the place of another: through every transformation, and everything after sees it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

import formal_tx
from formal_tx.linear import affine
from formal_tx.tagging import line, plant, reap

from .strategies import ED, L_X, L_Z, D, close, examples, few, normal, random_heads, random_model, seeds, tokens

# Functions that run one line inside of all that JAX has, and then `change` what it computes, as `plant` should.


def kept(y):
    return y


def changed(y):
    return 3 * y + y**2


def tagged(x, change):
    return change(line(1, "y", jnp.sin(x)))


def in_jit(x, change):
    return jax.jit(lambda x: 2 * tagged(x, change))(x) * x


def in_scan(x, change):
    return lax.scan(lambda c, w: (tagged(c * w, change), c), x, jnp.arange(1.0, 4.0))[0]


def in_a_scan_in_reverse_in_a_scan(x, change):
    def outer(c, w):
        return lax.scan(lambda c, v: (tagged(c * v, change) + w, c), c, jnp.arange(1.0, 4.0), reverse=True)[0], w

    return lax.scan(outer, x, jnp.arange(2.0))[0]


def in_vmap(x, change):
    return jax.vmap(lambda w: tagged(x * w, change))(jnp.arange(1.0, 4.0)).sum()


def in_checkpoint(x, change):
    return jax.checkpoint(lambda x: jnp.cos(tagged(x, change)))(x)


def in_a_checkpoint_with_a_policy(x, change):
    policy = jax.checkpoint_policies.save_only_these_names("1.y")
    return jax.checkpoint(lambda x: jnp.cos(tagged(x, change)), policy=policy)(x)


def in_checkpoints_in_a_scan(x, change):
    return lax.scan(jax.checkpoint(lambda c, w: (tagged(c * w, change), None)), x, jnp.arange(1.0, 4.0))[0]


def in_the_branch_taken(x, change):
    return lax.cond(x > -10, lambda x: tagged(x, change), lambda x: 0 * x, x)


def in_the_branch_not_taken(x, change):
    return lax.cond(x < -10, lambda x: tagged(x, change), lambda x: 2 * x, x)


def in_both_branches(x, change):
    return lax.cond(x > 0.5, lambda x: tagged(x, change), lambda x: 2 * tagged(x, change), x)


def in_fori_loop(x, change):
    return lax.fori_loop(0, 3, lambda i, x: tagged(x, change), x)


def in_all_of_them(x, change):
    def body(c, w):
        c = lax.cond(c * w > 0, lambda c: in_jit(c, change), lambda c: in_jit(-c, change), c)
        return jax.vmap(lambda v: jnp.tanh(c * v))(jnp.ones(2)).sum(), None

    return lax.scan(jax.checkpoint(body), x, jnp.arange(1.0, 4.0))[0]


def in_while_loop(x, change):
    return lax.while_loop(lambda c: jnp.abs(c) < 20, lambda c: 2 * c + tagged(c, change), x)


INSIDE = [value for name, value in list(globals().items()) if name.startswith("in_")]

OUTSIDE = {
    "nothing": lambda f: f,
    "jit": jax.jit,
    "vmap": lambda f: jax.vmap(f),
    "grad": lambda f: jax.vmap(jax.grad(f)),
    "jit of vmap of grad": lambda f: jax.jit(jax.vmap(jax.grad(f))),
    "grad of jit": lambda f: jax.vmap(jax.grad(jax.jit(f))),
    "grad of checkpoint": lambda f: jax.vmap(jax.grad(jax.checkpoint(f))),
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),)),
    "hessian": lambda f: jax.vmap(jax.grad(jax.grad(f))),
    "map": lambda f: lambda xs: lax.map(f, xs),
}
MAPPED = {"nothing": 0.7, "jit": 0.7, "jvp": 0.7}


def combinations():
    """All of the above, but that JAX has no reverse mode for `while_loop`."""
    for inside in INSIDE:
        for outside in OUTSIDE:
            if inside is not in_while_loop or not {"grad", "hessian"} & set(outside.split()):
                yield pytest.param(inside, outside, id=f"{outside} {inside.__name__}")


@pytest.mark.parametrize(("inside", "outside"), [*combinations()])
def test_what_is_planted_is_seen_through_every_transformation(inside, outside):
    """As if the function had been written so."""
    x = MAPPED.get(outside, jnp.array([0.7, -0.4, 1.3]))
    written = OUTSIDE[outside](lambda x: inside(x, changed))(x)
    planted = OUTSIDE[outside](plant(lambda x: inside(x, kept), {"y": changed}))(x)
    jax.tree.map(close, planted, written)


@pytest.mark.parametrize("inside", INSIDE[:-1], ids=lambda f: f.__name__)  # each iteration has its own
def test_planting_the_values_that_were_there_changes_nothing(inside):
    """And a reaped planted function shows what is planted."""
    f = lambda x: inside(x, kept)  # noqa: E731
    result, values = reap(f)(0.7)
    if inside is not in_the_branch_not_taken:
        assert not np.isnan(values["y"]).any()
    close(plant(f, {"y": values["y"]})(0.7), result)
    others = jnp.cos(jnp.arange(values["y"].size)).reshape(values["y"].shape)
    planted, shown = reap(plant(f, {"y": others}))(0.7)
    close(plant(f, {"y": others})(0.7), planted)
    if inside is not in_the_branch_not_taken:
        close(shown["y"], others)
    assert list(shown) == list(values)
    assert shown.selectors == values.selectors


@pytest.mark.parametrize("inside", INSIDE, ids=lambda f: f.__name__)
def test_planting_twice(inside):
    """What is planted is tagged as what it replaces was."""
    twice = plant(plant(lambda x: inside(x, kept), {"y": changed}), {"y": changed})
    close(twice(0.7), inside(0.7, lambda y: changed(changed(y))))


# Derivatives.


@jax.custom_jvp
def with_jvp(x):
    return 2 * line(1, "y", x) * line(2, "z", x)


with_jvp.defjvp(lambda primals, tangents: (with_jvp(*primals), 100 * tangents[0]))


@jax.custom_vjp
def with_vjp(x):
    return 2 * line(1, "y", x) * line(2, "z", x)


with_vjp.defvjp(lambda x: (with_vjp(x), None), lambda _, g: (100 * g,))


@pytest.mark.parametrize("f", [with_jvp, with_vjp], ids=["custom_jvp", "custom_vjp"])
def test_the_derivative_of_a_function_with_its_own(f):
    """It is kept where nothing is planted inside, and is that of the body where something is."""
    outside = lambda x: f(x) + line(3, "w", x)  # noqa: E731
    close(jax.grad(plant(outside, {"w": lambda w: 5 * w}))(3.0), 105)
    close(plant(outside, {"y": 7.0})(3.0), 2 * 7 * 3 + 3)
    close(jax.grad(plant(outside, {"y": 7.0}))(3.0), 2 * 7 + 1)
    close(jax.grad(lambda y: plant(outside, {"y": y})(3.0))(7.0), 2 * 3)
    result, values = reap(plant(outside, {"y": 7.0}))(3.0)
    close(result, 2 * 7 * 3 + 3)
    assert {path: float(value) for path, value in values.items()} == {"1.y": 7, "2.z": 3, "3.w": 3}
    close(jax.grad(lambda x: reap(outside)(x)[1]["y"] * reap(outside)(x)[0])(3.0), (2 * 3 * 3 + 3) + 3 * 101)


def test_planting_in_a_gradient_is_planting_in_its_forward_pass():
    """The backward pass is what it was: the planted value stands for what would have been computed there."""
    f = lambda x: jnp.sin(line(1, "y", x**2))  # noqa: E731
    close(plant(jax.grad(f), {"y": 0.3})(2.0), np.cos(0.3) * 4)
    close(jax.grad(plant(f, {"y": 0.3}))(2.0), 0)


X, Z = normal(0, L_X, 6), normal(1, L_Z, 6)
HEADS = random_heads(0, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=5, H=3)


def heads_with(A):
    return plant(formal_tx.mh_attention, {"A": A})(X, Z, HEADS)


loss = jax.jit(lambda A: jnp.sum(jnp.sin(heads_with(A))))
gradient = jax.jit(jax.grad(lambda A: jnp.sum(jnp.sin(heads_with(A)))))


@few
@given(seed=seeds)
def test_the_gradient_with_respect_to_an_attention_matrix(seed):
    """Against central differences, in a random direction."""
    A, direction = np.abs(normal(seed, 3, L_X, L_Z)), normal(seed + 1, 3, L_X, L_Z)
    h = 1e-5
    slope = (loss(A + h * direction) - loss(A - h * direction)) / (2 * h)
    np.testing.assert_allclose(np.sum(gradient(A) * direction), slope, rtol=1e-7, atol=1e-7)


def test_many_plantings_at_once():
    """`vmap` over what is planted, alone and together with a gradient, is a loop."""
    A = np.abs(normal(3, 4, 3, L_X, L_Z))
    close(jax.jit(jax.vmap(heads_with))(A), np.stack([heads_with(a) for a in A]))
    close(jax.jit(jax.vmap(gradient))(A), np.stack([gradient(a) for a in A]))


# Models.

PARAMS, TOKENS = random_model(0, D), tokens(0, L_Z)
ED_PARAMS, ED_TOKENS = random_model(0, ED), (tokens(1, L_Z), tokens(2, L_X))


def decoder(x):
    return formal_tx.d_transformer_logits(x, PARAMS, D)


def translator(z, x):
    return formal_tx.ed_transformer(z, x, ED_PARAMS, ED)


@cache
def decoded():
    """What the decoder computes by itself."""
    return reap(decoder)(TOKENS)[1]


def usable(f, *args):
    """The paths of `f` in which something can be planted: all but the lengths, which are static."""
    return [path for path in reap(f)(*args)[1] if path.rpartition("/")[2] not in ("1.l", "1.l_z", "10.l_x")]


@pytest.mark.parametrize(("f", "args"), [(decoder, (TOKENS,)), (translator, ED_TOKENS)], ids=["decoder", "translator"])
def test_planting_identities_changes_not_a_bit(f, args):
    """In every line of a model at once."""
    planted = plant(f, dict.fromkeys(usable(f, *args), kept))
    np.testing.assert_array_equal(jax.jit(planted)(*args), jax.jit(f)(*args))


@examples(max_examples=3)
@given(seed=seeds, n=st.integers(0, 25))
def test_a_line_of_a_decoder_becomes_what_is_planted(seed, n):
    """It is shown, what comes before it is as it was, and what follows it follows from it."""
    before, paths = decoded(), usable(decoder, TOKENS)
    path = paths[n]
    value = jnp.asarray(1 + 0.1 * np.abs(normal(seed, *before[path].shape)), before[path].dtype)
    result, values = jax.jit(reap(plant(decoder, {path: value})))(TOKENS)
    np.testing.assert_array_equal(values[path], value)
    close(result, affine(values["10.X"], PARAMS.W_u))
    for earlier in paths[:n]:
        first = (0,) if before[earlier].shape[0] == D.L else ()  # the first layer: others follow it
        close(values[earlier][first], before[earlier][first])
    if not path.endswith("attention/6.V_tilde"):
        close(values["layers/heads/6.V_tilde"], values["A"] @ values["V"])
    if not path.endswith("mh_attention/4.V_tilde"):
        W = PARAMS.layers.attention
        close(values["mh_attention/4.V_tilde"], values["3.Y"] @ np.swapaxes(W.W_o, -1, -2) + W.b_o[:, None])


def test_one_layer_and_one_head():
    """A head whose answer is 0 is a head whose columns of W_o are 0, in that layer alone."""
    for layer, head in ((0, 0), (1, 2), (-1, -1)):
        d_mid = D.d_mid
        W_o = PARAMS.layers.attention.W_o.copy()
        W_o[layer].reshape(D.d_e, D.H, d_mid)[:, head] = 0
        without = PARAMS.replace(
            layers=PARAMS.layers.replace(attention=PARAMS.layers.attention.replace(W_o=W_o)),
        )
        expected = formal_tx.d_transformer_logits(TOKENS, without, D)
        for nothing in (np.zeros((L_Z, d_mid)), jnp.zeros_like):
            planted = plant(decoder, {f"layers/{layer}/heads/{head}/V_tilde": nothing})
            close(jax.jit(planted)(TOKENS), expected)


def test_a_function_is_called_with_the_value_of_its_layer():
    """Of all layers, or of the one that is picked."""
    before, shapes = decoded(), []

    def half(A):
        shapes.append(A.shape)
        return A / 2

    _, values = reap(plant(decoder, {"A": half}))(TOKENS)
    close(values["layers/0/A"], before["layers/0/A"] / 2)
    _, values = reap(plant(decoder, {"layers/1/A": half, "layers/1/heads/2/A": half}))(TOKENS)
    close(values["layers/0/A"], before["layers/0/A"])
    close(values["layers/1/A"], before["layers/1/A"] / np.array([2.0, 2.0, 4.0])[:, None, None])
    assert set(shapes) == {(D.H, L_Z, L_Z), (L_Z, L_Z)}


@examples(max_examples=3)
@given(seed=seeds, layer=st.integers(0, D.L - 1), head=st.integers(0, D.H - 1))
def test_several_selectors(seed, layer, head):
    """They are independent of each other, and the later is served after the earlier."""
    S, A = normal(seed, L_Z, L_Z), normal(seed + 1, D.H, L_Z, L_Z)
    other = (layer + 1) % D.L
    planted = plant(decoder, {f"layers/{layer}/A": A, f"layers/{layer}/heads/{head}/A": S, f"layers/{other}/A": -A})
    _, values = reap(planted)(TOKENS)
    close(values[f"layers/{layer}/A"], np.where(np.arange(D.H)[:, None, None] == head, S, A))
    close(values[f"layers/{other}/A"], -A)


def test_the_attentions_of_an_encoder_decoder():
    """Each is found by the name of where it is; changing one changes none before it."""
    names = ["encoder/A", "self_attention/A", "cross_attention/A"]
    _, before = reap(translator)(*ED_TOKENS)
    assert [before[A].shape for A in names] == [(1, 3, L_Z, L_Z), (2, 3, L_X, L_X), (2, 3, L_X, L_Z)]
    for name in names[1:]:
        _, after = jax.jit(reap(plant(translator, {name: jnp.zeros_like})))(*ED_TOKENS)
        np.testing.assert_array_equal(after[name], 0)
        for earlier in names[: names.index(name)]:
            close(after[earlier][0], before[earlier][0])
