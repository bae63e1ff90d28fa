"""Mistakes in Algorithms 11 to 13: labels, losses, masked words, updates."""

from ..mistakes import Rewrite, mistake

_PICKED = "P(theta)[x[n][1:], range(l - 1)]"
_UPDATE = "theta = theta - eta * gradient(loss, theta)"

MISTAKES = (
    mistake(
        "label-shift-missing",
        "the labels are not shifted: each token is predicted from itself",
        (_PICKED, "P(theta)[x[n], range(l)]"),
        (_PICKED, "P(theta)[x[n][1:], range(1, l)]"),
        (_PICKED, "P(theta)[x[n][:-1], range(l - 1)]"),
    ),
    mistake(
        "label-shift-double",
        "the labels are shifted twice: each position predicts the token after the next",
        (_PICKED, "P(theta)[x[n][2:], range(l - 2)]"),
    ),
    mistake(
        "label-shift-backwards",
        "each position predicts the token before it",
        (_PICKED, "P(theta)[x[n][:-1], range(1, l)]"),
    ),
    mistake(
        "label-of-context",
        "the labels are the tokens of the context",
        (_PICKED, "P(theta)[z[n][1:], range(len(z[n]) - 1)]"),
        functions=("ed_training",),
    ),
    mistake(
        "label-first-dropped",
        "the first label is not part of the loss",
        (_PICKED, "P(theta)[x[n][2:], range(1, l - 1)]"),
    ),
    mistake(
        "label-last-dropped",
        "the last label is not part of the loss",
        (_PICKED, "P(theta)[x[n][1:-1], range(l - 2)]"),
    ),
    mistake(
        "loss-averaged",
        "the loss is a mean over the positions instead of a sum",
        ("-log(_p).sum()", "-log(_p).mean()"),
        ("-log(_p).sum()", "-log(_p).sum() / l"),
        Rewrite("-sum(_p for t in T_tilde)", "-sum(_p for t in T_tilde) / max(len(T_tilde), 1)"),
        Rewrite("-sum(_p for t in T_tilde)", "-sum(_p for t in T_tilde) / l"),
    ),
    mistake(
        "loss-without-log",
        "the loss is the probability itself, without a logarithm",
        ("-log(_p).sum()", "-(_p).sum()"),
        ("-sum(log(_p) for t in T_tilde)", "-sum(_p for t in T_tilde)"),
    ),
    mistake(
        "loss-log2",
        "the logarithm is to the base 2",
        ("-log(_p).sum()", "-log(_p).sum() / log(2)"),
        ("-sum(log(_p) for t in T_tilde)", "-sum(log(_p) / log(2) for t in T_tilde)"),
    ),
    mistake(
        "loss-sign",
        "the loss has the wrong sign",
        ("-log(_p).sum()", "log(_p).sum()"),
        ("-sum(log(_p) for t in T_tilde)", "sum(log(_p) for t in T_tilde)"),
    ),
    mistake(
        "loss-of-likeliest",
        "the loss is that of the likeliest token instead of the label",
        ("-log(_p).sum()", "-log(P(theta).max(axis=0)[:-1]).sum()"),
    ),
    mistake(
        "loss-softmax-twice",
        "the softmax is taken of what are probabilities already",
        (_PICKED, "softmax(P(theta))[x[n][1:], range(l - 1)]"),
        ("log(P(theta)[_y, t])", "log(softmax(P(theta))[_y, t])"),
    ),
    mistake(
        "loss-over-all",
        "the loss is taken over all positions instead of the masked ones",
        ("-sum(_p for t in T_tilde)", "-sum(_p for t in range(l))"),
    ),
    mistake(
        "loss-over-unmasked",
        "the loss is taken over the positions that are not masked",
        ("-sum(_p for t in T_tilde)", "-sum(_p for t in range(l) if t not in T_tilde)"),
    ),
    mistake(
        "loss-of-mask",
        "the labels are the masked sequence: the model learns to predict mask_token",
        ("P(theta)[x[n][t], t]", "P(theta)[x_tilde[t], t]"),
    ),
    mistake(
        "masking-not-applied",
        "the model sees the sequence that is not masked",
        ("e_transformer(x_tilde, theta, epsilon)", "e_transformer(x[n], theta, epsilon)"),
    ),
    mistake(
        "masking-inverted",
        "what should be kept is masked",
        ("random() < p_mask", "random() >= p_mask"),
    ),
    mistake(
        "masking-token",
        "another token than mask_token takes the place of the masked words",
        ("N_V - 3", "N_V - 1"),
        ("N_V - 3", "N_V - 2"),
        ("N_V - 3", "0"),
        *(
            Rewrite("x_tilde[t] = mask_token if _c else _v", f"x_tilde[t] = {other} if _c else _v")
            for other in ("N_V - 1", "N_V - 2", "0")
        ),
        functions=("e_training",),
    ),
    mistake(
        "update-ascends",
        "the update adds the gradient: it climbs",
        (_UPDATE, "theta = theta - (-eta) * gradient(loss, theta)"),
    ),
    mistake(
        "update-doubled",
        "the update is twice as long, or half as long",
        (_UPDATE, "theta = theta - 2 * eta * gradient(loss, theta)"),
        (_UPDATE, "theta = theta - eta / 2 * gradient(loss, theta)"),
    ),
    mistake(
        "update-averaged-over-data",
        "the update is divided by the number of sequences",
        (_UPDATE, "theta = theta - eta / N_data * gradient(loss, theta)"),
    ),
    mistake(
        "update-missing",
        "the parameters that come back are those that were given",
        (_UPDATE, "theta"),
    ),
    mistake(
        "epochs-off-by-one",
        "there is one epoch too few, or too many",
        ("range(N_epochs)", "range(N_epochs - 1)"),
        ("range(N_epochs)", "range(N_epochs + 1)"),
        ("range(N_epochs)", "range(1)"),
    ),
    mistake(
        "data-off-by-one",
        "a sequence is left out",
        ("range(N_data)", "range(N_data - 1)"),
        ("range(N_data)", "range(1, N_data)"),
    ),
    mistake(
        "data-reversed",
        "the sequences are taken in the opposite order",
        ("range(N_data)", "reversed(range(N_data))"),
    ),
)
