"""Sparse attention beside loops over the papers' definitions, cases worked by hand, and Hugging Face's Longformer."""

from functools import partial
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks
from formal_tx.attention import mh_attention
from formal_tx.long_context import sparse_attention as sparse
from formal_tx.parameters import AttentionParameters, MHAttentionParameters

close = partial(np.testing.assert_allclose, rtol=0, atol=1e-12)  # float64's rounding in sums of a dozen numbers near 1


def attended(Q, K, V, see):
    """Algorithm 4's lines 4 to 6 for one head, rows are tokens, in loops."""
    Y = np.zeros((len(Q), V.shape[1]))
    for i in range(len(Q)):
        keys = [j for j in range(len(K)) if see(i, j)]
        scores = [float(Q[i] @ K[j]) / Q.shape[1] ** 0.5 for j in keys]
        weights = np.exp(np.array(scores) - max(scores))
        Y[i] = sum(a * V[j] for a, j in zip(weights / weights.sum(), keys, strict=True))
    return Y


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def qkv(l, seed=0):
    return random(seed, l, 5), random(seed + 1, l, 5), random(seed + 2, l, 3)


def in_band(i, j):
    return i - j <= 4 and j - i <= 2


DEFINITIONS = {
    "banded": (sparse.banded(4, 2), in_band),
    "local": (sparse.local(3), lambda i, j: j <= i and i - j < 3),
    "every": (sparse.every(4), lambda i, j: j <= i and (i - j) % 4 == 0),
    "strided": (sparse.strided(3, 4), lambda i, j: j <= i and (i - j < 3 or (i - j) % 4 == 0)),
    "fixed": (sparse.fixed(5, 2), lambda i, j: j <= i and (i // 5 == j // 5 or j % 5 >= 5 - 2)),
    "dilated": (sparse.dilated(2, 3), lambda i, j: abs(i - j) <= 2 * 3 and (i - j) % 3 == 0),
    "global": (sparse.global_tokens(2, [0, 9], 13), lambda i, j: abs(i - j) <= 2 or i in (0, 9) or j in (0, 9)),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_mask_is_its_definition(name):
    mask, see = DEFINITIONS[name]
    expected = [[see(i, j) for j in range(13)] for i in range(13)]
    assert (np.asarray(masks.dense(mask, 13, 13)) == expected).all()


@pytest.mark.parametrize("l", [1, 13])
def test_banded_attention_in_loops(x64, l):
    Q, K, V = qkv(l)
    for block in (1, 4, 7):
        found = sparse.banded_attention(Q, K, V, 4, 2, block)
        close(found, attended(Q, K, V, in_band))


@pytest.mark.parametrize("l", [1, 12, 13])
def test_strided_attention_in_loops(x64, l):
    Q, K, V = qkv(l)
    found = sparse.strided_attention(Q, K, V, 4)
    close(found, attended(Q, K, V, DEFINITIONS["every"][1]))


def test_bigbird_in_loops(x64):
    n, b = 8, 2
    drawn = [[4, 5], [3, 6], [4, 5], [1, 5], [1, 2], [1, 3], [2, 3], [2, 4]]

    def see(i, j):
        x, z = i // b, j // b
        return abs(x - z) <= 1 or x in (0, n - 1) or z in (0, n - 1) or z in drawn[x]

    Q, K, V = qkv(n * b)
    mask = masks.dense(sparse.bigbird(n * b, b, drawn), n * b, n * b)
    assert (np.asarray(mask) == [[see(i, j) for j in range(n * b)] for i in range(n * b)]).all()
    found = sparse.bigbird_attention(Q, K, V, b, drawn)
    close(found, attended(Q, K, V, see))


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (sparse.local(2), [1, 1.5, 2.5, 3.5]),
        (sparse.every(2), [1, 2, 2, 3]),
        (sparse.fixed(2, 1), [1, 1.5, 2.5, 3]),
        (sparse.banded(0, 1), [1.5, 2.5, 3.5, 4]),
        (sparse.dilated(1, 2), [2, 3, 2, 3]),
        (sparse.global_tokens(0, [3], 4), [2.5, 3, 3.5, 2.5]),
    ],
    ids=["local", "every", "fixed", "banded", "dilated", "global"],
)
def test_the_mean_of_what_is_seen(mask, expected):
    """Without queries and keys a token's answer is the mean of 1, 2, 3, 4 where it may look: worked by hand."""
    zero, one = jnp.zeros((1, 1, 1)), jnp.ones((1, 1, 1))
    head = AttentionParameters(zero, None, zero, None, one, None)
    X = jnp.array([[1.0], [2.0], [3.0], [4.0]])
    Y = mh_attention(X, X, MHAttentionParameters(head, one[0], None), mask)
    np.testing.assert_allclose(Y[:, 0], expected, rtol=1e-6)  # float32's rounding


def longformer(seed=0, H=2, d_e=6):
    """Parameters whose two sets of projections differ, no bias 0."""
    shapes = jax.eval_shape(
        lambda key: sparse.init_longformer(key, d_e=d_e, d_attn=d_e // H, d_mid=d_e // H, d_out=d_e, H=H),
        jax.random.key(0),
    )
    leaves, tree = jax.tree.flatten(shapes)
    return tree.unflatten(random(seed + n, *leaf.shape) for n, leaf in enumerate(leaves))


def in_heads(X, heads, h):
    return tuple(X @ getattr(heads, f"W_{n}")[h].T + getattr(heads, f"b_{n}")[h] for n in "qkv")


def longformer_in_loops(X, params, width, tokens):
    answers = []
    for h in range(2):
        Y = attended(*in_heads(X, params.attention.heads, h), lambda i, j: abs(i - j) <= width or j in tokens)
        Y_g = attended(*in_heads(X, params.global_heads, h), lambda i, j: True)
        answers.append([Y_g[t] if t in tokens else Y[t] for t in range(len(X))])
    return np.concatenate(answers, axis=1) @ params.attention.W_o.T + params.attention.b_o


@pytest.mark.parametrize("tokens", [[], [0], [0, 7]], ids=str)
def test_longformer_in_loops(x64, tokens):
    X, params = random(9, 11, 6), longformer()
    found = sparse.longformer_attention(X, params, 2, tokens)
    close(found, longformer_in_loops(X, params, 2, tokens))


@pytest.mark.oracle
@pytest.mark.parametrize("length", [8, 13])
def test_hugging_face_longformer(x64, length):
    """Its sequences are whole chunks of the window, filled up with padding; here the result is cut."""
    torch = pytest.importorskip("torch")
    from transformers import LongformerConfig
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    H, d_e, width, tokens = 2, 6, 2, [0, 5]
    config = LongformerConfig(
        hidden_size=d_e, num_attention_heads=H, attention_window=[2 * width], attention_probs_dropout_prob=0.0
    )
    theirs = LongformerSelfAttention(config, layer_id=0).double().eval()
    params = longformer()
    with torch.no_grad():
        for heads, suffix in ((params.attention.heads, ""), (params.global_heads, "_global")):
            for name, ours in (("query", "q"), ("key", "k"), ("value", "v")):
                layer = getattr(theirs, name + suffix)
                layer.weight.copy_(torch.tensor(getattr(heads, f"W_{ours}").reshape(d_e, d_e)))
                layer.bias.copy_(torch.tensor(getattr(heads, f"b_{ours}").reshape(d_e)))
        X, whole = random(9, length, d_e), 2 * width * ceil(length / (2 * width))
        attention_mask = torch.zeros(1, whole, dtype=torch.float64)
        attention_mask[:, tokens] = 10000.0
        attention_mask[:, length:] = -10000.0
        filled = torch.tensor(np.pad(X, ((0, whole - length), (0, 0))))[None]
        expected = theirs(
            filled,
            attention_mask=attention_mask,
            is_index_masked=attention_mask < 0,
            is_index_global_attn=attention_mask > 0,
            is_global_attn=True,
        )[0][0, :length]
    attention = params.attention.replace(W_o=np.eye(d_e), b_o=np.zeros(d_e))  # their W_o is in another module
    found = sparse.longformer_attention(X, params.replace(attention=attention), width, tokens)
    close(found, expected, atol=1e-6)  # their softmax is in float32
