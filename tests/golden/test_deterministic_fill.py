"""Both editions, line by line where it counts, against numbers that were computed apart from this repository.

The parameters are the closed rule of `Fill`, so that anyone can have the same. Two programs of different structure gave
these numbers (NumPy by columns; row layout, fused heads, additive masks, automatic differentiation), printed to nine
digits after the point. Token ids count from 0 here, and there is no epsilon.
"""

import sys

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

import algorithms
import formal_tx
from algorithms.notation import arrays, bidirectional, central_differences, unidirectional
from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    masks,
)
from formal_tx.losses import d_loss, e_loss, ed_loss
from formal_tx.tagging import reap
from tests.golden.editions import Fill, paper_form

pytestmark = pytest.mark.usefixtures("x64")

WIDTHS = {"d_attn": 3, "d_mid": 2, "d_mlp": 5, "d_e": 4, "H": 2}
SIZES = {"N_V": 7, "l_max": 6}
D = DTransformerHyperparameters(L=2, epsilon=0.0, **SIZES, **WIDTHS)
E = ETransformerHyperparameters(L=2, d_f=3, epsilon=0.0, **SIZES, **WIDTHS)
ED = EDTransformerHyperparameters(L_enc=1, L_dec=2, epsilon=0.0, **SIZES, **WIDTHS)

X, Z, X_TILDE, MASKED = np.array([5, 0, 2, 1]), np.array([5, 3, 1, 4, 6]), np.array([5, 4, 2, 4]), [1, 3]
ETA = 0.05


def d_parameters():
    return Fill(**WIDTHS).d_transformer(L=2, **SIZES)


def e_parameters():
    return Fill(**WIDTHS).e_transformer(L=2, d_f=3, **SIZES)


def ed_parameters():
    return Fill(**WIDTHS).ed_transformer(L_enc=1, L_dec=2, **SIZES)


def assert_printed(actual, printed):
    """Equal to the nine digits printed after the point."""
    assert_allclose(actual, printed, rtol=0, atol=6e-10)


def test_fill():
    assert_printed(
        Fill(**WIDTHS).array(2, 3),
        [[0.257750686, -0.458082968, -0.139707749], [0.494084117, 0.012387713, -0.497276294]],
    )


@pytest.mark.parametrize(
    ("params", "count"),
    [(d_parameters(), 418), (e_parameters(), 424), (ed_parameters(), 791)],
    ids=["d", "e", "ed"],
)
def test_number_of_parameters(params, count):
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert sum(array.size for array in arrays(paper_form(params))) == count


# Algorithms 4 and 5


def test_attention():
    fill = Fill(**WIDTHS)
    params, X, Z = fill.head(d_x=2, d_z=4, d_attn=3, d_out=2), fill.array(2, 3), fill.array(4, 4)
    for mask, pseudo_mask, context, printed in [
        (
            masks.full,
            bidirectional(4, 3),
            Z,
            [[0.38920104, 0.391436395, 0.390781488], [0.323308294, 0.326130865, 0.32528707]],
        ),
        (
            masks.causal,
            unidirectional(3, 3),
            Z[:, :3],
            [[0.581233591, 0.431083918, 0.348997868], [0.570128746, 0.384886028, 0.276277592]],
        ),
    ]:
        assert_printed(formal_tx.attention(X.T, context.T, params, mask).T, printed)
        assert_printed(algorithms.attention(X, context, paper_form(params), pseudo_mask), printed)


def test_mh_attention():
    fill = Fill(**WIDTHS)
    params, X, Z = fill.attention(d_x=2, d_z=4, d_out=3), fill.array(2, 3), fill.array(4, 4)
    printed = [
        [0.656014497, 0.656379321, 0.655244784],
        [0.119187937, 0.119868656, 0.118571566],
        [-0.161373932, -0.160555126, -0.161675962],
    ]
    assert_printed(formal_tx.mh_attention(X.T, Z.T, params).T, printed)
    assert_printed(algorithms.mh_attention(X, Z, paper_form(params), bidirectional(4, 3)), printed)


# Algorithm 10

TRACE = {  # of layer 0 and token 0, by the paper's line
    "3.X": [-0.672667908, 0.029867169, -0.639613170, 0.379990159],
    "5.X_tilde": [-1.308286010, 0.902575469, -0.697511846, 0.913595712],
    "6.X": [-0.743560384, -0.152281961, -0.019763063, 1.035456224],
    "7.X_tilde": [-0.824426130, -0.033852507, -0.523525530, 1.256674870],
    "8.X": [-0.974969830, -0.687039188, 0.792882281, 1.064933560],
}
TRACE_OF_TOKEN_3 = {
    "6.X": [-0.400809288, -0.681335938, 0.199596772, 1.460437722],
    "8.X": [-0.585509237, -1.301783997, 1.068706420, 1.507621524],
}


