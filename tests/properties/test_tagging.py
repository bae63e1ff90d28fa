"""`line` is the identity, and `reap` reads what it tagged: through every transformation, with the right values."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from jax import lax
from jax.extend.source_info_util import extend_name_stack

import formal_tx
from formal_tx.tagging import Reaped, line, reap, stacked

from .strategies import (
    ED,
    L_X,
    L_Z,
    PAPER,
    D,
    close,
    few,
    normal,
    pick,
    random_heads,
    random_model,
    seeds,
    tokens,
)


def double(x):
    return line(1, "y", 2 * x)


jitted = jax.jit(double)


def tagged(f, *arguments):
    """What `reap` finds, once it is sure that `f` gives the same as without it."""
    result, values = reap(f)(*arguments)
    for got, expected in zip(jax.tree.leaves(result), jax.tree.leaves(f(*arguments)), strict=True):
        close(got, expected)
    return values


def check(values, **expected):
    """The tags found are these, and no others. `/`, `#` and `.` of a path are spelled `__`, `_nr_` and `_dot_`."""
    spelled = {k.replace("_nr_", "#").replace("_dot_", ".").replace("__", "/"): v for k, v in expected.items()}
    assert set(values) == set(spelled)
    for name, value in spelled.items():
        close(values[name], value)


@few
@given(seed=seeds)
def test_line_is_the_identity(seed):
    """Of arrays, of pytrees and of integers; each leaf of a pytree is tagged with its path."""
    x = normal(seed, 3)
    np.testing.assert_array_equal(line(1, "x", x), x)
    assert line(1, "l", 5) == 5
    assert isinstance(line(1, "l", 5), int)
    tree = {"a": x, "b": (x, 2 * x)}
    jax.tree.map(np.testing.assert_array_equal, line(1, "theta", tree), tree)
    values = tagged(lambda x: line(1, "theta", {"a": x, "b": (x, 2 * x)}), x)
    assert set(values) == {"1.theta['a']", "1.theta['b'][0]", "1.theta['b'][1]"}
    assert int(reap(lambda x: (line(1, "l", 5), x))(x)[1]["1.l"]) == 5


def test_reap_through_jit():
    """A jitted function gives its name to the path; called again it has `#2`, `#3` behind it."""
    check(tagged(jitted, 3.0), double__1_dot_y=6)
    check(
        tagged(lambda x: jitted(jitted(jitted(x))), 3.0),
        double__1_dot_y=6,
        double_nr_2__1_dot_y=12,
        double_nr_3__1_dot_y=24,
    )

    @jax.jit
    def outer(x):
        return jitted(jitted(x))

    check(
        tagged(lambda x: outer(jitted(x)), 3.0),
        double__1_dot_y=6,
        outer__double__1_dot_y=12,
        outer__double_nr_2__1_dot_y=24,
    )


def test_reap_through_scan():
    """Values of a loop are stacked, those of loops in loops twice; in reverse too."""
    xs = np.arange(1.0, 4.0)

    def add(c, x):
        c = line(1, "c", c + x)
        return c, 2 * c

    check(tagged(lambda xs: lax.scan(add, 0.0, xs), xs), **{"1_dot_c": np.cumsum(xs)})
    check(tagged(lambda xs: lax.scan(add, 0.0, xs, reverse=True), xs), **{"1_dot_c": np.cumsum(xs[::-1])[::-1]})
    nested = tagged(lambda xs: lax.scan(lambda c, _: (lax.scan(add, c, xs)[0], None), 0.0, None, 2), xs)
    check(nested, **{"1_dot_c": [[1, 3, 6], [7, 9, 12]]})
    check(tagged(lambda xs: lax.map(jitted, xs), xs), double__1_dot_y=2 * xs)


def test_reap_through_vmap():
    """Inside and outside: the values are batched."""
    xs = np.arange(3.0)
    check(tagged(jax.vmap(jitted), xs), double__1_dot_y=2 * xs)
    result, values = jax.vmap(reap(jitted))(xs)
    close(result, 2 * xs)
    check(values, double__1_dot_y=2 * xs)
    result, values = jax.vmap(reap(jitted), in_axes=0, out_axes=0)(xs[:, None] * np.ones(2))
    check(values, double__1_dot_y=2 * xs[:, None] * np.ones(2))


def test_reap_through_grad():
    """In a gradient the values are those of the forward pass."""

    def f(x):
        return jnp.sin(jitted(x)) * line(2, "z", x**2)

    assert {"1.y", "2.z"} <= {name.rpartition("/")[2] for name in reap(f)(3.0)[1]}
    for transformed in (jax.grad(f), jax.value_and_grad(f), jax.grad(jax.jit(f)), jax.jit(jax.grad(f))):
        _, values = reap(transformed)(3.0)
        found = {name.rpartition("/")[2]: value for name, value in values.items()}
        close(found["1.y"], 6)
        close(found["2.z"], 9)


def test_reap_through_the_gradient_of_a_loop():
    """Also where the layers are a scan, with or without checkpoints."""

    def layer(x, w):
        return jnp.sin(line(1, "y", w * x)), None

    ws = np.arange(1.0, 4.0)
    expected = reap(lambda x: lax.scan(layer, x, ws)[0])(0.5)[1]["1.y"]
    for body in (layer, jax.checkpoint(layer)):
        gradient = jax.grad(lambda x, body=body: lax.scan(body, x, ws)[0])
        result, values = reap(gradient)(0.5)
        close(result, gradient(0.5))
        close(values["1.y"], expected)


def test_reap_through_checkpoint():
    """What is computed anew in the backward pass is tagged all the same."""
    check(tagged(jax.checkpoint(double), 3.0), **{"1_dot_y": 6})
    check(tagged(jax.checkpoint(jitted), 3.0), double__1_dot_y=6)
    policy = jax.checkpoint_policies.save_only_these_names("1.y")
    f = jax.checkpoint(lambda x: jnp.sin(double(x)), policy=policy)
    check(tagged(f, 3.0), **{"1_dot_y": 6})
    close(jax.grad(f)(3.0), 2 * np.cos(6))
    gradient, values = reap(jax.grad(f))(3.0)
    close(gradient, 2 * np.cos(6))
    close(values["1.y"], 6)


def test_reap_through_cond():
    """The branch taken has its values; the others nan, and 0 for integers."""

    def f(n, x):
        return lax.switch(n, [lambda x: line(1, "a", 2 * x), lambda x: line(2, "b", 3 * x)], x)

    check(tagged(f, 0, 5.0), **{"1_dot_a": 10, "2_dot_b": np.nan})
    check(tagged(f, 1, 5.0), **{"1_dot_a": np.nan, "2_dot_b": 15})
    branches = [lambda x: x, lambda x: x + line(3, "c", x * 7)]
    check(tagged(lambda n, x: lax.switch(n, branches, x), 0, 5), **{"3_dot_c": 0})
    check(tagged(lambda n, x: lax.switch(n, branches, x), 1, 5), **{"3_dot_c": 35})


def test_reap_through_while_loop():
    """The values of the last iteration; nan if there is none."""

    def f(n):
        return lax.while_loop(lambda c: c < n, lambda c: line(1, "c", c + 2.0), 0.0)

    check(tagged(f, 5.0), **{"1_dot_c": 6})
    check(tagged(f, 0.0), **{"1_dot_c": np.nan})
    check(tagged(lambda n: lax.fori_loop(0, 4, lambda i, c: double(c), n), 1.0), **{"1_dot_y": [2, 4, 8, 16]})


@jax.custom_jvp
def with_jvp(x):
    return double(x)


with_jvp.defjvp(lambda primals, tangents: (with_jvp(*primals), 100 * tangents[0]))


@jax.custom_vjp
def with_vjp(x):
    return double(x)


with_vjp.defvjp(lambda x: (with_vjp(x), None), lambda _, g: (100 * g,))

CUSTOM = pytest.mark.parametrize("f", [with_jvp, with_vjp], ids=["custom_jvp", "custom_vjp"])


@CUSTOM
def test_reap_through_functions_with_their_own_derivative(f):
    """A function with a derivative of its own is looked into."""
    check(tagged(f, 3.0), **{"1_dot_y": 6})


@CUSTOM
def test_a_reaped_function_keeps_its_own_derivative(f):
    """And to differentiate the reaped function is to use that derivative."""
    close(jax.grad(f)(3.0), 100)
    close(jax.grad(lambda x: reap(f)(x)[0])(3.0), 100)


@few
@given(seed=seeds)
def test_the_reaped_function_is_pure(seed):
    """It can be jitted and differentiated, in its result and in its tagged values."""
    X, params = normal(seed, L_X, 6), random_heads(seed, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=5, H=3)
    expected, values = reaped(X, params)
    result, again = jit_reaped(X, params)
    close(result, expected)
    assert set(values) == set(again)
    for name in values:
        close(again[name], values[name])
    gradient = grad_reaped(X, params)
    for got, leaf in zip(jax.tree.leaves(gradient), jax.tree.leaves(grad_plain(X, params)), strict=True):
        close(got, leaf)
    close(grad_of_line(X, params).heads.W_q, grad_by_hand(X, params).heads.W_q)


reaped = reap(lambda X, params: formal_tx.mh_attention(X, X, params))
jit_reaped = jax.jit(reaped)
grad_reaped = jax.jit(jax.grad(lambda X, params: jnp.sum(jnp.sin(reaped(X, params)[0])), argnums=1))
grad_plain = jax.jit(jax.grad(lambda X, params: jnp.sum(jnp.sin(formal_tx.mh_attention(X, X, params))), argnums=1))
grad_of_line = jax.jit(
    jax.grad(lambda X, params: jnp.sum(reaped(X, params)[1]["mh_attention/attention/4.S"] ** 2), argnums=1)
)


def _scores(X, params):
    heads = params.heads
    Q = jnp.einsum("ld,had->hla", X, heads.W_q) + heads.b_q[:, None]
    K = jnp.einsum("ld,had->hla", X, heads.W_k) + heads.b_k[:, None]
    return jnp.sum((Q @ K.mT) ** 2)


grad_by_hand = jax.jit(jax.grad(_scores, argnums=1))


def test_the_lines_of_multi_head_attention():
    """The values are those of the algorithm's variables."""
    X, params = normal(0, L_X, 6), random_heads(0, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=5, H=3)
    values = tagged(lambda X: formal_tx.mh_attention(X, X, params), X)
    mask = formal_tx.masks.full
    for h in range(3):
        head = pick(params.heads, h)
        close(values["mh_attention/attention/1.Q"][h], X @ head.W_q.T + head.b_q)
        close(values["mh_attention/attention/6.V_tilde"][h], PAPER.attention(X, X, head, mask))
    close(values["mh_attention/4.V_tilde"], PAPER.mh_attention(X, X, params, mask))


