"""Right implementations in other styles are never accused, in any framework or precision."""

import numpy as np
import pytest

from formal_tx.crosscheck.calling import FromFunction, held
from formal_tx.crosscheck.catalog import find
from formal_tx.diagnosis import examine, judge

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-all installs it")
pytestmark = pytest.mark.oracle


def einsum(X, Z, params, mask):
    """Multi-head attention as three einsums."""
    h = params.heads
    S = np.einsum("hax,hbx->hab", X @ h.W_q.mT + h.b_q[:, None], Z @ h.W_k.mT + h.b_k[:, None])
    S = np.where(mask, S / np.sqrt(np.array(h.b_q.shape[-1], S.dtype)), -np.inf)
    A = np.exp(S - S.max(-1, keepdims=True))
    Y = np.einsum("hab,hbd->ahd", A / A.sum(-1, keepdims=True), Z @ h.W_v.mT + h.b_v[:, None])
    return Y.reshape(len(X), -1) @ params.W_o.T + params.b_o


def loop_over_heads(X, Z, params, mask):
    """One head after the other, one query after the other, each block of W_o by itself."""
    h, out = params.heads, np.tile(params.b_o, (len(X), 1))
    for i in range(len(h.W_q)):
        K, V = Z @ h.W_k[i].T + h.b_k[i], Z @ h.W_v[i].T + h.b_v[i]
        block = params.W_o[:, i * V.shape[1] : (i + 1) * V.shape[1]]
        for t in range(len(X)):
            s = K[mask[t]] @ (h.W_q[i] @ X[t] + h.b_q[i]) / np.sqrt(K.shape[1]).astype(K.dtype)
            a = np.exp(s - s.max())
            out[t] += block @ ((a / a.sum()) @ V[mask[t]])
    return out


def jax_attention(X, Z, params, mask):
    """`jax.nn.dot_product_attention`: heads on the third axis, everything with a batch."""
    import jax
    import jax.numpy as jnp

    h = params.heads
    Q, K, V = (
        jnp.einsum("ld,had->lha", S, W) + b[None]
        for S, W, b in ((X, h.W_q, h.b_q), (Z, h.W_k, h.b_k), (Z, h.W_v, h.b_v))
    )
    width = max(Q.shape[-1], V.shape[-1])  # it wants values as wide as keys
    pad = lambda A: jnp.pad(A, ((0, 0), (0, 0), (0, width - A.shape[-1])))[None]  # noqa: E731
    with jax.numpy_dtype_promotion("standard"):  # the tests forbid what it does inside
        Y = jax.nn.dot_product_attention(pad(Q), pad(K), pad(V), mask=mask[None, None], scale=Q.shape[-1] ** -0.5)[0]
    return Y[..., : V.shape[-1]].reshape(len(X), -1) @ params.W_o.T + params.b_o[None]


def torch_attention(X, Z, params, mask):
    """PyTorch's fused attention."""
    h = params.heads
    Q, K, V = (S @ W.mT + b[:, None] for S, W, b in ((X, h.W_q, h.b_q), (Z, h.W_k, h.b_k), (Z, h.W_v, h.b_v)))
    Y = torch.nn.functional.scaled_dot_product_attention(Q, K, V, attn_mask=mask)
    return Y.movedim(0, 1).flatten(1) @ params.W_o.T + params.b_o