def test_trace_of_d_transformer():
    _, values = reap(lambda x, params: formal_tx.d_transformer(x, params, D))(X, d_parameters())
    for token, trace in (0, TRACE), (3, TRACE_OF_TOKEN_3):
        for name, printed in trace.items():
            value = values[f"d_transformer/d_transformer_logits/{name}"]
            assert_printed(value[token] if name == "3.X" else value[0, token], printed)


def test_trace_of_the_d_transformer_of_the_pseudocode():
    X_values, X_tilde_values = watch(algorithms.d_transformer, X, paper_form(d_parameters()))
    values = dict(zip(["3.X", "6.X", "8.X"], X_values, strict=False))
    values |= dict(zip(["5.X_tilde", "7.X_tilde"], X_tilde_values, strict=False))
    for token, trace in (0, TRACE), (3, TRACE_OF_TOKEN_3):
        for name, printed in trace.items():
            assert_printed(values[name][:, token], printed)


def watch(function, *args):
    """The values that X and X_tilde have one after the other while the function runs."""
    history = {"X": [], "X_tilde": []}

    def trace(frame, event, arg):
        if frame.f_code is not function.__code__:
            return None
        for name, seen in history.items():
            value = frame.f_locals.get(name)
            if value is not None and not (seen and seen[-1] is value):
                seen.append(value)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return history.values()


def test_d_transformer():
    params = d_parameters()
    printed = [
        [0.054619309, 0.083249488, 0.128871938, 0.180761490, 0.210300736, 0.195071004, 0.147126036],
        [0.065207488, 0.103740749, 0.155903480, 0.198979308, 0.202362703, 0.163271653, 0.110534620],
    ]
    assert_printed(formal_tx.d_transformer(X, params, D)[np.array([0, 3])], printed)
    assert_printed(algorithms.d_transformer(X, paper_form(params))[:, [0, 3]].T, printed)


@pytest.mark.parametrize(
    ("temperature", "printed"),
    [
        (0.5, [0.026786209, 0.067797717, 0.153118594, 0.249420498, 0.257974782, 0.167933714, 0.076968488]),
        (2.0, [0.098035476, 0.123654298, 0.151587166, 0.171253117, 0.172702953, 0.155127903, 0.127639087]),
    ],
)
def test_q_of_d_inference(temperature, printed):
    """The distribution that the pseudocode samples from, and the one that the library's draws show."""
    params, seen = d_parameters(), []
    algorithms.d_inference(X, paper_form(params), 1, temperature, lambda q: seen.append(q) or 0)
    assert_printed(seen, [printed])
    prompts = np.tile(X, (4000, 1))
    y = formal_tx.d_inference(prompts, params, D, length=1, temperature=temperature, key=jax.random.key(0))
    frequency = np.bincount(np.ravel(y), minlength=7) / 4000
    assert_allclose(frequency, printed, rtol=0, atol=4 * (0.25 / 4000) ** 0.5)  # four standard deviations at most


def test_greedy_d_inference():
    params = d_parameters()
    y = formal_tx.d_inference(X, params, D, length=2, temperature=1e-4, key=jax.random.key(0))
    assert y.tolist() == [4, 5]
    assert algorithms.d_inference(X, paper_form(params), 2, 1.0, lambda q: int(q.argmax())) == [4, 5]


# Algorithms 9 and 8


def test_e_transformer():
    params = e_parameters()
    for x, token, printed in [
        (X, 0, [0.082931816, 0.309004707, 0.247722546, 0.056253587, 0.022879897, 0.051041153, 0.230166294]),
        (X, 3, [0.218333392, 0.205610366, 0.071733932, 0.034362595, 0.056464268, 0.171578445, 0.241917002]),
        (X_TILDE, 1, [0.064369932, 0.286644958, 0.314027391, 0.075554384, 0.023492046, 0.040374126, 0.195537162]),
    ]:
        assert_printed(formal_tx.e_transformer(x, params, E)[token], printed)
        assert_printed(algorithms.e_transformer(x, paper_form(params))[:, token], printed)


def test_ed_transformer():
    params = ed_parameters()
    printed = [
        [0.251326191, 0.167711181, 0.117732277, 0.095362315, 0.094169638, 0.113743242, 0.159955156],
        [0.239840716, 0.154096181, 0.108083156, 0.090793709, 0.095600223, 0.124484605, 0.187101410],
    ]
    assert_printed(formal_tx.ed_transformer(Z, X, params, ED)[np.array([0, 3])], printed)
    assert_printed(algorithms.ed_transformer(Z, X, paper_form(params))[:, [0, 3]].T, printed)


