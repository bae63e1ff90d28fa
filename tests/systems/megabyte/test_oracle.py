"""MEGABYTE against what another hand computes: prefixes one by one, a bigram model by hand, PyTorch's layers."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.crosscheck import pseudocode
from formal_tx.crosscheck.systems.megabyte import theta
from formal_tx.long_context.megabyte import bits_per_byte, megabyte, megabyte_logits

from .test_properties import HP, model, text


def test_every_row_is_what_its_prefix_alone_says(x64):
    """The global stack sees the whole patches before a byte, the local stack what its patch has so far."""
    params, x = model(), text(12)
    next_byte = pseudocode.module("long_context.megabyte").next_byte
    expected = [next_byte(x[:t].tolist(), theta(params), HP.P, HP.epsilon) for t in range(12)]
    np.testing.assert_allclose(megabyte(x, params, HP), expected, rtol=1e-12)


def test_without_layers_and_without_the_way_down_it_is_a_bigram_model(x64):
    """P(x[t] | x[t-1]) = softmax(E · LN(e)), where e is the embedding of the byte before, or the pad of a patch."""
    hp = replace(HP, L_G=0, L_L=0)
    params = model(hp)
    params = params.replace(W_GL=jnp.zeros((hp.D_L, hp.D_G)))
    x = text(12)
    E, gamma, beta = (np.asarray(A) for A in (params.E_L, params.local_stack.gamma, params.local_stack.beta))
    loss = 0.0
    for t in range(12):
        e = np.asarray(params.pad_L) if t % hp.P == 0 else E[x[t - 1]]
        e = (e - e.mean()) / np.sqrt(e.var() + hp.epsilon) * gamma + beta
        scores = np.array([sum(E[v, i] * e[i] for i in range(hp.D_L)) for v in range(hp.N_V)])
        loss -= np.log2(np.exp(scores[x[t]]) / np.exp(scores).sum()) / 12
    np.testing.assert_allclose(bits_per_byte(params, x, hp), loss, rtol=1e-12)


def test_a_model_of_zeros_costs_log_n_bits_a_byte():
    zeros = jax.tree.map(jnp.zeros_like, model())
    np.testing.assert_allclose(bits_per_byte(zeros, text(12), HP), np.log2(HP.N_V), rtol=1e-6)


@pytest.mark.oracle
def test_it_is_what_pytorchs_layers_give(x64):
    torch = pytest.importorskip("torch")

    def tensor(A):
        return torch.tensor(np.array(A), dtype=torch.float64)

    def stack(X, params, of):
        """PyTorch's own encoder layers, normalised before the sub-layers, under a causal mask."""
        for i in range(of.L):
            W = jax.tree.map(lambda A, i=i: A[i], params.layers)
            layer = torch.nn.TransformerEncoderLayer(
                of.d_e, of.H, of.d_mlp, 0.0, "gelu", of.epsilon, batch_first=True, norm_first=True, dtype=torch.float64
            )
            heads, own = W.attention.heads, layer.self_attn
            stacked = [tensor(A).flatten(0, 1) for A in (heads.W_q, heads.W_k, heads.W_v)]
            biases = [tensor(b).flatten() for b in (heads.b_q, heads.b_k, heads.b_v)]
            values = {own.in_proj_weight: torch.cat(stacked), own.in_proj_bias: torch.cat(biases)}
            values |= {own.out_proj.weight: tensor(W.attention.W_o), own.out_proj.bias: tensor(W.attention.b_o)}
            values |= {layer.linear1.weight: tensor(W.W_mlp1), layer.linear1.bias: tensor(W.b_mlp1)}
            values |= {layer.linear2.weight: tensor(W.W_mlp2), layer.linear2.bias: tensor(W.b_mlp2)}
            values |= {layer.norm1.weight: tensor(W.gamma_1), layer.norm1.bias: tensor(W.beta_1)}
            values |= {layer.norm2.weight: tensor(W.gamma_2), layer.norm2.bias: tensor(W.beta_2)}
            with torch.no_grad():
                for parameter, value in values.items():
                    parameter.copy_(value)
                hidden = torch.triu(torch.ones(X.shape[1], X.shape[1], dtype=bool), 1)
                X = layer.train()(X, src_mask=hidden)
        return torch.nn.functional.layer_norm(X, X.shape[-1:], tensor(params.gamma), tensor(params.beta), of.epsilon)

    params, x = model(), text(12)
    ids, K = torch.tensor(x), 4
    h = tensor(params.E_G)[ids] + tensor(params.Pos_G)
    G_in = torch.cat([tensor(params.pad_G).reshape(1, -1), h.reshape(K, -1)[:-1]])
    G_out = stack(G_in[None], params.global_stack, HP.global_stack)[0].reshape(K, HP.P, HP.D_G)
    pads = tensor(params.pad_L).expand(K, 1, HP.D_L)
    e = torch.cat([pads, tensor(params.E_L)[ids].reshape(K, HP.P, HP.D_L)[:, :-1]], dim=1)
    L_out = stack(e + G_out @ tensor(params.W_GL).T, params.local_stack, HP.local_stack)
    expected = (L_out @ tensor(params.E_L).T).reshape(12, HP.N_V)
    np.testing.assert_allclose(megabyte_logits(x, params, HP), expected, rtol=1e-11, atol=1e-11)