def torch_module(X, Z, params, mask):
    """`torch.nn.MultiheadAttention`, made as wide as it wants: zeros around the check's matrices change nothing."""
    h = params.heads
    H, d_attn, _ = h.W_q.shape
    d_mid = h.W_v.shape[1]
    width = H * max(d_attn, d_mid, -(-max(X.shape[1], Z.shape[1], len(params.b_o)) // H))
    per_head = width // H
    module = torch.nn.MultiheadAttention(width, H, dtype=X.dtype)

    def stacked(W):  # (H, d, n) -> (width, width)
        full = torch.zeros(H, per_head, width, dtype=X.dtype)
        full[:, : W.shape[1], : W.shape[2]] = W
        return full.reshape(width, width)

    def bias(b):
        full = torch.zeros(H, per_head, dtype=X.dtype)
        full[:, : b.shape[1]] = b
        return full.reshape(width)

    root = (per_head / d_attn) ** 0.5  # it divides by √(width / H)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([root * stacked(h.W_q), stacked(h.W_k), stacked(h.W_v)]))
        module.in_proj_bias.copy_(torch.cat([root * bias(h.b_q), bias(h.b_k), bias(h.b_v)]))
        out = torch.zeros(width, H, per_head, dtype=X.dtype)
        out[: len(params.b_o), :, :d_mid] = params.W_o.reshape(len(params.b_o), H, d_mid)
        module.out_proj.weight.copy_(out.reshape(width, width))
        module.out_proj.bias.zero_()
        module.out_proj.bias[: len(params.b_o)] = params.b_o
        wide = lambda S: torch.nn.functional.pad(S, (0, width - S.shape[1]))[:, None]  # noqa: E731
        Y, _ = module(wide(X), wide(Z), wide(Z), attn_mask=~mask)
    return Y[:, 0, : len(params.b_o)]


STYLES = {
    "einsum": (einsum, "numpy"),
    "loop over heads": (loop_over_heads, "numpy"),
    "jax.nn.dot_product_attention": (jax_attention, "jax"),
    "scaled_dot_product_attention": (torch_attention, "torch"),
    "torch.nn.MultiheadAttention": (torch_module, "torch"),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("style", STYLES)
def test_multi_head_attention(style, dtype):
    f, framework = STYLES[style]
    if dtype == "bfloat16" and framework == "numpy":
        pytest.skip("NumPy has no matrix product in bfloat16")
    candidate = FromFunction(f, framework, dtype)
    with np.errstate(all="ignore"):  # a BLAS may set the flags of lanes that hold no number, and numbers are compared
        comparison, _ = judge(find(5), candidate, dtype=dtype)
    assert comparison.agrees, comparison.first_bad
    assert comparison.single_precision == (style.startswith("jax") and dtype == "float64")  # its softmax is float32
    assert examine(find(5), candidate, dtype=dtype).explained == ()


def gpt2(x, params, hyperparameters):
    """Hugging Face's GPT2LMHeadModel with the check's weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    hp, layers = hyperparameters, params.layers
    config = GPT2Config(
        vocab_size=hp.N_V, n_positions=hp.l_max, n_embd=hp.d_e, n_layer=hp.L, n_head=hp.H, n_inner=hp.d_mlp,
        activation_function="gelu", layer_norm_epsilon=hp.epsilon, attn_implementation="eager",
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, tie_word_embeddings=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).to(params.W_e.dtype).eval()
    heads = layers.attention.heads
    with torch.no_grad():
        model.transformer.wte.weight.copy_(params.W_e)
        model.transformer.wpe.weight.copy_(params.W_p)
        model.lm_head.weight.copy_(params.W_u)
        model.transformer.ln_f.weight.copy_(params.gamma)
        model.transformer.ln_f.bias.copy_(params.beta)
        for i, block in enumerate(model.transformer.h):
            flat = lambda W: W[i].reshape(-1, W.shape[-1]) if W.ndim == 4 else W[i].reshape(-1)  # noqa: B023, E731
            block.attn.c_attn.weight.copy_(torch.cat([flat(heads.W_q), flat(heads.W_k), flat(heads.W_v)]).T)
            block.attn.c_attn.bias.copy_(torch.cat([flat(heads.b_q), flat(heads.b_k), flat(heads.b_v)]))
            block.attn.c_proj.weight.copy_(layers.attention.W_o[i].T)
            block.attn.c_proj.bias.copy_(layers.attention.b_o[i])
            for norm, n in ((block.ln_1, 1), (block.ln_2, 2)):
                norm.weight.copy_(getattr(layers, f"gamma_{n}")[i])
                norm.bias.copy_(getattr(layers, f"beta_{n}")[i])
            block.mlp.c_fc.weight.copy_(layers.W_mlp1[i].T)
            block.mlp.c_fc.bias.copy_(layers.b_mlp1[i])
            block.mlp.c_proj.weight.copy_(layers.W_mlp2[i].T)
            block.mlp.c_proj.bias.copy_(layers.b_mlp2[i])
        return torch.softmax(model(torch.as_tensor(np.asarray(x))[None].long()).logits[0], dim=-1)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_hugging_face_gpt2(dtype):
    """Its heads have to divide its width, so it is called on cases of that form."""
    from formal_tx.crosscheck import draws
    from formal_tx.crosscheck.calling import call
    from formal_tx.crosscheck.editions import run_paper
    from formal_tx.crosscheck.layout import to_rows
    from formal_tx.crosscheck.tolerances import error, tolerance

    algorithm, rng = find(10), np.random.default_rng(0)
    for epsilon in (0.0, 1e-5):
        case = draws.d_transformer(rng, "GPT-2's form", H=2, d_e=10, d_attn=5, d_mid=5, epsilon=epsilon)
        case = held(case, dtype)
        answer = FromFunction(gpt2, "torch", dtype).answers([call(algorithm, case, "rows")])[0]
        assert not isinstance(answer, str), answer
        expected = to_rows(run_paper(algorithm, case, "float64")[0])
        assert error(answer.result, expected) <= tolerance(dtype, case.longest, foreign=True)