def test_the_lines_of_a_decoder():
    """One entry for each line and, in the layers, one row for each of these."""
    x, params = tokens(0, L_Z), random_model(0, D)
    values = tagged(lambda x: formal_tx.d_transformer(x, params, D), x)
    lines = {name.rpartition("/")[2] for name in values if name.count("/") <= 2}
    assert {"1.l", "2.e", "3.X", "5.X_tilde", "6.X", "7.X_tilde", "8.X", "10.X", "11.P"} <= lines
    prefix = "d_transformer/d_transformer_logits/"
    assert values[f"{prefix}8.X"].shape == (D.L, L_Z, D.d_e)
    assert values[f"{prefix}mh_attention/attention/4.S"].shape == (D.L, D.H, L_Z, L_Z)
    close(values[f"{prefix}3.X"], params.W_e[x] + params.W_p[:L_Z])
    close(values["d_transformer/11.P"], PAPER.d_transformer(x, params, D))


def test_the_same_function_in_two_loops():
    """Algorithm 8 calls MHAttention in its encoder and in its decoder: no value is lost to another of its name."""
    z, x, params = tokens(0, L_Z), tokens(1, L_X), random_model(0, ED)
    values = tagged(lambda z, x: formal_tx.ed_transformer(z, x, params, ED), z, x)
    scores = {np.shape(value) for name, value in values.items() if name.endswith("attention/4.S")}
    encoder, decoder, cross = (1, 3, L_Z, L_Z), (2, 3, L_X, L_X), (2, 3, L_X, L_Z)
    assert scores == {encoder, decoder, cross}


