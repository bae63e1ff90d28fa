"""Both editions against golden files that PyTorch and Hugging Face transformers made (`tools/make_golden.py`).

This is what the oracles have to say where they are not installed. float64; the two sides sum in different orders.
"""

from pathlib import Path

import numpy as np
import optax
import pytest

import algorithms
import formal_tx
from tests.golden import sizes
from tests.golden.editions import INITIALISE, assert_agree, named, paper_form, shapes, unnamed

TOLERANCE = 1e-12
FOLDER = Path(__file__).parent

pytestmark = pytest.mark.usefixtures("x64")


def load(number, form=None):
    """The arrays of one golden file, and its parameters in the library's form and in the paper's."""
    with np.load(FOLDER / f"algorithm_{number:02}.npz") as file:
        case = dict(file)
    if form is None:
        return case
    params = parameters(case, "params", form)
    return case, params, paper_form(params)


def parameters(case, name, form):
    arrays = {path.removeprefix(f"{name}."): array for path, array in case.items() if path.startswith(f"{name}.")}
    return unnamed(arrays, form)


def form_of(hyperparameters):
    return shapes(INITIALISE[type(hyperparameters)], hyperparameters)


def test_attention():
    case, params, W = load(4, shapes(formal_tx.init_attention, **sizes.ATTENTION))
    X, Z, mask = case["X"], case["Z"], case["mask"]
    assert_agree(formal_tx.attention(X, Z, params, mask), case["V_tilde"], TOLERANCE)
    assert_agree(algorithms.attention(X.T, Z.T, W, mask.T), case["V_tilde"].T, TOLERANCE)


def test_single_query_attention_is_a_column_of_attention():
    """Algorithm 3 with the tokens that the mask shows to query 0, which brings its own width."""
    case, params, _ = load(4, shapes(formal_tx.init_attention, **sizes.ATTENTION))
    d_x, d_z = sizes.ATTENTION["d_x"], sizes.ATTENTION["d_z"]
    e = np.pad(case["X"][0], (0, d_z - d_x))
    context, v_tilde = case["Z"][case["mask"][0]], case["V_tilde"][0]
    wide = params.replace(W_q=np.pad(params.W_q, ((0, 0), (0, d_z - d_x))))
    assert_agree(formal_tx.basic_single_query_attention(e, context, wide), v_tilde, TOLERANCE)
    assert_agree(algorithms.basic_single_query_attention(e, list(context), paper_form(wide)), v_tilde, TOLERANCE)


def test_mh_attention():
    case, params, W = load(5, shapes(formal_tx.init_mh_attention, **sizes.MH_ATTENTION))
    X, Z, mask = case["X"], case["Z"], case["mask"]
    assert_agree(formal_tx.mh_attention(X, Z, params, mask), case["V_tilde"], TOLERANCE)
    assert_agree(algorithms.mh_attention(X.T, Z.T, W, mask.T), case["V_tilde"].T, TOLERANCE)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_layer_norm(epsilon):
    case = load(6)
    e, gamma, beta, e_hat = case["e"], case["gamma"], case["beta"], case[f"e_hat_epsilon_{epsilon}"]
    assert_agree(formal_tx.layer_norm(e, gamma, beta, epsilon=epsilon), e_hat, TOLERANCE)
    assert_agree(algorithms.layer_norm(e, gamma, beta, epsilon), e_hat, TOLERANCE)


def test_ed_transformer():
    case, params, theta = load(8, form_of(sizes.ED))
    z, x = case["z"], case["x"]
    assert_agree(formal_tx.ed_transformer(z, x, params, sizes.ED), case["P"], TOLERANCE)
    assert_agree(algorithms.ed_transformer(z, x, theta, sizes.ED.epsilon), case["P"].T, TOLERANCE)


def test_e_transformer():
    case, params, theta = load(9, form_of(sizes.E))
    assert_agree(formal_tx.e_transformer(case["x"], params, sizes.E), case["P"], TOLERANCE)
    assert_agree(algorithms.e_transformer(case["x"], theta, sizes.E.epsilon), case["P"].T, TOLERANCE)


def test_d_transformer():
    case, params, theta = load(10, form_of(sizes.D))
    assert_agree(formal_tx.d_transformer(case["x"], params, sizes.D), case["P"], TOLERANCE)
    assert_agree(algorithms.d_transformer(case["x"], theta, sizes.D.epsilon), case["P"].T, TOLERANCE)


def test_d_training():
    """Four updates; the pseudocode's gradients are central differences, good to about 1e-9."""
    hp, form = sizes.TRAINED, form_of(sizes.TRAINED)
    case, params, theta = load(13, form)
    theta_hat = parameters(case, "theta_hat", form)

    options = {"epochs": sizes.EPOCHS, "optimizer": optax.sgd(sizes.ETA), "history": True}
    trained, history = formal_tx.d_training(case["x"], params, hp, **options)
    assert_agree(history.loss.ravel(), case["loss"], TOLERANCE)
    for name, expected in named(theta_hat).items():
        assert_agree(named(trained)[name], expected, TOLERANCE)

    trained = algorithms.d_training(case["x"], theta, sizes.EPOCHS, sizes.ETA, epsilon=hp.epsilon)
    expected = algorithms.notation.arrays(paper_form(theta_hat))
    for actual, array in zip(algorithms.notation.arrays(trained), expected, strict=True):
        assert_agree(actual, array, 1e-8)
