"""The variations against PyTorch's and Hugging Face's own, in double precision.

Hugging Face computes rotary angles and some norms in float32, whatever the model's type is; here `torch.float32` is
made to mean float64 while it does so, so that its formulas are what is compared.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks
from formal_tx.activations import gelu_sigmoid, gelu_tanh, sigmoid, silu
from formal_tx.attending import Attending
from formal_tx.attention import mh_attention
from formal_tx.mlp import mlp
from formal_tx.normalization import rms_norm, rms_norm_about_one
from formal_tx.parameters import AttentionParameters, MHAttentionParameters, MLPParameters
from formal_tx.positional import (
    Alibi,
    LinearScaling,
    Llama3Scaling,
    RelativeBuckets,
    Rotary,
    YaRNScaling,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.positional.alibi import slopes
from formal_tx.scores import QKNorm

from .decoders import normal

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def tensor(array):
    return torch.from_numpy(np.array(array))


def close(found, expected, tolerance=1e-13):
    expected = np.asarray(expected)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture
def double(monkeypatch):
    """What asks for float32 gets float64."""
    for name in ("float", "float32"):
        monkeypatch.setattr(torch, name, torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def test_rms_norm():
    e, gamma = normal(0, 5, 7), normal(1, 7)
    norm = torch.nn.RMSNorm(7, eps=1e-5, dtype=torch.float64)
    norm.weight.data = tensor(gamma)
    close(rms_norm(e, gamma, epsilon=1e-5), norm(tensor(e)).detach())


def test_rms_norm_about_one(double):
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

    e, gamma = normal(0, 5, 7), normal(1, 7)
    norm = GemmaRMSNorm(7, eps=1e-5)
    norm.weight.data = tensor(gamma)
    close(rms_norm_about_one(e, gamma, epsilon=1e-5), norm(tensor(e)).detach())


@pytest.mark.parametrize("all_heads", [False, True], ids=["each head", "all heads"])
def test_qk_norm(all_heads):
    Q, gamma = normal(0, 3, 5, 4), normal(1, *((3, 4) if all_heads else (4,)))
    norm = torch.nn.RMSNorm(gamma.size, eps=1e-6, dtype=torch.float64)
    norm.weight.data = tensor(gamma).reshape(-1)
    seen = tensor(Q).transpose(0, 1)
    expected = norm(seen.reshape(5, 12)).reshape(5, 3, 4) if all_heads else norm(seen)
    close(QKNorm(1e-6, all_heads)(Q, gamma), expected.transpose(0, 1).detach())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (gelu_tanh, lambda x: torch.nn.functional.gelu(x, approximate="tanh")),
        (gelu_tanh, lambda x: transformers.activations.ACT2FN["gelu_new"](x)),
        (gelu_sigmoid, lambda x: transformers.activations.ACT2FN["quick_gelu"](x)),
        (silu, lambda x: torch.nn.functional.silu(x)),
        (sigmoid, lambda x: torch.sigmoid(x)),
    ],
    ids=["gelu by tanh", "gelu_new", "quick_gelu", "silu", "sigmoid"],
)
def test_activations(ours, theirs):
    x = jnp.linspace(-30, 30, 601)
    close(ours(x), theirs(tensor(x)))


def test_swiglu():
    from transformers.models.llama.modeling_llama import LlamaConfig, LlamaMLP

    theirs = LlamaMLP(LlamaConfig(hidden_size=6, num_attention_heads=2, intermediate_size=9)).double()
    W = [jnp.asarray(m.weight.detach().numpy()) for m in (theirs.up_proj, theirs.down_proj, theirs.gate_proj)]
    X, params = normal(0, 5, 6), MLPParameters(W[0], None, W[1], None, W[2], None, None, None)
    close(mlp(X, params, silu, lambda X, gamma, beta: X), theirs(tensor(X)).detach())


# Positions


@pytest.mark.parametrize(
    ("scaling", "kind", "given"),
    [
        (None, "default", {}),
        (LinearScaling(4.0), "linear", {"factor": 4.0}),
        (
            Llama3Scaling(8.0, 64, 1.0, 4.0),
            "llama3",
            {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        ),
        (YaRNScaling(4.0, 64, 500.0), "yarn", {"factor": 4.0, "original_max_position_embeddings": 64}),
        (
            YaRNScaling(16.0, 2048, 500.0, 2.0, 40.0, 1.25),
            "yarn",
            {
                "factor": 16.0,
                "original_max_position_embeddings": 2048,
                "beta_fast": 40.0,
                "beta_slow": 2.0,
                "attention_factor": 1.25,
            },
        ),
    ],
    ids=["as printed", "linear", "Llama 3", "YaRN", "YaRN of other numbers"],
)
def test_rotary_halves_and_frequencies(double, scaling, kind, given):
    from transformers.models.llama.modeling_llama import LlamaConfig, LlamaRotaryEmbedding, apply_rotary_pos_emb

    rope = {"rope_type": kind, "rope_theta": 500.0, **given}
    config = LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=256, rope_parameters=rope)
    Q, K, t = normal(0, 1, 2, 9, 16), normal(1, 1, 2, 9, 16), np.arange(9) * 13
    cos, sin = LlamaRotaryEmbedding(config)(tensor(Q), torch.from_numpy(t)[None])
    expected = apply_rotary_pos_emb(tensor(Q), tensor(K), cos, sin)
    rotary = Rotary(base=500.0, scaling=scaling)
    for ours, theirs in zip((Q, K), expected, strict=True):
        close(rotary(ours, jnp.asarray(t)), theirs)


def test_rotary_neighbours():
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb

    X, t = normal(0, 1, 9, 2, 8), np.arange(9) * 13  # (batch, ℓ, heads, features)
    angle = torch.from_numpy(t)[:, None] / 10000.0 ** (torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    expected = apply_rotary_pos_emb(tensor(X), angle.sin()[None], angle.cos()[None])
    found = Rotary(neighbours=True)(X.swapaxes(1, 2), jnp.asarray(t)).swapaxes(1, 2)
    close(found, expected)


@pytest.mark.parametrize("H", [1, 2, 8, 12, 20])
def test_alibi(H):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor
    from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

    l, t = 9, jnp.arange(9)
    bloom = build_alibi_tensor(torch.ones(1, l), H, torch.float64).numpy()  # (H, 1, ℓ), of keys alone
    mpt = build_mpt_alibi_tensor(H, l).numpy()
    # Both raise 2 to a power in float32, which is exact for a power of two heads and has seven digits otherwise.
    digits = 1e-15 if H & (H - 1) == 0 else 3e-7
    close(slopes(H), bloom[:, 0, 1], digits)
    ours = np.asarray(Alibi()(jnp.zeros((H, l, l)), t, t))
    close(ours[:, -1], mpt[:, 0], digits)  # of the last query it is the penalty itself
    # Bloom's depends on the key alone; of keys up to the query, it differs by what is the same of them all.
    close(np.tril(ours - ours[:, :, :1]), np.tril(np.broadcast_to(bloom, ours.shape)), digits)


@pytest.mark.parametrize(("rows", "furthest"), [(32, 128), (8, 16), (32, 1000), (64, 128)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets(rows, furthest, bidirectional):
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = np.arange(-2 * furthest, 2 * furthest + 1)
    theirs = T5Attention._relative_position_bucket(torch.from_numpy(distance), bidirectional, rows, furthest)
    ours = RelativeBuckets(rows, furthest, bidirectional).bucket(jnp.asarray(distance))
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_sinusoids():
    from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding
    from transformers.models.whisper.modeling_whisper import sinusoids

    marian = MarianSinusoidalPositionalEmbedding(20, 6).create_weight().detach()
    close(sinusoid_halves(20, 6), marian, 1e-7)  # its table is rounded to float32
    close(whisper_sinusoids(20, 6), sinusoids(20, 6), 2e-6)  # and here its angles


# Attention


def _projected(params, X, Z):
    heads = params.heads
    project = lambda A, W, b: torch.einsum("ld,hed->hle", tensor(A), tensor(W)) + tensor(b)[:, None]  # noqa: E731
    return (
        project(X, heads.W_q, heads.b_q),
        project(Z, heads.W_k, heads.b_k),
        project(Z, heads.W_v, heads.b_v),
    )


@pytest.mark.parametrize("H_kv", [1, 2, 3, 6])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_grouped_queries_with_alibi_against_scaled_dot_product_attention(H_kv, scale):
    H, l_x, l_z = 6, 5, 7
    shapes = {"W_q": (H, 4, 8), "b_q": (H, 4), "W_k": (H_kv, 4, 9), "b_k": (H_kv, 4), "W_v": (H_kv, 3, 9)}
    heads = AttentionParameters(**{n: normal(i, *s) for i, (n, s) in enumerate(shapes.items())}, b_v=normal(9, H_kv, 3))
    params = MHAttentionParameters(heads, normal(10, 11, H * 3), normal(11, 11))
    X, Z = normal(12, l_x, 8), normal(13, l_z, 9)
    Q, K, V = _projected(params, X, Z)
    distance = torch.arange(l_z)[None, :] - torch.arange(l_x)[:, None]
    bias = tensor(slopes(H))[:, None, None] * distance
    bias = torch.where(distance <= 0, bias, -torch.inf)
    Y = torch.nn.functional.scaled_dot_product_attention(Q, K, V, attn_mask=bias, scale=scale, enable_gqa=True)
    expected = Y.transpose(0, 1).reshape(l_x, H * 3) @ tensor(params.W_o).T + tensor(params.b_o)
    found = mh_attention(X, Z, params, masks.causal, Attending(score=Alibi(), scale=scale))
    close(found, expected, 1e-12)


def test_a_soft_cap_against_gemma_2(double):
    from types import SimpleNamespace

    from transformers.models.gemma2.modeling_gemma2 import eager_attention_forward

    from formal_tx.attend import dense as answer
    from formal_tx.scores import SoftCap

    Q, K, V = 3 * normal(0, 1, 4, 5, 6), normal(1, 1, 2, 5, 6), normal(2, 1, 2, 5, 6)
    causal = torch.where(torch.tril(torch.ones(5, 5)) > 0, 0.0, -torch.inf)[None, None].double()
    module = SimpleNamespace(head_dim=6, num_key_value_groups=2, training=False)
    expected, _ = eager_attention_forward(
        module, tensor(Q), tensor(K), tensor(V), causal, dropout=0.0, scaling=0.25, softcap=2.0
    )
    mask = jnp.tril(jnp.ones((1, 1, 5, 5), bool))
    found = answer(Q, K, V, mask, Attending(score=SoftCap(2.0), scale=0.25))
    close(found.swapaxes(1, 2), expected)
