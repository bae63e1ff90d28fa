"""What is asked of every combination of variations: numbers, gradients, the cache, and the pseudocode."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    d_transformer_logits,
    e_transformer_logits,
    ed_transformer_logits,
)
from formal_tx.crosscheck.compare import compare
from formal_tx.crosscheck.draws import Case
from formal_tx.crosscheck.variations import architectures
from formal_tx.inference.decoding import d_prefill, d_step, ed_prefill, ed_step

L_Z, L_X = 5, 7
_QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For a program that runs five times, compiling is what takes time."""


def case_of(hp: Any, seed: int = 0) -> Case:
    """A random model of these hyperparameters, and its sequences."""
    lengths = {"z": L_Z, "x": L_X} if isinstance(hp, EDTransformerHyperparameters) else {"x": L_X}
    case = architectures.case(np.random.default_rng(seed), "random", hp, **lengths)
    case.arguments = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, case.arguments)
    return case


def logits_of(params: Any, case: Case) -> jax.Array:
    """The model's logits (ℓ, N_V) with these parameters."""
    a, hp = case.arguments, case.arguments["hyperparameters"]
    if isinstance(hp, EDTransformerHyperparameters):
        return ed_transformer_logits(a["z"], a["x"], params, hp)
    if isinstance(hp, DTransformerHyperparameters):
        return d_transformer_logits(a["x"], params, hp)
    return e_transformer_logits(a["x"], params, hp, types=a["types"] if hp.N_S else None)


def require_pseudocode(case: Case) -> None:
    """The library's lines and its result are the pseudocode's."""
    variation = architectures.variation("a combination", "", case.arguments["hyperparameters"])
    plain = Case(case.title, jax.tree.map(_numpy, case.arguments), case.sizes, epsilon=case.epsilon)
    differences = compare(variation, plain, "float64")
    assert {"the result"} <= {d.variable for d in differences}
    wrong = [d for d in differences if not d.agrees]
    assert not wrong, wrong


def _numpy(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, jax.Array) else value


def require_gradient(case: Case, directions: int = 2, h: float = 1e-5) -> np.ndarray:
    """The gradient is that of central differences, along random directions; gives the logits."""
    params = case.arguments["params"]
    weights = np.random.default_rng(1).normal(size=(L_X, case.arguments["hyperparameters"].N_V))

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = logits_of(params, case)
        return jnp.sum(weights * jax.nn.log_softmax(logits)), logits

    evaluate = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=_QUICK)
    (_, logits), gradient = evaluate(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((logits, gradient)))
    unused = [jax.tree_util.keystr(path) for path, g in jax.tree_util.tree_leaves_with_path(gradient) if not g.any()]
    assert not unused
    rng = np.random.default_rng(2)
    for _ in range(directions):
        step = jax.tree.map(lambda W: jnp.asarray(rng.normal(size=W.shape)), params)
        size = sum(jnp.sum(s**2) for s in jax.tree.leaves(step)) ** 0.5
        step = jax.tree.map(lambda s, size=size: s / size, step)
        expected = sum(jnp.sum(g * s) for g, s in zip(*map(jax.tree.leaves, (gradient, step)), strict=True))
        above, below = (
            evaluate(jax.tree.map(lambda W, s, sign=sign: W + sign * h * s, params, step))[0][0] for sign in (1, -1)
        )
        found = (above - below) / (2 * h)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    return np.asarray(logits)


def require_cache(case: Case, logits: np.ndarray) -> None:
    """Decoding token by token, from a cache, gives the logits of the whole sequence."""
    a, hp = case.arguments, case.arguments["hyperparameters"]
    params, x = a["params"], a["x"]
    if isinstance(hp, EDTransformerHyperparameters):
        cache, step, first = ed_prefill(a["z"], params, hp), ed_step, 0
    else:
        cache, step, first = d_prefill(x[:3], params, hp), d_step, 3
    for t in range(first, L_X):
        found, cache = step(x[t], jnp.asarray(t), cache, params, hp)
        np.testing.assert_allclose(found, logits[t], rtol=1e-10, atol=1e-11)
