"""Make the golden files of `tests/golden/` with PyTorch and Hugging Face transformers, for tests that run without them.

    python -m tools.make_golden [folder]

Each file holds random inputs, parameters (`params.…`, in the library's form) and what the oracle gives for them, in
float64. Made again, they hold the same numbers; `tests/oracles/test_golden_files.py` sees to it.
"""

import sys
from pathlib import Path

import numpy as np

from formal_tx import init_attention, init_mh_attention
from tests.golden import sizes
from tests.golden.editions import named, random_parameters, shapes
from tests.oracles.torch_models import (
    F,
    arrays,
    d_logits,
    e_logits,
    ed_logits,
    multihead_attention,
    multihead_attention_state,
    next_token_loss,
    run,
    tensors,
    train,
)

FOLDER = Path(__file__).parents[1] / "tests" / "golden"


def distribution(logits):
    return F.softmax(logits, dim=-1)[0]


def any_mask(rng):
    """A random mask, true where a query may attend to a key; each query may attend to one at least."""
    mask = rng.random((sizes.L_X, sizes.L_Z)) < 0.5
    mask[:, 0] |= ~mask.any(axis=-1)
    return mask


def algorithm_04(rng):
    """`torch.nn.functional.scaled_dot_product_attention`."""
    params = random_parameters(shapes(init_attention, **sizes.ATTENTION), 4)
    X, Z = rng.normal(size=(sizes.L_X, sizes.ATTENTION["d_x"])), rng.normal(size=(sizes.L_Z, sizes.ATTENTION["d_z"]))
    mask = any_mask(rng)
    W = tensors(params)
    Q, K, V = F.linear(tensors(X), W.W_q, W.b_q), F.linear(tensors(Z), W.W_k, W.b_k), F.linear(tensors(Z), W.W_v, W.b_v)
    V_tilde = F.scaled_dot_product_attention(Q, K, V, attn_mask=tensors(mask))
    return {"X": X, "Z": Z, "mask": mask, "params": params, "V_tilde": V_tilde}


def algorithm_05(rng):
    """`torch.nn.MultiheadAttention`, whose masks say what to drop."""
    d_x, d_z = sizes.MH_ATTENTION["d_x"], sizes.MH_ATTENTION["d_z"]
    params = random_parameters(shapes(init_mh_attention, **sizes.MH_ATTENTION), 5)
    X, Z, mask = rng.normal(size=(sizes.L_X, d_x)), rng.normal(size=(sizes.L_Z, d_z)), any_mask(rng)
    W, context = tensors(params), tensors(Z)
    state = multihead_attention_state(W, separate=True)
    V_tilde, _ = run(multihead_attention(W, d_x, d_z), state, tensors(X), context, context, attn_mask=tensors(~mask))
    return {"X": X, "Z": Z, "mask": mask, "params": params, "V_tilde": V_tilde}


def algorithm_06(rng):
    """`torch.nn.functional.layer_norm`, with the epsilon of most models and with none."""
    e, gamma, beta = rng.normal(size=7), rng.normal(size=7), rng.normal(size=7)
    e_hat = {
        f"e_hat_epsilon_{epsilon}": F.layer_norm(tensors(e), (7,), tensors(gamma), tensors(beta), epsilon)
        for epsilon in (0.0, 1e-5)
    }
    return {"e": e, "gamma": gamma, "beta": beta, **e_hat}


def algorithm_08(rng):
    """`torch.nn.TransformerEncoderLayer` and `torch.nn.TransformerDecoderLayer`."""
    params, z, x = random_parameters(sizes.ED, 8), rng.integers(0, 11, sizes.L_Z), rng.integers(0, 11, sizes.L_X)
    logits = ed_logits(tensors(params), tensors(z[None]), tensors(x[None]), sizes.ED)
    return {"z": z, "x": x, "params": params, "P": distribution(logits)}


def algorithm_09(rng):
    """Hugging Face's BERT."""
    params, x = random_parameters(sizes.E, 9), rng.integers(0, 11, sizes.L_X)
    return {"x": x, "params": params, "P": distribution(e_logits(tensors(params), tensors(x[None]), sizes.E))}


def algorithm_10(rng):
    """Hugging Face's GPT-2, with the exact GELU."""
    params, x = random_parameters(sizes.D, 10), rng.integers(0, 11, sizes.L_X)
    return {"x": x, "params": params, "P": distribution(d_logits(tensors(params), tensors(x[None]), sizes.D))}


def algorithm_13(rng):
    """Hugging Face's GPT-2, trained by `torch.optim.SGD` with PyTorch's autograd."""
    hp, params = sizes.TRAINED, random_parameters(sizes.TRAINED, 13)
    x = rng.integers(0, hp.N_V, (2, hp.l_max))

    def loss_of(x_n):
        return lambda theta: next_token_loss(d_logits(theta, x_n, hp), x_n)

    losses = [loss_of(tensors(x_n[None])) for _ in range(sizes.EPOCHS) for x_n in x]
    theta_hat, values = train(losses, params, sizes.ETA)
    return {"x": x, "params": params, "theta_hat": theta_hat, "loss": np.array(values)}


MAKERS = [algorithm_04, algorithm_05, algorithm_06, algorithm_08, algorithm_09, algorithm_10, algorithm_13]


def main(folder=FOLDER):
    """Write the files into `folder`, with arrays named by path."""
    for make in MAKERS:
        case = make(np.random.default_rng(2207_09238))
        np.savez_compressed(Path(folder) / f"{make.__name__}.npz", **named(arrays(case)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
