"""Mistakes in Algorithms 14 and 15: temperature, which column is read, where it starts and ends."""

from ..mistakes import Rewrite, mistake

_TEMPERED = "p ** (1 / tau) / (p ** (1 / tau)).sum()"
_APPEND = "x = [*x, y]"
_APPEND_HAT = "x_hat = [*x_hat, y]"

MISTAKES = (
    mistake(
        "temperature-multiplied",
        "the logits are multiplied by the temperature instead of divided",
        (_TEMPERED, "p ** tau / (p ** tau).sum()"),
    ),
    mistake(
        "temperature-ignored",
        "the temperature is not used",
        (_TEMPERED, "p"),
    ),
    mistake(
        "temperature-of-probabilities",
        "the temperature divides the probabilities instead of the logits, and a softmax follows",
        (_TEMPERED, "softmax(p / tau)"),
    ),
    mistake(
        "temperature-squared",
        "the temperature is applied twice, or its root is",
        (_TEMPERED, "p ** (1 / tau**2) / (p ** (1 / tau**2)).sum()"),
        (_TEMPERED, "p ** (1 / sqrt(tau)) / (p ** (1 / sqrt(tau))).sum()"),
    ),
    mistake(
        "sampling-greedy",
        "the likeliest token is taken instead of one that is drawn",
        ("sample(_q)", "draw_likeliest(sample, _q)"),
        ("sample(_q)", "int((_q).argmax())"),
    ),
    mistake(
        "sampling-uniform",
        "the token is drawn from the uniform distribution",
        ("sample(_q)", "sample(ones(len(p)) / len(p))"),
    ),
    mistake(
        "reads-previous-column",
        "the distribution of the token before the last is read",
        ("P[:, l + i - 1]", "P[:, l + i - 2]"),
        ("P[:, len(x_hat) - 1]", "P[:, len(x_hat) - 2]"),
    ),
    mistake(
        "reads-first-column",
        "the distribution after the first token is read",
        ("P[:, l + i - 1]", "P[:, 0]"),
        ("P[:, len(x_hat) - 1]", "P[:, 0]"),
    ),
    mistake(
        "reads-prompt-column",
        "the distribution after the prompt is read at every step",
        ("P[:, l + i - 1]", "P[:, l - 1]"),
    ),
    mistake(
        "token-not-fed-back",
        "what was drawn is not fed back",
        (
            Rewrite(_APPEND, "x = [*x, y]\ngiven = x[:l]"),
            Rewrite("d_transformer(x, theta_hat, epsilon)", "d_transformer(x[:l], theta_hat, epsilon)"),
            Rewrite("P[:, l + i - 1]", "P[:, -1]"),
        ),
        (
            Rewrite("ed_transformer(z, x_hat, theta_hat, epsilon)", "ed_transformer(z, x_hat[:1], theta_hat, epsilon)"),
            Rewrite("P[:, len(x_hat) - 1]", "P[:, 0]"),
        ),
        together=True,
    ),
    mistake(
        "context-of-last-token",
        "only the last token is given to the model, without those before it",
        (
            Rewrite(
                "d_transformer(x, theta_hat, epsilon)", "d_transformer(x if i == 0 else x[-1:], theta_hat, epsilon)"
            ),
            Rewrite("P[:, l + i - 1]", "P[:, -1]"),
        ),
        (
            Rewrite("d_transformer(x, theta_hat, epsilon)", "d_transformer(x[-1:], theta_hat, epsilon)"),
            Rewrite("P[:, l + i - 1]", "P[:, -1]"),
        ),
        (
            Rewrite(
                "ed_transformer(z, x_hat, theta_hat, epsilon)", "ed_transformer(z, x_hat[-1:], theta_hat, epsilon)"
            ),
            Rewrite("P[:, len(x_hat) - 1]", "P[:, 0]"),
        ),
        together=True,
    ),
    mistake(
        "prompt-kept",
        "the prompt is part of what is returned",
        ("x[l:l + l_gen]", "x"),
    ),
    mistake(
        "length-off-by-one",
        "one token too few is drawn, or one too many",
        ("range(l_gen)", "range(l_gen - 1)"),
        Rewrite("x[l:l + l_gen]", "x[l:l + l_gen - 1]"),
        (Rewrite("range(l_gen)", "range(l_gen + 1)"), Rewrite("x[l:l + l_gen]", "x[l:]")),
        ("len(x_hat) <= l_max", "len(x_hat) < l_max"),
        together=True,
    ),
    mistake(
        "stops-at-end",
        "it stops at eos_token, where l_gen tokens were asked for",
        Rewrite(_APPEND, "x = [*x, y]\nif y == len(p) - 1: break"),
        Rewrite(_APPEND, "if y == len(p) - 1: break\nx = [*x, y]"),
    ),
    mistake(
        "stop-token-dropped",
        "eos_token is not part of what is returned",
        Rewrite("return x_hat", "return x_hat[:-1] if x_hat[-1] == eos_token else x_hat"),
    ),
    mistake(
        "never-stops",
        "it does not stop at eos_token",
        ("y != eos_token and len(x_hat) <= l_max", "len(x_hat) <= l_max"),
    ),
    mistake(
        "start-token-dropped",
        "bos_token is not part of what is returned",
        Rewrite("return x_hat", "return x_hat[1:]"),
    ),
    mistake(
        "start-token-other",
        "it starts with another token than bos_token",
        Rewrite("x_hat = [bos_token]", "x_hat = [eos_token]"),
        Rewrite("x_hat = [bos_token]", "x_hat = [0]"),
        Rewrite("x_hat = [bos_token]", "x_hat = [N_V - 3]"),
    ),
    mistake(
        "stop-token-other",
        "it stops at another token than eos_token",
        Rewrite("y != eos_token and len(x_hat) <= l_max", "y != bos_token and len(x_hat) <= l_max"),
        Rewrite("y != eos_token and len(x_hat) <= l_max", "y != 0 and len(x_hat) <= l_max"),
        Rewrite("y != eos_token and len(x_hat) <= l_max", "y != N_V - 3 and len(x_hat) <= l_max"),
    ),
)