@pytest.mark.parametrize(
    "twice",
    [
        lambda x: jax.checkpoint(lambda x: jitted(x))(jax.checkpoint(lambda x: jitted(x))(x)),
        lambda x: lax.fori_loop(0, 1, lambda i, x: jitted(x), lax.fori_loop(0, 1, lambda i, x: jitted(x), x)),
        lambda x: lax.cond(x > 0, jitted, jitted, lax.cond(x > 0, jitted, jitted, x)),
        lambda x: lax.while_loop(lambda x: x < 12, jitted, lax.while_loop(lambda x: x < 6, jitted, x)),
    ],
    ids=["checkpoint", "fori_loop", "cond", "while_loop"],
)
def test_a_function_called_twice_by_others(twice):
    """A function called again under the same path is found again, whatever the calls are wrapped in."""
    values = tagged(twice, 3.0)
    assert sorted(float(np.ravel(value)[-1]) for value in values.values()) == [6, 12]


def test_the_same_label_in_two_loops():
    """Two loops in one function that tag the same line: the second is found again."""

    def f(x):
        x, _ = lax.scan(lambda c, _: (line(1, "y", c + 1), None), x, length=2)
        x, _ = lax.scan(lambda c, _: (line(1, "y", c + 1), None), x, length=3)
        return x

    _, values = reap(f)(jnp.asarray(0.0))
    assert {name: value.tolist() for name, value in values.items()} == {"1.y": [1, 2], "1.y#2": [3, 4, 5]}


