"""What is in the vectors: read by the safetensors library, and held against the JAX edition."""

import hashlib
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import formal_tx
from formal_tx.crosscheck import ALGORITHMS, find
from formal_tx.vectors import verify_vectors
from formal_tx.vectors.cases import vectors
from formal_tx.vectors.tensors import from_bytes, to_bytes
from formal_tx.vectors.tree import flatten, unflatten
from formal_tx.vectors.vector import run


@pytest.fixture
def index(written):
    return json.loads((written / "index.json").read_bytes())


def test_the_index_tells_every_tensor_of_every_file(written, index):
    for entry in index["algorithms"]:
        content = (written / entry["file"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        found = {name: (array.shape, array.dtype) for name, array in load_file(written / entry["file"]).items()}
        types = {"F64": np.dtype(float), "I64": np.dtype(np.int64), "BOOL": np.dtype(bool)}
        said = {t["name"]: (tuple(t["shape"]), types[t["dtype"]]) for case in entry["cases"] for t in case["tensors"]}
        assert found == said


def test_what_is_verified_as_written_is_identical(written):
    verdicts = verify_vectors(written)
    assert [v.algorithm.number for v in verdicts] == [1, 3, 4, 6, 14]
    assert all(v.identical and v.agrees and v.tensors > 0 for v in verdicts)


@pytest.mark.usefixtures("x64")
def test_attention_of_the_library_gives_the_same(written):
    """Rows and columns are exchanged by hand here, so that the layout is seen to be the paper's."""
    tensors = load_file(written / f"{find(4).file}.safetensors")
    fields = ("W_q", "b_q", "W_k", "b_k", "W_v", "b_v")
    compared = 0
    for n in range(1, 9):
        mask = tensors[f"{n}/input/Mask"].T
        if mask.any(axis=1).all():
            params = formal_tx.AttentionParameters(**{f: tensors[f"{n}/parameter/{f}"] for f in fields})
            V_tilde = formal_tx.attention(tensors[f"{n}/input/X"].T, tensors[f"{n}/input/Z"].T, params, mask)
            np.testing.assert_allclose(V_tilde, tensors[f"{n}/output/V_tilde"].T, atol=1e-12)
            compared += 1
    assert compared == 7


@pytest.mark.usefixtures("x64")
def test_the_decoder_of_the_library_gives_the_same():
    """Heads and layers are stacked by hand."""
    vector = next(v for v in vectors(find(10)) if v.title == "random 1")
    P = {v.name: v.array for v in run(find(10), vector)}["P"]
    W, sizes = vector.parameters, vector.hyperparameters
    tokens = ("mask_token", "bos_token", "eos_token")
    axes = {name: value for name, value in sizes.items() if name not in tokens}
    hp = formal_tx.DTransformerHyperparameters(**axes, epsilon=vector.scalars["epsilon"])
    outline = jax.eval_shape(lambda key: formal_tx.init_d_transformer(key, hp), jax.random.key(0))

    def stacked(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if name.startswith("layers.attention.heads."):
            last = name.rsplit(".", 1)[1]
            heads = [[f"layers.{i}.attention.heads.{h}.{last}" for h in range(hp.H)] for i in range(hp.L)]
            return np.array([[W[n] for n in layer] for layer in heads])
        if name.startswith("layers."):
            return np.array([W[name.replace("layers.", f"layers.{i}.")] for i in range(hp.L)])
        return W[name].T if name in ("W_e", "W_p") else W[name]

    params = jax.tree_util.tree_map_with_path(stacked, outline)
    found = formal_tx.d_transformer(vector.inputs["x"], jax.tree.map(np.asarray, params), hp)
    np.testing.assert_allclose(found, P.T, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_cases_are_told_apart_and_there_are_inputs_for_each(algorithm):
    cases = vectors(algorithm)
    titles = [case.title for case in cases]
    assert len(set(titles)) == len(titles) >= 2
    arrays = [a for case in cases for a in (*case.inputs.values(), *case.parameters.values())]
    assert all(np.isfinite(a).all() and a.size for a in arrays)


def test_every_line_that_assigns_a_value_is_there():
    for algorithm in ALGORITHMS[:10]:
        found = {value.line for value in run(algorithm, vectors(algorithm)[-1])}
        assert found == {s.number for s in algorithm.listing.assigned} | {None}


@pytest.mark.parametrize("number", [14, 15])
def test_no_token_is_drawn_by_a_hair(number):
    """In single precision the same tokens are drawn: the largest log q + noise is well ahead of the second."""
    for vector in vectors(find(number)):
        values = run(find(number), vector)
        steps = [value.array for value in values if value.variable == "p"]
        assert steps
        for p, noise in zip(steps, vector.inputs["noise"], strict=False):
            second, first = np.sort(np.log(p) / vector.scalars["tau"] + noise)[-2:]
            assert first - second > 1e-3


def test_algorithm_15_is_seen_to_stop_at_eos_token_and_at_l_max():
    ends = []
    for vector in vectors(find(15)):
        x_hat = run(find(15), vector)[-1].array
        assert x_hat[0] == vector.hyperparameters["bos_token"]
        ends.append(int(x_hat[-1]) == vector.hyperparameters["eos_token"])
    assert True in ends


def test_masked_positions_follow_from_the_numbers_given():
    vector = vectors(find(12))[0]
    masked = vector.inputs["random"][0] < vector.scalars["p_mask"]
    values = {value.variable: value.array for value in run(find(12), vector)}
    expected = np.where(masked, vector.hyperparameters["mask_token"], vector.inputs["x"])
    np.testing.assert_array_equal(values["x_tilde"], expected[0])
    np.testing.assert_array_equal(
        values["T_tilde"], np.flatnonzero(expected[0] == vector.hyperparameters["mask_token"])
    )


def test_bytes_do_not_depend_on_the_order_nor_on_the_sign_of_nan():
    A, B = np.array([1.0, np.nan]), np.array([[3]])
    assert to_bytes({"a": A, "b": B}) == to_bytes({"b": B, "a": np.copysign(A, [1, -1])})
    back = from_bytes(to_bytes({"a": A, "b": B}), "it")
    np.testing.assert_array_equal(back["a"], A)
    np.testing.assert_array_equal(back["b"], B)


def test_other_types_are_refused():
    with pytest.raises(TypeError, match=r"a has dtype float32, expected one of float64, int64, bool"):
        to_bytes({"a": np.zeros(2, np.float32)})


def test_parameters_come_back_from_their_paths():
    arrays = {"W_e": 1, "layers.0.heads.0.W": 2, "layers.0.heads.1.W": 3, "layers.1.heads.0.W": 4, "b": 5}
    theta = unflatten(arrays)
    assert list(vars(theta)) == ["W_e", "layers", "b"]
    assert theta.layers[0].heads[1].W == 3
    assert flatten(theta) == arrays
