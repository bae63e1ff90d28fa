"""What the compiler is given: for every platform, of one size whatever the depth, without the tags, and in shards."""

import re
import sys
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import formal_tx
from formal_tx.losses import d_loss

from .strategies import ED, PUBLIC, D, E, close, normal, random_heads, random_model, same_tree, tokens

PLATFORMS = ["cpu", "cuda", "rocm", "tpu"]


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_every_function_lowers_for_every_platform(name, x64):
    """`jax.export` makes one module of it for CPU, CUDA, ROCm and TPU."""
    public = PUBLIC[name]
    with jax.enable_x64(x64):
        arguments = jax.tree.map(jax.numpy.asarray, public.draw(0))
        exported = jax.export.export(jax.jit(public.f), platforms=PLATFORMS)(*arguments)
    assert set(exported.platforms) == set(PLATFORMS)
    dtypes = {str(aval.dtype) for aval in exported.in_avals if aval.dtype.kind == "f"}
    assert dtypes == {"float64" if x64 else "float32"}


# Depth


def equations(jaxpr):
    """How many equations a jaxpr has, those of the jaxprs inside it included."""

    def inside(parameter):
        if isinstance(parameter, ClosedJaxpr):
            return equations(parameter.jaxpr)
        if isinstance(parameter, Jaxpr):
            return equations(parameter)
        return sum(map(inside, parameter)) if isinstance(parameter, tuple | list) else 0

    return sum(1 + sum(map(inside, equation.params.values())) for equation in jaxpr.eqns)


@pytest.mark.parametrize(
    ("f", "init", "hyperparameters", "layers", "sequences"),
    [
        (formal_tx.d_transformer, formal_tx.init_d_transformer, D, ("L",), 1),
        (formal_tx.e_transformer, formal_tx.init_e_transformer, E, ("L",), 1),
        (formal_tx.ed_transformer, formal_tx.init_ed_transformer, ED, ("L_enc", "L_dec"), 2),
    ],
    ids=["d_transformer", "e_transformer", "ed_transformer"],
)
def test_the_program_does_not_grow_with_depth(f, init, hyperparameters, layers, sequences):
    """As many equations, and lines of StableHLO, for 96 layers as for 2, in the function and in its gradient."""

    def sizes(L):
        hp = replace(hyperparameters, **dict.fromkeys(layers, L))
        params = jax.eval_shape(lambda key: init(key, hp), jax.random.key(0))
        xs = [jax.ShapeDtypeStruct((5,), np.int32)] * sequences
        run = partial(lambda params, *xs: f(*xs, params, hp))
        jax.eval_shape(lambda *a: run(*a), params, *xs)  # the first call of a size also looks up what to expect of it
        gradient = jax.grad(lambda params, *xs: run(params, *xs).sum())
        programs = [equations(jax.make_jaxpr(program)(params, *xs).jaxpr) for program in (run, gradient)]
        return programs, len(jax.jit(run).lower(params, *xs).as_text().splitlines())

    assert sizes(2) == sizes(96)


# Tags


def program_of(f, *arguments):
    """(the jaxpr, the optimised HLO without what it says of source lines)."""
    text = jax.jit(f).lower(*arguments).compile().as_text()
    text = re.sub(r", metadata=\{[^}]*\}", "", text)
    text = "\n".join(line for line in text.splitlines() if re.match(r"\s|ENTRY|%|\}", line))  # no tables of files
    return str(jax.make_jaxpr(f)(*arguments)), text


@pytest.fixture
def without_tags(monkeypatch):
    """All functions of the library with `line` the identity that it claims to be."""

    def remove():
        for name, module in sys.modules.items():
            if name.startswith("formal_tx.") and hasattr(module, "line"):
                monkeypatch.setattr(module, "line", lambda number, name, value: value)
        jax.clear_caches()

    yield remove
    monkeypatch.undo()
    jax.clear_caches()


@pytest.mark.parametrize("name", ["mh_attention", "d_transformer"])
def test_tags_leave_no_trace_in_the_compiled_program(without_tags, name):
    """The optimised HLO is the same with tags and without."""
    if name == "mh_attention":
        f = lambda X, params: formal_tx.mh_attention(X, X, params, formal_tx.masks.causal)  # noqa: E731
        arguments = normal(0, 5, 6), random_heads(0, d_x=6, d_z=6, d_attn=2, d_mid=4, d_out=6, H=3)
    else:
        f = lambda x, params: formal_tx.d_transformer(x, params, D)  # noqa: E731
        arguments = tokens(0, 5), random_model(0, D)
    jaxpr, program = program_of(f, *arguments)
    without_tags()
    bare_jaxpr, bare_program = program_of(f, *arguments)
    assert "name[" in jaxpr
    assert "name[" not in bare_jaxpr
    assert program.count("\n") > 20
    assert program == bare_program


# Shards


@pytest.fixture(scope="module")
def shards():
    """How to lay an array out by its first axis over two devices, and how to repeat one on both."""
    devices = jax.devices()
    if len(devices) < 2:
        pytest.skip("needs two devices")
    mesh = Mesh(np.array(devices[:2]), ("batch",))
    return NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())


def test_a_batch_in_shards(shards):
    """Logits, loss and gradient of a batch that lies on two devices are those of the batch on one."""
    by_sequence, everywhere = shards
    x, params = tokens(0, 4, 5), random_model(0, D)
    x_shards, params_copies = jax.device_put(x, by_sequence), jax.device_put(params, everywhere)

    logits = formal_tx.d_transformer_logits(x_shards, params_copies, D)
    assert logits.sharding.is_equivalent_to(by_sequence, 3)
    close(logits, formal_tx.d_transformer_logits(x, params, D))

    step = jax.jit(jax.value_and_grad(lambda params, x: d_loss(params, x, D)))
    loss, gradient = step(params_copies, x_shards)
    expected_loss, expected = step(params, x)
    close(loss, expected_loss)
    same_tree(gradient, expected)
