"""Checkpoints give back the bits that were saved, and keep the ones that they should."""

import json
import shutil
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

import formal_tx
from formal_tx.data import corpus
from formal_tx.runs.checkpoints import Checkpoints, Restored

DTYPES = ("float32", "bfloat16", "float16", "int32", "uint32", "int8", "uint8", "bool")
RECORD = {"seed": 7, "epoch": 0.1, "best": None, "book": "Éxodo"}


def bits(array):
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array).tobytes()


def assert_same(found, expected):
    """The same pytree: structure, shapes, types, and every bit."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (type(a), a.dtype, a.shape) == (type(b), b.dtype, b.shape)
        assert bits(a) == bits(b)


@st.composite
def arrays(draw):
    """An array of any type and shape with arbitrary bytes: every nan, both zeros, what is below the normal numbers."""
    dtype = jnp.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    return (raw % 2 if dtype.name == "bool" else raw).view(dtype).reshape(shape)


@settings(max_examples=15, deadline=None)
@given(st.lists(arrays(), min_size=1, max_size=6))
def test_any_bits_survive(some):
    state = {"numpy": some, "jax": [jnp.asarray(array) for array in some], "none": None, "empty": ()}
    with tempfile.TemporaryDirectory() as directory:
        Checkpoints(directory).save(3, state, RECORD)
        restored = Checkpoints(directory).restore(state)
    assert_same(restored.state, state)
    assert (restored.step, restored.record, restored.problems) == (3, RECORD, [])


def test_special_values_and_keys(tmp_path):
    """Minus zero is not the 0 that a file of arrays may leave out; keys of both implementations stay what they are."""
    state = {
        "minus_zero": jnp.full((3,), -0.0),
        "special": jnp.asarray([jnp.nan, jnp.inf, -jnp.inf, -0.0, 1e-45], jnp.bfloat16),
        "scalar": jnp.int32(-7),
        "key": jax.random.key(1),
        "keys": jax.random.split(jax.random.key(2, impl="rbg"), 3),
        "raw key": jax.random.PRNGKey(3),
    }
    Checkpoints(tmp_path).save(1, state, {})
    restored = Checkpoints(tmp_path).restore(state).state
    assert_same(restored, state)
    assert jax.random.key_impl(restored["keys"]) == jax.random.key_impl(state["keys"])
    assert jax.random.bits(restored["key"]) == jax.random.bits(state["key"])


def test_training_goes_on_to_the_same_bits(tmp_path):
    """Algorithm 13 with AdamW on the corpus, its buffers donated: 3 + 3 updates with a checkpoint between are 6."""
    x = jnp.asarray(np.frombuffer(corpus.english().encode()[:1920], np.uint8).astype(np.int32).reshape(-1, 32))
    hyperparameters = formal_tx.DTransformerHyperparameters(l_max=32, L=1, H=2, d_e=8, d_mlp=16, N_V=259)
    optimizer = optax.adamw(1e-2)

    def three_updates(state, n):
        params, optimizer_state = state
        batch = jax.lax.dynamic_slice_in_dim(x, 30 * n, 30)
        options = {"epochs": 1, "optimizer": optimizer, "batch_size": 10, "mean": True, "history": True}
        params, log = formal_tx.d_training(batch, params, hyperparameters, optimizer_state=optimizer_state, **options)
        return params, log.optimizer_state

    jitted = jax.jit(three_updates, donate_argnums=0)

    def train(state, n):
        with jax.numpy_dtype_promotion("standard"):  # optax's AdamW needs it
            return jitted(state, n)

    def start():
        params = formal_tx.init_d_transformer(jax.random.key(0), hyperparameters)
        # Where an array's type is weak, training would be compiled twice.
        return jax.tree.map(lambda a: jnp.asarray(a, a.dtype), (params, optimizer.init(params)))

    straight = train(train(start(), 0), 1)
    Checkpoints(tmp_path).save(3, train(start(), 0), {})
    resumed = train(Checkpoints(tmp_path).restore(start()).state, 1)
    assert_same(resumed, straight)
    assert not np.array_equal(start()[0].W_e, straight[0].W_e)


def test_goes_to_the_devices_where_it_is_wanted(tmp_path):
    """Saved from two devices, in parts and in copies; restored to two, to one, and to none in particular."""
    devices = jax.devices()
    assert len(devices) == 2
    mesh = jax.make_mesh((2,), ("data",))
    parts, copies = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
    W = jnp.arange(12.0).reshape(4, 3)
    state = {"parts": jax.device_put(W, parts), "copies": jax.device_put(W, copies), "free": jnp.int32(3)}
    Checkpoints(tmp_path).save(1, state, {})
    restored = Checkpoints(tmp_path).restore(state).state
    assert_same(restored, state)
    assert [restored[name].sharding for name in ("parts", "copies")] == [parts, copies]
    assert not restored["free"].committed
    jax.jit(lambda s: s["parts"] * s["free"].astype(float))(restored)  # an array bound to one device would be refused

    second = jax.tree.map(lambda a: jax.device_put(a, devices[1]), state)
    assert {a.devices() == {devices[1]} for a in Checkpoints(tmp_path).restore(second).state.values()} == {True}
    outline = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
    assert_same(Checkpoints(tmp_path).restore(outline).state, jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), state))


def state_of(step):
    """A state that can be made again from its step."""
    return {"W": np.random.default_rng(step).normal(size=(8, 5)).astype(np.float32), "n": np.asarray(step)}


def saved(directory, losses, **options):
    checkpoints = Checkpoints(directory, **options)
    for step, loss in losses.items():
        checkpoints.save(step, state_of(step), {"step": step}, loss)
    return checkpoints


@pytest.mark.parametrize(
    ("options", "kept", "best"),
    [
        ({}, [2, 4, 5], 2),
        ({"keep_last": 1}, [2, 5], 2),
        ({"keep_last": 4}, [2, 3, 4, 5], 2),
        ({"keep_best": False}, [4, 5], 4),
        ({"keep_last": 1, "keep_best": False}, [5], None),
    ],
    ids=str,
)
def test_keeps_the_last_and_the_best(tmp_path, options, kept, best):
    """A loss of nan is not the best, nor is an evaluation that did not take place."""
    checkpoints = saved(tmp_path, {1: 3.0, 2: 1.0, 3: 2.0, 4: 1.5, 5: float("nan")}, **options)
    assert (checkpoints.steps(), checkpoints.best()) == (kept, best)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, kept))
    for step in kept:
        restored = checkpoints.restore(state_of(0), step)
        assert_same(restored.state, state_of(step))
        assert restored == Restored(step, restored.state, {"step": step}, [])
    assert checkpoints.restore(state_of(0)).step == 5


def test_without_losses_there_is_no_best(tmp_path):
    assert saved(tmp_path, {1: None, 2: None, 3: float("inf")}).best() is None


def test_no_checkpoints(tmp_path):
    for directory in (tmp_path, tmp_path / "none"):
        checkpoints = Checkpoints(directory)
        assert (checkpoints.steps(), checkpoints.best(), checkpoints.restore(state_of(0))) == ([], None, None)
    assert list(tmp_path.iterdir()) == []


def test_moves_to_another_place(tmp_path):
    saved(tmp_path / "here", {1: None})
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert_same(Checkpoints(tmp_path / "there").restore(state_of(0)).state, state_of(1))


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    saved(tmp_path, {1: None})
    for name in ("2.writing", "0.removed", "notes", "best.writing"):
        (tmp_path / name / "state").mkdir(parents=True)
    assert Checkpoints(tmp_path).steps() == [1]
    assert Checkpoints(tmp_path).restore(state_of(0)).problems == []
    saved(tmp_path, {2: None})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "best.writing", "notes"]


def test_quiet(tmp_path, capfd):
    saved(tmp_path, {1: 1.0, 2: 2.0}).restore(state_of(0))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"W": np.zeros((8, 6), np.float32), "n": np.asarray(0)}, "its W is float32 (8, 5), expected float32 (8, 6)"),
        ({"W": np.zeros((8, 5), np.float16), "n": np.asarray(0)}, "its W is float32 (8, 5), expected float16 (8, 5)"),
        ({"W": np.zeros((8, 5), np.float32)}, "it has n, int64 (), which is not expected"),
        (state_of(0) | {"W_u": {"b": np.zeros(3)}}, "it has no W_u.b, expected float64 (3,)"),
    ],
    ids=["shape", "dtype", "too many", "too few"],
)
def test_another_configuration(tmp_path, like, message):
    with pytest.raises(ValueError, match="configuration") as caught:
        saved(tmp_path, {4: None}).restore(like)
    assert str(caught.value) == f"the checkpoint of step 4 in {tmp_path} is one of another configuration: {message}"


@pytest.mark.parametrize("step", [4, 3])
def test_a_step_that_is_not_later(tmp_path, step):
    """What is whole is never written over."""
    checkpoints = saved(tmp_path, {4: None})
    with pytest.raises(ValueError, match=rf"^step {step} cannot be saved: {tmp_path} has a checkpoint of step 4$"):
        checkpoints.save(step, state_of(step), {})


@pytest.mark.parametrize("step", [-1, 1.0, "1"])
def test_a_step_that_is_none(tmp_path, step):
    with pytest.raises(ValueError, match=rf"^step is {step!r}, expected an integer of at least 0$"):
        Checkpoints(tmp_path).save(step, state_of(0), {})


def test_what_cannot_be_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(TypeError, match=r"^n of the state is of type int, expected an array$"):
        checkpoints.save(1, {"n": 1}, {})
    with pytest.raises(ValueError, match=r"^1 of the state's arrays have the path of another$"):
        checkpoints.save(1, {"a": {"b": np.zeros(1)}, "a.b": np.zeros(1)}, {})
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoints.save(1, state_of(1), {"tokens": np.zeros(3)})
    with pytest.raises(ValueError, match=r"^keep_last is 0, expected at least 1$"):
        Checkpoints(tmp_path, keep_last=0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_back_must_be_what_was_written(tmp_path, monkeypatch):
    """A disk that gives other bits: the older checkpoints are kept."""
    checkpoints = saved(tmp_path, {1: None, 2: None})
    monkeypatch.setattr("formal_tx.runs.checkpoints.read_arrays", lambda directory, like: like | {"n": np.asarray(4)})
    with pytest.raises(OSError, match=r"n is read back with other bits than were written; the last good .* of step 2$"):
        saved(tmp_path, {3: None})
    assert checkpoints.steps() == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_the_manifest_lists_every_file(tmp_path):
    saved(tmp_path, {1: None})
    listed = json.loads((tmp_path / "1" / "manifest.json").read_text())["files"]
    found = {path.relative_to(tmp_path / "1").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {*listed, "manifest.json"}
    assert {"record.json", "state/manifest.ocdbt"} <= found
