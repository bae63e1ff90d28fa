"""The oracles: PyTorch's and Hugging Face's modules, given the library's parameters.

A set of parameters goes over as it is: `tensors` makes the same pytree with PyTorch's tensors for leaves, and each
`…_state` spells the parameters of a module as differentiable functions of these. So `torch.func.functional_call` runs
the module, and PyTorch's autograd gives gradients that are compared leaf by leaf.

What no module offers, heads of any width (d_attn, d_mid), stands at the end, made of `torch.nn.functional` alone.
"""

import jax
import numpy as np
import pytest

WHY = "the oracles are not installed: pip install 'formal-tx[oracles]'"
torch = pytest.importorskip("torch", reason=WHY)
transformers = pytest.importorskip("transformers", reason=WHY)
F = torch.nn.functional
torch.set_num_threads(1)


def tensors(params, requires_grad=False):
    """A pytree of arrays, or an array, as PyTorch's tensors."""
    return jax.tree.map(lambda a: torch.tensor(np.asarray(a), requires_grad=requires_grad), params)


def arrays(outputs):
    """A pytree whose tensors are NumPy's arrays."""
    return jax.tree.map(lambda a: a.detach().numpy() if isinstance(a, torch.Tensor) else a, outputs)


def gradient(loss, theta):
    """The gradient of `loss(theta)`, in the form of `theta`; 0 for what the loss does not depend on."""
    leaves, form = jax.tree.flatten(theta)
    value = loss(theta)
    return value, jax.tree.unflatten(form, torch.autograd.grad(value, leaves, materialize_grads=True))


def run(module, state, *args, **kwargs):
    """`module` with the parameters `state`, of which none may be missing or left over."""
    assert set(state) == set(dict(module.named_parameters()))
    return torch.func.functional_call(module, state, args, kwargs)


def unstacked(layers):
    """The layers of a stacked pytree, one after the other."""
    return [jax.tree.map(lambda a, i=i: a[i], layers) for i in range(len(jax.tree.leaves(layers)[0]))]


def fused(W):
    """W_q, W_k and W_v of all heads as tall matrices, with their biases."""
    return [(getattr(W.heads, f"W_{n}").flatten(0, 1), getattr(W.heads, f"b_{n}").flatten()) for n in ("q", "k", "v")]


def prefixed(prefix, state):
    return {f"{prefix}.{name}": value for name, value in state.items()}


# Algorithm 5


def multihead_attention(W, d_x, d_z):
    """`torch.nn.MultiheadAttention` for parameters of its form: d_attn = d_mid = d_x / H and d_out = d_x."""
    H = W.heads.W_q.shape[0]
    widths = {} if d_x == d_z else {"kdim": d_z, "vdim": d_z}
    return torch.nn.MultiheadAttention(d_x, H, batch_first=True, dtype=W.W_o.dtype, **widths)


def multihead_attention_state(W, separate=False):
    (W_q, b_q), (W_k, b_k), (W_v, b_v) = fused(W)
    if separate:  # where query and context differ in width
        state = {"q_proj_weight": W_q, "k_proj_weight": W_k, "v_proj_weight": W_v}
    else:
        state = {"in_proj_weight": torch.cat([W_q, W_k, W_v])}
    return state | {"in_proj_bias": torch.cat([b_q, b_k, b_v]), "out_proj.weight": W.W_o, "out_proj.bias": W.b_o}


# Algorithm 8


