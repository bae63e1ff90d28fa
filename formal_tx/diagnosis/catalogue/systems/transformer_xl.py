"""Mistakes with Transformer-XL: distances that are not, a memory that is not, and biases of the wrong scores."""

from ...mistakes import Rewrite, mistake

_ATTENTION, _SHIFT, _R, _DECODER = (
    ("relative_attention",),
    ("relative_shift",),
    ("relative_positions",),
    ("transformer_xl",),
)
_DISTANCE = "arange(q)[None, :] + m - arange(m + q)[:, None]"

MISTAKES = (
    mistake(
        "xl-positions-reversed",
        "the positions are ordered from distance 0 to the largest, and not the other way round",
        ("minimum(arange(k)[::-1], clamp_len)", "minimum(arange(k), clamp_len)"),
        functions=_R,
    ),
    mistake(
        "xl-positions-interleaved",
        "sines and cosines take turns: the released code has all sines before all cosines",
        ("concatenate([sin(angle), cos(angle)])", "stack([sin(angle), cos(angle)], axis=1).reshape(d_e, k)"),
        functions=_R,
    ),
    mistake(
        "xl-clamp-ignored",
        "distances beyond clamp_len are told apart",
        ("minimum(arange(k)[::-1], clamp_len)", "arange(k)[::-1]"),
        functions=_R,
    ),
    mistake(
        "xl-shift-missing",
        "the scores of positions are not shifted: columns for distances are taken for keys",
        ("relative_shift(_B)", "_B"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-shift-of-zeros-behind",
        "the shift puts its zeros behind the scores, not in front of them",
        ("concatenate([zeros((1, q)), B])", "concatenate([B, zeros((1, q))])"),
        functions=_SHIFT,
    ),
    mistake(
        "xl-shift-drops-the-last",
        "the shift drops the last of its rows, not the first",
        ("B[:, 1:]", "B[:, :-1]"),
        functions=_SHIFT,
    ),
    mistake(
        "xl-no-u",
        "queries have no bias for content (u)",
        ("Q + u[h][:, None]", "Q"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-no-v",
        "queries have no bias for positions (v)",
        ("Q + v[h][:, None]", "Q"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-biases-swapped",
        "u and v are swapped: the bias for content is added for positions, and the other way round",
        (Rewrite("Q + u[h][:, None]", "Q + v[h][:, None]"), Rewrite("Q + v[h][:, None]", "Q + u[h][:, None]")),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-positions-not-scaled",
        "the scores of positions are added after those of content were divided by √d_attn",
        ("(A + B) / sqrt(d_attn)", "A / sqrt(d_attn) + B"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-positions-by-the-keys-matrix",
        "positions go through the matrix of the keys, W_k, and not through W_r",
        ("W_r[h] @ R", "W.keys_and_values[g].W_k @ R"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-mask-without-the-memory",
        "the causal mask is that of a segment alone: the i-th query sees the first i keys of memory and segment",
        (
            Rewrite(f"distance = {_DISTANCE}", "distance = arange(q)[None, :] - arange(m + q)[:, None]"),
            Rewrite("(distance >= 0) & (distance < window)", "(distance >= 0) & (distance + m < window)"),
        ),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-memory-hidden",
        "what is remembered is masked",
        ("(distance >= 0) & (distance < window)", "(distance >= 0) & (distance <= arange(q)[None, :])"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-same-length-ignored",
        "same_length is not heeded: a query sees all that there is",
        ("(distance >= 0) & (distance < window)", "distance >= 0"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-same-length-one-more",
        "with same_length a query sees mem_len tokens before itself: itself is one of the mem_len",
        ("distance < window", "distance <= window"),
        functions=_ATTENTION,
    ),
    mistake(
        "xl-memory-of-outputs",
        "a layer remembers what it gave, not what it read",
        (
            Rewrite("M[n] = _C", ""),
            Rewrite(
                "H = H if pre_norm else norm(H, W.around_2.norm)",
                "H = H if pre_norm else norm(H, W.around_2.norm)\n"
                "M[n] = concatenate([M[n], H], axis=1)[:, max(m + q - mem_len, 0):]",
            ),
        ),
        functions=_DECODER,
    ),
    mistake(
        "xl-memory-of-one-segment",
        "a layer remembers the last segment alone, whatever mem_len is",
        ("M[n] = _C", "M[n] = H[:, max(q - mem_len, 0):]"),
        functions=_DECODER,
    ),
    mistake(
        "xl-memory-first-kept",
        "the memory keeps the oldest tokens, not the latest",
        ("M[n] = _C", "M[n] = C[:, :mem_len]"),
        functions=_DECODER,
    ),
    mistake(
        "xl-memory-not-normalised",
        "with norms before the sub-layers the segment is normalised, and what is remembered is not",
        (
            "C = norm(C, W.around_1.norm) if pre_norm else C",
            "C = concatenate([M[n][:, :0] if m == 0 else C[:, :m], norm(C[:, m:], W.around_1.norm)], axis=1) "
            "if pre_norm else C",
        ),
        functions=_DECODER,
    ),
    mistake(
        "xl-embeddings-not-scaled",
        "the embeddings are not multiplied by √d_e",
        ("sqrt(d_e) * _W", "_W"),
        functions=_DECODER,
    ),
)
