"""The optimiser of a run, part by part, against the formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.runs.configuration import SCHEDULES, configured
from formal_tx.runs.optimizer import average, gradient_norm, matrices, optimizer, schedule
from formal_tx.runs.tasks import task

pytestmark = pytest.mark.usefixtures("as_users_have_it")

HP = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=4, d_mlp=8, N_V=11)
PEAK, WARMUP, STEPS, FINAL = 0.01, 10, 110, 0.1


@pytest.fixture(scope="module")
def params():
    return init_d_transformer(jax.random.key(0), HP)


def jitted(c):
    """The optimiser of a configuration, its two functions compiled."""
    update = optimizer(c)
    return optax.GradientTransformation(jax.jit(update.init), jax.jit(update.update))


def configuration(**options):
    """What is not asked for is off: a constant rate from the first step, no clipping, no decay."""
    base = {"schedule": "constant", "warmup": 0, "clip": 0.0, "weight_decay": 0.0, "learning_rate": PEAK}
    return configured("decoder", options={**base, "steps": STEPS, **options})


def gradients(params, seed=1):
    """Any gradient."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda W: jnp.asarray(rng.normal(size=W.shape), jnp.float32), params)


def named(tree):
    """Arrays by path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


def norm(tree):
    return np.sqrt(sum((W.astype(np.float64) ** 2).sum() for W in named(tree).values()))


def expected_rate(name, warmup, t):
    """The rate of update t, from 0, as it is documented."""
    if name == "inverse_square_root":
        n, w = t + 1, max(warmup, 1)
        return PEAK * min(n / w, (w / n) ** 0.5)
    if t < warmup:
        return PEAK * t / warmup
    if name == "constant":
        return PEAK
    cosine = (1 + np.cos(np.pi * min((t - warmup) / (STEPS - warmup), 1))) / 2
    return PEAK * (FINAL + (1 - FINAL) * cosine)


@pytest.mark.parametrize("warmup", [0, WARMUP])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name, warmup):
    rate = schedule(configuration(schedule=name, warmup=warmup, final=FINAL))
    steps = [0, 1, 5, 9, 10, 11, 60, 109, 110]
    found = [float(rate(t)) for t in steps]
    np.testing.assert_allclose(found, [expected_rate(name, warmup, t) for t in steps], rtol=1e-5, atol=1e-9)
    assert max(found) <= PEAK * (1 + 1e-6)


def test_without_a_gradient_only_matrices_decay(params):
    update = jitted(configuration(weight_decay=0.5))
    changes, _ = update.update(jax.tree.map(jnp.zeros_like, params), update.init(params), params)
    changes, before = named(changes), named(params)
    decayed = {name for name, change in changes.items() if change.any()}
    assert decayed == {name for name in before if name.split(".")[-1].startswith("W_")}
    assert decayed == {name for name, is_matrix in named(matrices(params)).items() if is_matrix}
    assert {"W_e", "W_p", "W_u", "layers.attention.heads.W_q"} <= decayed
    assert {"gamma", "layers.b_mlp1", "layers.gamma_1", "layers.attention.heads.b_q"}.isdisjoint(decayed)
    for name in decayed:
        np.testing.assert_allclose(changes[name], -PEAK * 0.5 * before[name], rtol=1e-5)


@pytest.mark.parametrize("clip", [0.0, 0.5, 1e6])
def test_clipping_and_the_norm_before_it(params, clip):
    update, gradient = jitted(configuration(clip=clip)), gradients(params)
    _, state = update.update(gradient, update.init(params), params)
    whole = norm(gradient)
    assert whole > 1
    np.testing.assert_allclose(gradient_norm(state), whole, rtol=1e-5)
    seen = min(whole, clip or np.inf)
    np.testing.assert_allclose(norm(optax.tree.get(state, "mu")) / 0.1, seen, rtol=1e-5)


def test_adamw_is_as_published(params):
    """1711.05101, algorithm 2, over five steps."""
    c = configuration(weight_decay=0.1, b1=0.8, b2=0.9)
    update, theta = jitted(c), params
    state = update.init(params)
    W = {name: value.astype(np.float64) for name, value in named(params).items()}
    m, v = ({name: np.zeros_like(value) for name, value in W.items()} for _ in range(2))
    for t in range(1, 6):
        gradient = gradients(params, seed=t)
        changes, state = update.update(gradient, state, theta)
        theta = optax.apply_updates(theta, changes)
        for name, g in named(gradient).items():
            m[name] = 0.8 * m[name] + 0.2 * g
            v[name] = 0.9 * v[name] + 0.1 * g**2
            decay = 0.1 * W[name] if name.split(".")[-1].startswith("W_") else 0
            W[name] -= PEAK * (m[name] / (1 - 0.8**t) / (np.sqrt(v[name] / (1 - 0.9**t)) + 1e-8) + decay)
    for name, found in named(theta).items():
        np.testing.assert_allclose(found, W[name], rtol=1e-4, atol=1e-6)


def test_an_update_in_four_parts_is_one_update(params):
    """The gradient is the mean of the means of four quarters, which for sequences of one length is the mean."""
    x = jax.random.randint(jax.random.key(3), (8, 6), 0, 11)
    batch = {"x": x, "segments": jnp.zeros_like(x)}
    found = {}
    for parts in (1, 4):
        c = configuration(batch_size=8, accumulate=parts)
        update = optimizer(c)
        theta, history = task(c, HP, update).update(params, update.init(params), batch, jax.random.key(0))
        state = history.optimizer_state
        assert int(optax.tree.get(state, "count", filtering=lambda path, _: "Adam" in str(path))) == 1
        found[parts] = {
            "loss": np.asarray(history.loss.mean()),
            "norm": np.asarray(gradient_norm(state)),
            **named(optax.tree.get(state, "mu")),
        }
        assert not np.array_equal(theta.W_e, params.W_e)
    for name, value in found[1].items():
        np.testing.assert_allclose(found[4][name], value, rtol=1e-4, atol=1e-7, err_msg=name)


def test_the_average_follows_the_formula_and_changes_nothing(params):
    plain, averaging = jitted(configuration()), jitted(configuration(ema=0.5))
    states = [plain.init(params), averaging.init(params)]
    theta, mean = params, named(params)
    assert average(states[0]) is None
    for n in range(12):
        gradient = gradients(params, seed=n)
        changes, states[0] = plain.update(gradient, states[0], theta)
        same, states[1] = averaging.update(gradient, states[1], theta)
        jax.tree.map(np.testing.assert_array_equal, same, changes)
        theta = optax.apply_updates(theta, changes)
        keep = min(0.5, (1 + n) / (10 + n))
        mean = {name: keep * mean[name] + (1 - keep) * W for name, W in named(theta).items()}
    for name, found in named(average(states[1])).items():
        np.testing.assert_allclose(found, mean[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("parts", [1, 2])
def test_float16_leaves_out_a_gradient_that_overflowed(params, parts):
    update = jitted(configuration(dtype="float16", weight_decay=0.1, accumulate=parts))
    state, good = update.init(params), gradients(params)
    bad = jax.tree.map(lambda g: g.at[(0,) * g.ndim].set(jnp.inf), good)
    changes, state = update.update(bad, state, params)
    assert not any(change.any() for change in named(changes).values())
    assert not any(m.any() for m in named(optax.tree.get(state, "mu")).values())
    for _ in range(parts):
        changes, state = update.update(good, state, params)
    expected, _ = (fresh := jitted(configuration(weight_decay=0.1))).update(good, fresh.init(params), params)
    for name, change in named(expected).items():
        np.testing.assert_allclose(named(changes)[name], change, rtol=1e-5, err_msg=name)