class EncoderDecoder(torch.nn.Module):
    """PyTorch's own layers (post-norm, ReLU), stacked, between an embedding and a linear layer without bias."""

    def __init__(self, hp):
        super().__init__()
        options = {"dropout": 0.0, "layer_norm_eps": hp.epsilon, "batch_first": True, "norm_first": False}
        encoder = torch.nn.TransformerEncoderLayer(hp.d_e, hp.H, hp.d_mlp, activation="relu", **options)
        decoder = torch.nn.TransformerDecoderLayer(hp.d_e, hp.H, hp.d_mlp, activation="relu", **options)
        self.tokens = torch.nn.Embedding(hp.N_V, hp.d_e)
        self.positions = torch.nn.Embedding(hp.l_max, hp.d_e)
        self.encoder = torch.nn.TransformerEncoder(encoder, hp.L_enc, enable_nested_tensor=False)
        self.decoder = torch.nn.TransformerDecoder(decoder, hp.L_dec)
        self.unembedding = torch.nn.Linear(hp.d_e, hp.N_V, bias=False)

    def embed(self, x):
        return self.tokens(x) + self.positions(torch.arange(x.shape[-1]))

    def forward(self, z, x, z_padding=None):
        """Logits for z (batch, ℓ_z) and x (batch, ℓ_x); `z_padding` is true where z is padding."""
        later = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool).triu(1)
        Z = self.encoder(self.embed(z), src_key_padding_mask=z_padding)
        X = self.decoder(self.embed(x), Z, tgt_mask=later, memory_key_padding_mask=z_padding)
        return self.unembedding(X)


def encoder_decoder_state(theta):
    state = {"tokens.weight": theta.W_e, "positions.weight": theta.W_p, "unembedding.weight": theta.W_u}
    for i, W in enumerate(unstacked(theta.encoder)):
        layer = {"linear1.weight": W.W_mlp1, "linear1.bias": W.b_mlp1, "linear2.weight": W.W_mlp2}
        layer |= {"linear2.bias": W.b_mlp2, "norm1.weight": W.gamma_1, "norm1.bias": W.beta_1}
        layer |= {"norm2.weight": W.gamma_2, "norm2.bias": W.beta_2}
        layer |= prefixed("self_attn", multihead_attention_state(W.attention))
        state |= prefixed(f"encoder.layers.{i}", layer)
    for i, W in enumerate(unstacked(theta.decoder)):
        layer = {"linear1.weight": W.W_mlp3, "linear1.bias": W.b_mlp3, "linear2.weight": W.W_mlp4}
        layer |= {"linear2.bias": W.b_mlp4, "norm1.weight": W.gamma_3, "norm1.bias": W.beta_3}
        layer |= {"norm2.weight": W.gamma_4, "norm2.bias": W.beta_4, "norm3.weight": W.gamma_5, "norm3.bias": W.beta_5}
        layer |= prefixed("self_attn", multihead_attention_state(W.self_attention))
        layer |= prefixed("multihead_attn", multihead_attention_state(W.cross_attention))
        state |= prefixed(f"decoder.layers.{i}", layer)
    return state


def ed_logits(theta, z, x, hp, z_padding=None):
    """Algorithm 8's logits by `torch.nn.TransformerEncoderLayer` and `TransformerDecoderLayer`."""
    module = EncoderDecoder(hp).to(theta.W_e.dtype)
    return run(module, encoder_decoder_state(theta), z, x, z_padding)


# Algorithm 9


def bert(hp):
    """Hugging Face's BERT with its masked-word head.

    Two of its modules are changed, for what the paper does not have, or has of its own: the layer norm of the
    embedding is left out, and the head's inner width is d_f.
    """
    config = transformers.BertConfig(
        vocab_size=hp.N_V,
        hidden_size=hp.d_e,
        num_hidden_layers=hp.L,
        num_attention_heads=hp.H,
        intermediate_size=hp.d_mlp,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=hp.l_max,
        type_vocab_size=1,
        layer_norm_eps=hp.epsilon,
        pad_token_id=None,
        tie_word_embeddings=False,
    )
    model = transformers.BertForMaskedLM(config)
    head = model.cls.predictions
    model.bert.embeddings.LayerNorm = torch.nn.Identity()
    head.transform.dense = torch.nn.Linear(hp.d_e, hp.d_f)
    head.transform.LayerNorm = torch.nn.LayerNorm(hp.d_f, hp.epsilon)
    head.decoder = torch.nn.Linear(hp.d_f, hp.N_V, bias=False)
    del head.bias
    return model.eval()


