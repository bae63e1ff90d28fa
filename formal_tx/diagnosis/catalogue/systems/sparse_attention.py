"""Mistakes with sparse attention: how wide a window is, what a stride and a summary are, which blocks a block sees."""

from ...mistakes import Rewrite, mistake

_BAND = ("banded", "banded_attention", "longformer_attention", "global_tokens", "dilated")
_GLOBAL_ROWS = "Y_h = with_columns(Y_h, g, Y_g)"

MISTAKES = (
    mistake(
        "sparse-window-total",
        "the window is taken for the whole of it, half of which is on either side",
        ("abs(_a - _b) <= w", "abs(_a - _b) <= w // 2"),
        ("banded(l, w, w)", "banded(l, w // 2, w // 2)"),
        functions=_BAND,
    ),
    mistake(
        "sparse-self-counted",
        "the token itself is counted among those that its window has on one side: the band is one too narrow",
        ("t_x - t_z <= L", "t_x - t_z < L"),
        ("i - j <= L", "i - j < L"),
        functions=_BAND,
    ),
    mistake(
        "sparse-self-not-counted",
        "the token itself is not counted among the w of its window, which is one too wide",
        ("t_x - t_z < w", "t_x - t_z <= w"),
        functions=("local",),
    ),
    mistake(
        "sparse-sides-exchanged",
        "what a token sees before it and what it sees after it are exchanged",
        ("t_x - t_z <= L and t_z - t_x <= R", "t_x - t_z <= R and t_z - t_x <= L"),
        ("(i - j <= L) & (j - i <= R)", "(i - j <= R) & (j - i <= L)"),
        functions=_BAND,
    ),
    mistake(
        "sparse-whole-blocks",
        "a block sees all of its neighbour blocks, instead of a band",
        ("(i - j <= L) & (j - i <= R) & (j >= 0) & (j < l)", "(j >= 0) & (j < l)"),
        functions=("banded_attention",),
    ),
    mistake(
        "sparse-fill-seen",
        "the zeros that fill up the first and the last block are seen as keys",
        ("(i - j <= L) & (j - i <= R) & (j >= 0) & (j < l)", "(i - j <= L) & (j - i <= R)"),
        functions=("banded_attention",),
    ),
    mistake(
        "sparse-stride-not-causal",
        "a stride is looked up on both sides: a token sees those after it",
        ("t_z <= t_x and (t_x - t_z) % s == 0", "(t_x - t_z) % s == 0"),
        functions=("every",),
    ),
    mistake(
        "sparse-stride-of-positions",
        "a token sees those at multiples of the stride, instead of those that are multiples of it away",
        ("(t_x - t_z) % s == 0", "(t_z % s == 0 or t_z == t_x)"),
        functions=("every",),
    ),
    mistake(
        "sparse-stride-consecutive",
        "each part of the sequence has attention of its own, instead of each column",
        (
            Rewrite("K[:, a::s].T @ Q[:, a::s]", "K[:, a * n : (a + 1) * n].T @ Q[:, a * n : (a + 1) * n]"),
            Rewrite("V[:, a::s]", "V[:, a * n : (a + 1) * n]"),
            Rewrite("Y[:, a::s] = V_tilde", "Y[:, a * n : (a + 1) * n] = V_tilde"),
        ),
        together=True,
        functions=("strided_attention",),
    ),
    mistake(
        "sparse-summary-first",
        "the summary of a stride is taken from its beginning, not from its end",
        ("t_z % s >= s - c", "t_z % s < c"),
        functions=("fixed",),
    ),
    mistake(
        "sparse-summary-missing",
        "a token sees its own stride, and no summary of those before",
        ("t_x // s == t_z // s or t_z % s >= s - c", "t_x // s == t_z // s"),
        functions=("fixed",),
    ),
    mistake(
        "sparse-dilation-shrinks",
        "the width of a dilated window counts tokens, not steps of the dilation",
        ("abs(t_x - t_z) <= w * r", "abs(t_x - t_z) <= w"),
        functions=("dilated",),
    ),
    mistake(
        "sparse-global-seen-only",
        "global tokens are seen by all, and do not see all",
        ("abs(t_x - t_z) <= w or t_x in g or t_z in g", "abs(t_x - t_z) <= w or t_z in g"),
        (_GLOBAL_ROWS, ""),
        functions=("global_tokens", "longformer_attention"),
    ),
    mistake(
        "sparse-global-unseen",
        "global tokens see all, and are not seen by all",
        ("abs(t_x - t_z) <= w or t_x in g or t_z in g", "abs(t_x - t_z) <= w or t_x in g"),
        ("Mask = Mask | array(_g)", ""),
        functions=("global_tokens", "longformer_attention"),
    ),
    mistake(
        "sparse-global-one-set",
        "global tokens ask, and are answered, by the projections of all the others",
        ("W.global_heads[h]", "W.heads[h]"),
        functions=("longformer_attention",),
    ),
    mistake(
        "sparse-global-answer",
        "every token has the second set of projections",
        ("attention(X, X, W.heads[h], Mask)", "attention(X, X, W.global_heads[h], Mask)"),
        functions=("longformer_attention",),
    ),
    mistake(
        "sparse-random-collides",
        "random blocks are drawn from all there are, also those that are seen anyway",
        ("c not in {0, m - 1, m, m + 1, n - 1, *chosen}", "c not in chosen"),
        functions=("random_blocks",),
    ),
    mistake(
        "sparse-random-repeats",
        "a random block may be drawn twice",
        ("c not in {0, m - 1, m, m + 1, n - 1, *chosen}", "c not in {0, m - 1, m, m + 1, n - 1}"),
        functions=("random_blocks",),
    ),
    mistake(
        "sparse-counted-twice",
        "a block that is seen for two reasons counts twice in the softmax",
        (
            "sorted({0, m - 1, m, m + 1, n - 1, *rand[m]})",
            "[0, m - 1, m, m + 1, n - 1, *rand[m]]",
        ),
        functions=("seen_blocks",),
    ),
    mistake(
        "sparse-last-block",
        "the last block is like any other: it neither sees all nor is seen by all",
        (
            Rewrite("m in (0, n - 1)", "m in (0,)"),
            Rewrite(
                "sorted({0, m - 1, m, m + 1, n - 1, *rand[m]})",
                "sorted({0, m - 1, m, min(m + 1, n - 1), *rand[m]})",
            ),
        ),
        together=True,
        functions=("seen_blocks",),
    ),
    mistake(
        "sparse-ends-do-not-ask",
        "the first and the last block are seen by all, and do not see all",
        (
            Rewrite("m in (0, n - 1)", "False"),
            Rewrite(
                "sorted({0, m - 1, m, m + 1, n - 1, *rand[m]})",
                "sorted({0, m - 1, m, m + 1, n - 1, *rand[m]} & set(range(n)))",
            ),
        ),
        together=True,
        functions=("seen_blocks",),
    ),
)