def test_arguments_that_are_no_arrays_reach_the_function_as_they_are():
    """Hyperparameters and counts stay static, as `jit` would have them."""
    _, values = reap(formal_tx.d_transformer)(tokens(0, L_X), random_model(0, D), D)
    assert values["d_transformer/11.P"].shape == (L_X, D.N_V)


def translated():
    z, x, params = tokens(0, L_Z), tokens(1, L_X), random_model(0, ED)
    return reap(lambda z, x: formal_tx.ed_transformer(z, x, params, ED))(z, x)[1]


def test_selectors():
    """As much of a path as tells it apart, with scopes, the index of a layer and of a head."""
    values = translated()
    prefix = "ed_transformer/ed_transformer_logits/"
    for selector, path, index in [
        ("e_z", f"{prefix}2.e_z", ()),
        ("2.e_z", f"{prefix}2.e_z", ()),
        ("encoder/layers/Z", f"{prefix}8.Z", ()),  # the last line that assigns Z
        ("Z", f"{prefix}8.Z", ()),
        ("layers/0/5.Z", f"{prefix}5.Z", (0,)),
        ("decoder/layers/1/X", f"{prefix}19.X", (1,)),
        ("decoder/layers/-1/X", f"{prefix}19.X", (1,)),
        ("encoder/S", f"{prefix}mh_attention/attention/5.S", ()),
        ("mh_attention#1/S", f"{prefix}mh_attention/attention/5.S", ()),
        ("encoder/layers/0/attention/heads/2/4.S", f"{prefix}mh_attention/attention/4.S", (0, 2)),
        ("self_attention/heads/1/A", f"{prefix}mh_attention#2/attention/6.A", (slice(None), 1)),
        ("layers/1/cross_attention/heads/-3/K", f"{prefix}mh_attention#3/attention/2.K", (1, 0)),
        ("cross_attention/heads/0/Y_h", f"{prefix}mh_attention#3/2.Y_h", (slice(None), 0)),
        ("layer_norm#4/e_hat", f"{prefix}layer_norm#4/3.e_hat", ()),
    ]:
        assert values.selectors.keys() == set(values)
        np.testing.assert_array_equal(values[selector], values[path][index], selector)