def bert_state(theta):
    state = {
        "bert.embeddings.word_embeddings.weight": theta.W_e,
        "bert.embeddings.position_embeddings.weight": theta.W_p,
        "bert.embeddings.token_type_embeddings.weight": torch.zeros_like(theta.W_e[:1]),
        "cls.predictions.transform.dense.weight": theta.W_f,
        "cls.predictions.transform.dense.bias": theta.b_f,
        "cls.predictions.transform.LayerNorm.weight": theta.gamma,
        "cls.predictions.transform.LayerNorm.bias": theta.beta,
        "cls.predictions.decoder.weight": theta.W_e if theta.W_u is None else theta.W_u,
    }
    for i, W in enumerate(unstacked(theta.layers)):
        layer = {"attention.output.dense.weight": W.attention.W_o, "attention.output.dense.bias": W.attention.b_o}
        for name, (weight, bias) in zip(("query", "key", "value"), fused(W.attention), strict=True):
            layer |= {f"attention.self.{name}.weight": weight, f"attention.self.{name}.bias": bias}
        layer |= {"attention.output.LayerNorm.weight": W.gamma_1, "attention.output.LayerNorm.bias": W.beta_1}
        layer |= {"intermediate.dense.weight": W.W_mlp1, "intermediate.dense.bias": W.b_mlp1}
        layer |= {"output.dense.weight": W.W_mlp2, "output.dense.bias": W.b_mlp2}
        layer |= {"output.LayerNorm.weight": W.gamma_2, "output.LayerNorm.bias": W.beta_2}
        state |= prefixed(f"bert.encoder.layer.{i}", layer)
    return state


def e_logits(theta, x, hp, attention_mask=None):
    """Algorithm 9's logits by Hugging Face's BERT."""
    return run(bert(hp).to(theta.W_e.dtype), bert_state(theta), x, attention_mask=attention_mask).logits


# Algorithm 10


def gpt2(hp):
    """Hugging Face's GPT-2, with the exact GELU."""
    config = transformers.GPT2Config(
        vocab_size=hp.N_V,
        n_positions=hp.l_max,
        n_embd=hp.d_e,
        n_layer=hp.L,
        n_head=hp.H,
        n_inner=hp.d_mlp,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        layer_norm_epsilon=hp.epsilon,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        tie_word_embeddings=hp.tied_embeddings,
    )
    return transformers.GPT2LMHeadModel(config).eval()


def gpt2_state(theta):
    state = {
        "transformer.wte.weight": theta.W_e,
        "transformer.wpe.weight": theta.W_p,
        "transformer.ln_f.weight": theta.gamma,
        "transformer.ln_f.bias": theta.beta,
    }
    if theta.W_u is not None:
        state["lm_head.weight"] = theta.W_u
    for i, W in enumerate(unstacked(theta.layers)):
        weights, biases = zip(*fused(W.attention), strict=True)
        layer = {"attn.c_attn.weight": torch.cat(weights).T, "attn.c_attn.bias": torch.cat(biases)}
        layer |= {"attn.c_proj.weight": W.attention.W_o.T, "attn.c_proj.bias": W.attention.b_o}
        layer |= {"ln_1.weight": W.gamma_1, "ln_1.bias": W.beta_1, "ln_2.weight": W.gamma_2, "ln_2.bias": W.beta_2}
        layer |= {"mlp.c_fc.weight": W.W_mlp1.T, "mlp.c_fc.bias": W.b_mlp1}
        layer |= {"mlp.c_proj.weight": W.W_mlp2.T, "mlp.c_proj.bias": W.b_mlp2}
        state |= prefixed(f"transformer.h.{i}", layer)
    return state


def d_logits(theta, x, hp):
    """Algorithm 10's logits by Hugging Face's GPT-2."""
    return run(gpt2(hp).to(theta.W_e.dtype), gpt2_state(theta), x, use_cache=False).logits


def trained_gpt2(hp, params):
    """Hugging Face's GPT-2 that owns the parameters, for `generate`."""
    model = gpt2(hp)
    missing, unexpected = model.to(tensors(params.W_e).dtype).load_state_dict(gpt2_state(tensors(params)), strict=False)
    assert unexpected == []
    assert missing == (["lm_head.weight"] if hp.tied_embeddings else [])
    model.tie_weights()
    return model


# Losses and training


def next_token_loss(logits, x, lengths=None):
    """The cross entropy of x[1:], summed; what lies beyond `lengths` (batch,) does not count."""
    targets = x[..., 1:].clone()
    if lengths is not None:
        targets[torch.arange(1, x.shape[-1]) >= lengths[..., None]] = -100
    return F.cross_entropy(logits[..., :-1, :].flatten(0, -2), targets.flatten(), ignore_index=-100, reduction="sum")


