"""The comparison is one of equals: with the same parameters the rivals have our loss, and draw our tokens."""

import jax
import numpy as np
import pytest

from benchmarks.rivals import nanogpt_small, our_training
from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.losses import d_loss
from formal_tx.runs.machine import operations_per_token

L, H, D, LENGTH, N_V = 2, 2, 8, 6, 11
HP = DTransformerHyperparameters(l_max=LENGTH, L=L, H=H, d_e=D, d_mlp=4 * D, N_V=N_V, tied_embeddings=True)


@pytest.fixture(scope="module")
def params():
    """Random parameters, biases, γ and β among them."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(lambda key: init_d_transformer(key, HP), jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return tree.unflatten([0.3 * jax.random.normal(key, W.shape) for key, W in zip(keys, leaves, strict=True)])


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(N_V, size=(3, LENGTH)).astype(np.int32)


@pytest.fixture(scope="module")
def ours(params, tokens):
    return float(d_loss(params, tokens, HP, mean=True))


def layer(params, i):
    """The parameters of a layer: those of its heads, of its attention, and the others."""
    W = jax.tree.map(np.asarray, jax.tree.map(lambda W: W[i], params.layers))
    return W.attention.heads, W.attention, W


@pytest.mark.oracle
def test_the_model_in_torch_has_our_loss(params, tokens, ours):
    torch = pytest.importorskip("torch")
    from benchmarks.rivals.torch_gpt import GPT, loss

    def rows(A):
        return A.reshape(D, *A.shape[2:])

    state = {"tokens.weight": params.W_e, "positions.weight": params.W_p}
    state |= {"norm.weight": params.gamma, "norm.bias": params.beta}
    for i in range(L):
        heads, attention, W = layer(params, i)
        own = {
            "attention.qkv.weight": np.concatenate([rows(heads.W_q), rows(heads.W_k), rows(heads.W_v)]),
            "attention.qkv.bias": np.concatenate([rows(heads.b_q), rows(heads.b_k), rows(heads.b_v)]),
            "attention.out.weight": attention.W_o,
            "attention.out.bias": attention.b_o,
            "norm_1.weight": W.gamma_1,
            "norm_1.bias": W.beta_1,
            "norm_2.weight": W.gamma_2,
            "norm_2.bias": W.beta_2,
            "mlp.0.weight": W.W_mlp1,
            "mlp.0.bias": W.b_mlp1,
            "mlp.2.weight": W.W_mlp2,
            "mlp.2.bias": W.b_mlp2,
        }
        state |= {f"blocks.{i}.{name}": A for name, A in own.items()}
    model = GPT(L, H, D, LENGTH, N_V)
    model.load_state_dict({name: torch.tensor(np.array(A)) for name, A in state.items()})
    theirs = loss(model, torch.tensor(tokens.astype(np.int64))).item()
    assert theirs == pytest.approx(ours, rel=2e-6)


def test_the_model_in_flax_has_our_loss(params, tokens, ours):
    from flax import nnx

    from benchmarks.rivals.flax_gpt import GPT, loss

    def of_projection(W):
        return W.transpose(2, 0, 1)  # (H, d_attn, d_e), and theirs (d_e, H, d_attn)

    with jax.numpy_rank_promotion("allow"):  # flax adds arrays of different ranks
        model = GPT(L, H, D, LENGTH, N_V, nnx.Rngs(0))
        model.tokens.embedding[...], model.positions.embedding[...] = params.W_e, params.W_p
        model.norm.scale[...], model.norm.bias[...] = params.gamma, params.beta
        for i, block in enumerate(model.blocks):
            heads, attention, W = layer(params, i)
            for projection, W_h, b_h in (
                (block.attention.query, heads.W_q, heads.b_q),
                (block.attention.key, heads.W_k, heads.b_k),
                (block.attention.value, heads.W_v, heads.b_v),
            ):
                projection.kernel[...], projection.bias[...] = of_projection(W_h), b_h
            block.attention.out.kernel[...] = attention.W_o.reshape(D, H, D // H).transpose(1, 2, 0)
            block.attention.out.bias[...] = attention.b_o
            block.norm_1.scale[...], block.norm_1.bias[...] = W.gamma_1, W.beta_1
            block.norm_2.scale[...], block.norm_2.bias[...] = W.gamma_2, W.beta_2
            block.linear_1.kernel[...], block.linear_1.bias[...] = W.W_mlp1.T, W.b_mlp1
            block.linear_2.kernel[...], block.linear_2.bias[...] = W.W_mlp2.T, W.b_mlp2
        theirs = float(nnx.jit(loss)(model, jax.numpy.asarray(tokens)))
    assert theirs == pytest.approx(ours, rel=2e-6)


def test_the_operations_of_a_step_are_those_that_the_log_of_a_run_counts():
    """But for biases, γ and β, which are in no product."""
    batch = 4
    c = our_training.configuration(batch)
    shapes = jax.eval_shape(
        lambda key: init_d_transformer(key, c.hyperparameters(nanogpt_small.N_V)), jax.random.key(0)
    )
    of_run = operations_per_token(c, shapes) * batch * c.l_max
    assert nanogpt_small.operations(batch) == pytest.approx(of_run, rel=0.01)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")  # those of the libraries are theirs
def test_all_continue_prompts_with_the_same_tokens(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("ctranslate2")
    from benchmarks.rivals import ctranslate2_generation, huggingface_generation, our_generation
    from benchmarks.rivals.decoders import random_gpt2

    small = {"n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 60, "n_positions": 32, "initializer_range": 0.5}
    random_gpt2(tmp_path, **small)
    asked = {"batch": 3, "prompt": 5, "tokens": 8}
    ours = our_generation.generate(str(tmp_path / "huggingface"), **asked)()
    assert ours.shape == (3, 8)
    assert len(np.unique(ours)) > 3  # the model does not say the same again and again
    np.testing.assert_array_equal(huggingface_generation.generate(str(tmp_path / "huggingface"), **asked)(), ours)
    quantised = ctranslate2_generation.generate(str(tmp_path / "ctranslate2"), N_V=60, **asked)()
    assert quantised.shape == (3, 8)
    assert (quantised == ours)[:, 0].any()  # rounding to int8 may change tokens, and those after them