def test_the_whole_selector_of_every_path_finds_it():
    """Of all lines of all architectures; they are what an error lists."""
    values = translated()
    for path, selector in values.selectors.items():
        assert values[selector] is values[path]
    heads = [selector for selector in values.selectors.values() if "/heads/" in selector]
    assert len(heads) == 3 * 8
    assert "ed_transformer/ed_transformer_logits/encoder/layers/layer_norm#1/1.m" in values.selectors.values()


def test_what_is_reaped_is_a_mapping_and_a_pytree():
    """Iterating gives the paths, in the order of the algorithm; transformations give the same mapping again."""
    values = translated()
    assert list(values)[:3] == [f"ed_transformer/ed_transformer_logits/{name}" for name in ("1.l_z", "2.e_z", "3.Z")]
    assert len(values) == len(dict(values)) == 62
    assert next(iter(values)) in values
    assert "e_z" not in values
    assert values.get("nothing") is None
    assert repr(reap(jitted)(3)[1]) == "Reaped({'double/1.y': Array(6, dtype=int64, weak_type=True)})"
    assert isinstance(jax.tree.map(jnp.sin, values), Reaped)
    paths, _ = jax.tree_util.tree_flatten_with_path(values)
    assert {path[0].key for path, _ in paths} < set(values)
    again = [path for path in values if path not in {path[0].key for path, _ in paths}]
    assert again == [
        path for path in values if path.endswith(("2.Y_h", "/3.Z", "/12.X", "/6.Z", "/8.Z", "15.X", "17.X", "19.X"))
    ]
    batched = jax.vmap(lambda x: reap(lambda x: in_two_layers(x))(x)[1])(np.ones((5, 2, 3)))
    assert batched["layers/1/y"].shape == (5, 2, 3)
    assert batched["layers/1/rows/0/y"].shape == (5, 3)
    gradient = jax.grad(lambda x: reap(in_two_layers)(x)[1]["layers/1/rows/0/y"].sum())(np.ones((2, 3)))
    close(gradient, np.array([[4.0] * 3, [0.0] * 3]))


def in_two_layers(x):
    @stacked("layers")
    @stacked("rows", axis=-2)
    def layer(x, _):
        return line(1, "y", 2 * x), None

    return lax.scan(layer, x, None, length=2)[0]


def parameters_mapped(**axes):
    """The axes that `vmap` maps of the parameters of attention: none but the given ones."""
    heads = formal_tx.AttentionParameters(W_q=None, b_q=None, W_k=None, b_k=None, W_v=None, b_v=None)
    return formal_tx.MHAttentionParameters(heads=heads.replace(**axes), W_o=None, b_o=None)


@pytest.mark.parametrize("mapped", [{"W_v": 0}, {"W_q": 2}, {"W_k": 1, "b_k": 0}, {"W_q": 0, "W_v": 3}], ids=str)
def test_the_axes_of_vmap_lead_wherever_jax_puts_them(mapped):
    """Reaped inside or outside, a head is a head."""
    X, params = normal(0, L_X, 6), random_heads(0, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=5, H=3)
    stacks = {
        name: np.stack([getattr(params.heads, name) * (n + 1) for n in range(4)], axis) for name, axis in mapped.items()
    }
    params = params.replace(heads=params.heads.replace(**stacks))
    axes = (parameters_mapped(**mapped),)
    f = lambda params: formal_tx.mh_attention(X, X, params)  # noqa: E731
    _, outside = reap(jax.vmap(f, in_axes=axes))(params)
    _, inside = jax.vmap(reap(f), in_axes=axes)(params)
    for name in ("Q", "K", "V", "4.S", "A", "attention/V_tilde", "heads/2.Y_h"):
        close(np.broadcast_to(outside[name], inside[name].shape), inside[name])
    assert outside["attention/V_tilde"].shape == (4, 3, L_X, 4)
    close(outside["attention/heads/1/V_tilde"], inside["attention/V_tilde"][:, 1])


