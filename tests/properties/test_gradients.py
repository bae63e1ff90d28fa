"""Derivatives of the fifteen public functions, and JAX's transformations composed with each of them."""

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from .strategies import PUBLIC, close, pick, same_tree, stack

DIFFERENTIABLE = [name for name, public in PUBLIC.items() if public.floats]


TRAINING = ("ed_training", "e_training", "d_training")
ALGORITHMS = [name for name in DIFFERENTIABLE if name not in TRAINING]


def check(name, order, modes):
    """Derivatives against finite differences, at a point that is no kink of a ReLU."""
    public = PUBLIC[name]
    floats, others = public.split(public.draw(3))
    g = jax.jit(public.scalar())
    check_grads(lambda *floats: g(floats, others), floats, order, modes, eps=1e-5, atol=1e-5, rtol=1e-5)


def _modes():
    for name in ALGORITHMS:
        yield pytest.param(name, "fwd", id=f"{name}-fwd", marks=pytest.mark.slow if name == "ed_transformer" else ())
        slow = [pytest.mark.slow] if name in ("ed_transformer", "e_transformer") else []
        yield pytest.param(name, "rev", id=f"{name}-rev", marks=slow)


@pytest.mark.parametrize(("name", "mode"), list(_modes()))
def test_first_and_second_derivatives(name, mode):
    """Forward, and forward over forward; reverse, and reverse over reverse."""
    check(name, 2, [mode])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_mixed_second_derivatives(name):
    """Forward over reverse and reverse over forward as well."""
    check(name, 2, ["fwd", "rev"])


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_derivatives_of_training(name):
    """What training gives can be differentiated with respect to where it began, twice."""
    check(name, 1, ["rev"])
    check(name, 2, ["fwd"])


SLOW = ("ed_transformer", *TRAINING)


@pytest.mark.parametrize(
    "name", [n for n in ALGORITHMS if n not in SLOW] + [pytest.param(n, marks=pytest.mark.slow) for n in SLOW]
)
def test_transformations_compose(name):
    """`jit` of `vmap` of `grad` of `checkpoint` is a loop of `grad`."""
    public = PUBLIC[name]
    arguments = [public.split(public.draw(seed)) for seed in (3, 4)]
    plain = jax.jit(jax.value_and_grad(public.scalar()))
    composed = jax.jit(jax.vmap(jax.value_and_grad(jax.checkpoint(public.scalar()))))
    values, gradients = composed(*stack(arguments))
    for i, (floats, others) in enumerate(arguments):
        value, gradient = plain(floats, others)
        assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
        close(values[i], value)
        same_tree(pick(gradients, i), gradient, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_jit_and_a_checkpoint_change_nothing(name):
    """`jit` and `checkpoint` around a function give what it gives."""
    public = PUBLIC[name]
    arguments = public.draw(3)
    expected = public.f(*arguments)
    result = jax.jit(jax.checkpoint(public.f))(*arguments)
    if name == "ed_inference":  # under jit it has a fixed length
        result = result[: len(expected)]
    same_tree(result, expected)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_vmap_over_all_arguments_is_a_loop(name):
    """`vmap` over every argument at once, parameters and keys included, gives what a Python loop gives."""
    public = PUBLIC[name]
    arguments = [public.draw(seed) for seed in (3, 4)]
    results = jax.vmap(public.f)(*stack(arguments))
    for i, one in enumerate(arguments):
        expected = public.f(*one)
        result = pick(results, i)
        if name == "ed_inference":
            assert (np.asarray(result[len(expected) :]) == 6).all()  # eos_token
            result = result[: len(expected)]
        same_tree(result, expected, rtol=1e-9, atol=1e-9)