# Algorithms 11, 12 and 13: the loss before any update and after one and two, and the squared norm of the first gradient

D_LOSSES, D_NORM = [7.58494718857, 6.10668264393, 5.16163104781], 33.3875985360
ED_LOSSES, ED_NORM = [5.13578587842, 4.12637365560, 3.65822105201], 26.2511653600
E_LOSSES, E_NORM = [4.25880487795, 3.69097698126, 3.30948740276], 157.4657532844


def squared_norm(gradient):
    return sum((np.asarray(leaf) ** 2).sum() for leaf in gradient)


def assert_losses(losses, norm, printed_losses, printed_norm, rtol):
    assert_allclose(losses, printed_losses, rtol=rtol)
    assert_allclose(norm, printed_norm, rtol=rtol)


def value_and_gradient(loss, params, *args):
    """Compiled as one, which takes less time than in pieces."""
    return jax.jit(jax.value_and_grad(lambda params: loss(params, *args)))(params)


PRINTED = 2e-12  # the losses have twelve digits
DIFFERENCES = 1e-8  # central differences have about nine


class Watched:
    """Central differences that keep the loss before each update and the squared norm of each gradient."""

    def __init__(self):
        self.losses, self.norms = [], []

    def __call__(self, loss, theta):
        self.loss = loss
        self.losses.append(loss(theta))
        gradient = central_differences(loss, theta)
        self.norms.append(squared_norm(arrays(gradient)))
        return gradient


def test_d_training():
    params = d_parameters()
    trained, history = formal_tx.d_training(X[None], params, D, epochs=2, optimizer=optax.sgd(ETA), history=True)
    _, slope = value_and_gradient(d_loss, params, X, D)
    losses = [*history.loss.ravel(), d_loss(trained, X, D)]
    assert_losses(losses, squared_norm(jax.tree.leaves(slope)), D_LOSSES, D_NORM, PRINTED)
    printed = [-0.022728159305, 0.281185155862, -0.038799094408, -0.219657902150]
    assert_allclose(slope.W_p[0], printed, rtol=0, atol=6e-13)
    assert_allclose(slope.W_e[D.bos_token], printed, rtol=0, atol=6e-13)
    assert_allclose(slope.W_p[3], 0, rtol=0, atol=0)

    watched = Watched()
    theta_hat = algorithms.d_training([X], paper_form(params), 2, ETA, watched)
    losses = [*watched.losses, watched.loss(theta_hat)]
    assert_losses(losses, watched.norms[0], D_LOSSES, D_NORM, DIFFERENCES)


def test_ed_training():
    params = ed_parameters()
    options = {"epochs": 2, "optimizer": optax.sgd(ETA), "history": True}
    trained, history = formal_tx.ed_training(Z[None], X[None], params, ED, **options)
    _, slope = value_and_gradient(ed_loss, params, Z, X, ED)
    losses = [*history.loss.ravel(), ed_loss(trained, Z, X, ED)]
    assert_losses(losses, squared_norm(jax.tree.leaves(slope)), ED_LOSSES, ED_NORM, PRINTED)

    watched = Watched()  # one update is enough of central differences in 791 parameters
    theta_hat = algorithms.ed_training([Z], [X], paper_form(params), 1, ETA, watched)
    losses = [*watched.losses, watched.loss(theta_hat)]
    assert_losses(losses, watched.norms[0], ED_LOSSES[:2], ED_NORM, DIFFERENCES)


def test_e_training():
    """The same two tokens masked in both updates: so drawn for the pseudocode, and given to the library's loss."""
    step = jax.jit(jax.value_and_grad(lambda params: e_loss(params, X_TILDE, X, E)))
    params, losses, norms = e_parameters(), [], []
    for _ in range(3):
        loss, slope = step(params)
        losses.append(loss)
        norms.append(squared_norm(jax.tree.leaves(slope)))
        params = jax.tree.map(lambda W, G: W - ETA * G, params, slope)
    assert_losses(losses, norms[0], E_LOSSES, E_NORM, PRINTED)

    watched, drawn = Watched(), iter([0.0 if t in MASKED else 0.9 for t in range(4)] * 2)
    theta_hat = algorithms.e_training([X], paper_form(e_parameters()), 2, ETA, 0.5, lambda: next(drawn), watched)
    losses = [*watched.losses, watched.loss(theta_hat)]
    assert_losses(losses, watched.norms[0], E_LOSSES, E_NORM, DIFFERENCES)