def program(f, *args):
    """The optimised program that `f` is compiled to, without what says where it comes from, its regions renumbered."""
    jax.clear_caches()
    text = jax.jit(f).lower(*args).compile().as_text()
    text = text[text.index("\n\n%") if "\n\n%" in text else text.index("ENTRY") :]
    text = re.sub(r", metadata=\{[^}]*\}", "", text)
    names: dict[str, str] = {}
    return re.sub(r"%[\w.\-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), text)


@pytest.fixture
def untag(monkeypatch):
    """Take the tags and the names of axes out of the library."""

    def untag():
        for name, module in list(sys.modules.items()):
            if name.startswith("formal_tx.") and getattr(module, "line", None) is line:
                monkeypatch.setattr(module, "line", lambda number, name, value: value)
        monkeypatch.setattr(extend_name_stack, "__enter__", lambda self: None)  # which is what a scope is
        monkeypatch.setattr(extend_name_stack, "__exit__", lambda *_: None)

    yield untag
    monkeypatch.undo()
    jax.clear_caches()


@pytest.mark.parametrize(
    "name", ["attention", "d_transformer_logits", pytest.param("its gradient", marks=pytest.mark.slow)]
)
def test_the_compiled_program_is_the_same_without_tags(name, untag):
    """Tags cost nothing once they are compiled."""
    X, heads = normal(0, L_X, 6), random_heads(0, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=5, H=3)
    x, params = tokens(0, L_Z), random_model(0, D)
    f, args = {
        "attention": (lambda X: formal_tx.attention(X, X, heads.heads), (X,)),
        "d_transformer_logits": (lambda x, params: formal_tx.d_transformer_logits(x, params, D), (x, params)),
        "its gradient": (jax.grad(lambda params, x: formal_tx.losses.d_loss(params, x, D)), (params, x)),
    }[name]
    with_tags = program(f, *args)
    assert reap(f)(*args)[1]
    assert "dot" in with_tags
    untag()
    assert program(f, *args) == with_tags
    assert not reap(f)(*args)[1]


@pytest.mark.parametrize("gradient", [False, True])
def test_nothing_is_computed_twice(gradient):
    """A reaped function has as many products of matrices and exponentials as the function itself."""
    x, params = tokens(0, L_Z), random_model(0, D)
    f = lambda params: formal_tx.d_transformer_logits(x, params, D).sum()  # noqa: E731
    plain, read = (jax.grad(f), jax.grad(lambda params: reap(f)(params)[0])) if gradient else (f, reap(f))
    for operation in ("dot_general", "exp ", "erf", "reduce_max", "scan"):
        assert str(jax.make_jaxpr(read)(params)).count(operation) == str(jax.make_jaxpr(plain)(params)).count(operation)


def test_a_checkpoint_stays_one():
    """What `jax.checkpoint` computes again it computes again in the gradient of the reaped function too."""
    f = jax.checkpoint(lambda x: jnp.sin(jitted(jnp.sin(x))))
    plain, read = (str(jax.make_jaxpr(jax.grad(g))(3.0)) for g in (f, lambda x: reap(f)(x)[0]))
    assert plain.count("sin ") == read.count("sin ")
    assert "remat2[" in plain
    assert "remat2[" in read
    close(jax.grad(lambda x: reap(f)(x)[1]["y"])(3.0), 2 * np.cos(3.0))
