"""Recurrent Memory Transformer beside other computations: a block in NumPy, backbones that are worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.long_context.recurrent_memory import recur

from .test_properties import DECODER, ENCODER, D, E, M, S, decode, encode, text


def backbone(H, params, hp, mask, before):
    """The layers over rows H (k, d_e), by NumPy: norms before or after the sub-layers."""

    def norm(X, gamma, beta):
        centred = X - X.mean(axis=-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + hp.epsilon) * gamma + beta

    def attend(X, W):
        answers = []
        for h in range(hp.H):
            Q, K, V = (X @ getattr(W.heads, f"W_{n}")[h].T + getattr(W.heads, f"b_{n}")[h] for n in "qkv")
            A = np.exp(np.where(mask, Q @ K.T / np.sqrt(Q.shape[-1]), -np.inf))
            answers.append(A / A.sum(axis=-1, keepdims=True) @ V)
        return np.concatenate(answers, axis=-1) @ W.W_o.T + W.b_o

    def feed(X, W):
        return np.asarray(jax.nn.gelu(X @ W.W_mlp1.T + W.b_mlp1, approximate=False)) @ W.W_mlp2.T + W.b_mlp2

    H = H + params.W_p[: len(H)]
    for i in range(hp.L):
        W = jax.tree.map(lambda A, i=i: np.asarray(A[i]), params.layers)
        if before:
            H = H + attend(norm(H, W.gamma_1, W.beta_1), W.attention)
            H = H + feed(norm(H, W.gamma_2, W.beta_2), W)
        else:
            H = norm(H + attend(H, W.attention), W.gamma_1, W.beta_1)
            H = norm(H + feed(H, W), W.gamma_2, W.beta_2)
    return norm(H, params.gamma, params.beta) if before else H


def in_float64(tree):
    return jax.tree.map(lambda A: np.asarray(A, float), tree)


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_decoder_is_a_loop_in_numpy(x64, both_ways):
    params = in_float64(DECODER)
    theta, memory, x, expected = params.backbone, params.M_0, text(0, 3 * S), []
    mask = np.tri(2 * M + S, dtype=bool)
    if both_ways:
        mask[:M, :M] = mask[-M:, -M:] = True
    for i in range(3):
        rows = np.concatenate([memory, theta.W_e[x[i * S : i * S + S]], memory])
        H = backbone(rows, theta, D, mask, before=True)
        memory = H[M + S :]
        expected.append(H[M : M + S] @ theta.W_u.T)
    logits, found = decode(x, params, mem_bidirectional=both_ways)
    np.testing.assert_allclose(logits, np.concatenate(expected), rtol=1e-10, atol=1e-12)  # sums in another order
    np.testing.assert_allclose(found, memory, rtol=1e-10, atol=1e-12)


def test_the_encoder_is_a_loop_in_numpy(x64):
    params = in_float64(ENCODER)
    theta, memory, x, tokens = params.backbone, params.M_0, text(0, 3 * S), []
    mask = np.ones((M + S + 3, M + S + 3), bool)
    for i in range(3):
        cls, sep = theta.W_e[E.bos_token], theta.W_e[E.eos_token]
        H = backbone(
            np.concatenate([cls[None], memory, sep[None], theta.W_e[x[i * S : i * S + S]], sep[None]]),
            theta,
            E,
            mask,
            before=False,
        )
        memory = H[1 : M + 1]
        tokens.append(H[M + 2 : -1])
    found = encode(x, params)
    for one, other in ((found.cls, H[0]), (found.Y, np.concatenate(tokens)), (found.M, memory)):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_backbone_that_changes_nothing(x64):
    """Worked by hand: the memory stays M_0, and the rows of tokens are their embeddings."""
    M_0, E_x = jnp.array([[1.0, 2.0]]), jnp.arange(12.0).reshape(3, 2, 2)
    found, Y = recur(lambda M, E: (M, E), M_0, E_x)
    np.testing.assert_array_equal(found, M_0)
    np.testing.assert_array_equal(Y, E_x)


def test_a_backbone_that_adds_the_mean_of_all_rows(x64):
    """Worked by hand: M_0 = 2 and the tokens 4, 6 have the mean 4; then 6, 1, 2 have 3; the memory is 6, then 9."""

    def step(memory, E):
        H = jnp.concatenate([memory, E])
        H = H + H.mean(axis=0, keepdims=True)
        return H[:1], H[1:]

    memory, Y = recur(step, jnp.array([[2.0]]), jnp.array([[[4.0], [6.0]], [[1.0], [2.0]]]))
    np.testing.assert_allclose(memory, [[9.0]], rtol=1e-15)
    np.testing.assert_allclose(Y[..., 0], [[8.0, 10.0], [4.0, 5.0]], rtol=1e-15)


def test_gradients_through_borders_worked_by_hand(x64):
    """M ← a M + x: after three segments a³ M_0 + a² x_1 + a x_2 + x_3. A border that is closed hides what is before."""
    a, M_0, x = 3.0, jnp.array(2.0), jnp.array([5.0, 7.0, 11.0])

    def last(M_0, a, x, bptt):
        return recur(lambda M, x: (a * M + x, None), M_0, x, bptt)[0]

    for bptt, of_x, of_a in (
        (None, [9, 3, 1], 3 * 9 * 2 + 2 * 3 * 5 + 7),
        (2, [9, 3, 1], 91),
        (1, [0, 3, 1], (3 * 2 + 5) * 3 + 40),
        (0, [0, 0, 1], 40),
    ):
        of = jax.grad(last, argnums=(0, 1, 2))(M_0, jnp.array(a), x, bptt)
        np.testing.assert_allclose(of[2], of_x, rtol=1e-15)
        np.testing.assert_allclose(of[1], of_a, rtol=1e-15)  # the memories are 11 and 40; M_0 itself does not change
        np.testing.assert_allclose(of[0], 27.0 if bptt in (None, 2) else 0.0, rtol=1e-15)