def masked_word_loss(logits, x, masked):
    """The cross entropy of x where `masked`, summed."""
    targets = torch.where(masked, x, -100)
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=-100, reduction="sum")


def train(losses, params, eta):
    """`torch.optim.SGD`: one update for each of `losses`, functions of the parameters. Returns them and the values."""
    theta = tensors(params, requires_grad=True)
    optimizer = torch.optim.SGD(jax.tree.leaves(theta), lr=eta)
    values = []
    for loss in losses:
        optimizer.zero_grad()
        value = loss(theta)
        value.backward()
        optimizer.step()
        values.append(value.item())
    return arrays(theta), values


# The three architectures with heads of any width, made of `torch.nn.functional` alone


def free_mh_attention(X, Z, W, keep):
    """`keep` (ℓ_x, ℓ_z) is true where a query may attend to a key."""
    heads = []
    for head in unstacked(W.heads):
        Q, K, V = F.linear(X, head.W_q, head.b_q), F.linear(Z, head.W_k, head.b_k), F.linear(Z, head.W_v, head.b_v)
        heads.append(F.scaled_dot_product_attention(Q, K, V, attn_mask=keep))
    return F.linear(torch.cat(heads, -1), W.W_o, W.b_o)


def free_mlp(X, W_1, b_1, W_2, b_2, activation):
    return F.linear(activation(F.linear(X, W_1, b_1)), W_2, b_2)


def free_norm(X, gamma, beta, hp):
    return F.layer_norm(X, gamma.shape, gamma, beta, hp.epsilon)


def free_embedding(theta, x):
    return F.embedding(x, theta.W_e) + theta.W_p[: x.shape[-1]]


def everything(x, z):
    return torch.ones(x.shape[-1], z.shape[-1], dtype=torch.bool)


def free_encoder(X, layers, keep, activation, hp):
    for W in unstacked(layers):
        X = free_norm(X + free_mh_attention(X, X, W.attention, keep), W.gamma_1, W.beta_1, hp)
        X = free_norm(X + free_mlp(X, W.W_mlp1, W.b_mlp1, W.W_mlp2, W.b_mlp2, activation), W.gamma_2, W.beta_2, hp)
    return X


def free_ed_logits(theta, z, x, hp):
    """Algorithm 8's logits for one pair of sequences."""
    Z = free_encoder(free_embedding(theta, z), theta.encoder, everything(z, z), F.relu, hp)
    X = free_embedding(theta, x)
    for W in unstacked(theta.decoder):
        X = free_norm(X + free_mh_attention(X, X, W.self_attention, everything(x, x).tril()), W.gamma_3, W.beta_3, hp)
        X = free_norm(X + free_mh_attention(X, Z, W.cross_attention, everything(x, z)), W.gamma_4, W.beta_4, hp)
        X = free_norm(X + free_mlp(X, W.W_mlp3, W.b_mlp3, W.W_mlp4, W.b_mlp4, F.relu), W.gamma_5, W.beta_5, hp)
    return F.linear(X, theta.W_u)


def free_e_logits(theta, x, hp):
    """Algorithm 9's logits for one sequence."""
    X = free_encoder(free_embedding(theta, x), theta.layers, everything(x, x), F.gelu, hp)
    X = free_norm(F.gelu(F.linear(X, theta.W_f, theta.b_f)), theta.gamma, theta.beta, hp)
    return F.linear(X, theta.W_u)


def free_d_logits(theta, x, hp):
    """Algorithm 10's logits for one sequence."""
    X = free_embedding(theta, x)
    for W in unstacked(theta.layers):
        X_norm = free_norm(X, W.gamma_1, W.beta_1, hp)
        X = X + free_mh_attention(X_norm, X_norm, W.attention, everything(x, x).tril())
        X_norm = free_norm(X, W.gamma_2, W.beta_2, hp)
        X = X + free_mlp(X_norm, W.W_mlp1, W.b_mlp1, W.W_mlp2, W.b_mlp2, F.gelu)
    return F.linear(free_norm(X, theta.gamma, theta.beta, hp), theta.W_u)
