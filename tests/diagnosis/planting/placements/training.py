"""Mistakes in Algorithms 11, 12 and 13: labels, losses, masking, updates."""

from ..placement import place

_TARGETS = "targets = x[..., 1:]\n"
_ROWS = "rows = log_P[..., : targets.shape[-1], :]"
_NEXT = "next_tokens(x, x_lengths)"
_COUNTED = "counted = within(targets, None if lengths is None else lengths - 1)"
_LOSS = "loss = jnp.sum(jnp.where(counted, -log_p, 0))"
_TAKEN = "jnp.take_along_axis(rows, jnp.where(known, targets, 0)[..., None], axis=-1)[..., 0]"
_ED_LOG, _E_LOG, _D_LOG = (
    f'    logits = {name}_transformer_logits({arguments})\n    log_P = line({n}, "log_P", jax.nn.log_softmax(logits))'
    for name, arguments, n in (
        ("ed", "z, x, params, hyperparameters, z_lengths, x_lengths, practice", 4),
        ("e", "x_tilde, params, hyperparameters, lengths, segments, practice", 8),
        ("d", "x, params, hyperparameters, lengths, segments, practice", 4),
    )
)
_SCORED = "scored(log_P, jnp.where(T_tilde, x, 0), T_tilde, mean, practice.label_smoothing)"
_MASKED = "x_tilde == hyperparameters.mask_token if chosen is None else chosen"
_BELOW = "< mask_probability\n    return line"
_PLUS = "W + change.astype(W.dtype)"
_CHANGES = "changes, state = optimizer.update(gradient, state, params)"
_CARRY = "return (updated(params, changes), state, i), value"
_EPOCHS = "(params, state), jnp.arange(epochs))"
_DATA = "updates_per_epoch = len("
_SCAN = "(jnp.arange(updates_per_epoch), data))"
_WITHOUT_LAST = f"data = jax.tree.map(lambda a: a[:-1], data)\n    {_DATA}"


def _loss(algorithm, ids, *changes):
    return place(algorithm, "losses.py", ids, *changes)


def _training(algorithm, ids, *changes):
    return place(algorithm, "training.py", ids, *changes)


PLACEMENTS = (
    _loss(13, "label-shift-missing", (_TARGETS, "targets = x[..., :-1]\n")),
    _loss(11, "label-shift-missing", (_TARGETS, "targets = x\n")),
    _loss(13, "label-shift-double", (_TARGETS, "targets = x[..., 2:]\n")),
    _loss(11, "label-shift-double", (_TARGETS, "targets = x[..., 2:]\n")),
    _loss(13, "label-shift-backwards", (_TARGETS, "targets = x[..., :-1]\n"), (_ROWS, "rows = log_P[..., 1:, :]")),
    _loss(11, "label-of-context", (_NEXT, "next_tokens(z, z_lengths)")),
    _loss(13, "label-first-dropped", (_COUNTED, f"{_COUNTED}\n    counted = counted.at[..., 0].set(False)")),
    _loss(11, "label-first-dropped", (_TARGETS, "targets = x[..., 2:]\n"), (_ROWS, "rows = log_P[..., 1:-1, :]")),
    _loss(13, "label-last-dropped", (_TARGETS, "targets = x[..., 1:-1]\n")),
    _loss(11, "label-last-dropped", (_TARGETS, "targets = x[..., 1:-1]\n")),
    _loss(13, "loss-averaged", (_LOSS, "loss = jnp.mean(-log_p)")),
    _loss(11, "loss-averaged", (_LOSS, "loss = jnp.sum(-log_p) / counted.sum()")),
    _loss(12, "loss-averaged", (_LOSS, "loss = jnp.where(counted, -log_p, 0).sum() / jnp.maximum(counted.sum(), 1)")),
    _loss(13, "loss-without-log", (_D_LOG, _D_LOG.replace("log_softmax", "softmax"))),
    _loss(12, "loss-without-log", (_E_LOG, _E_LOG.replace("log_softmax", "softmax"))),
    _loss(13, "loss-log2", (_LOSS, "loss = jnp.sum(-log_p) / jnp.log(2)")),
    _loss(12, "loss-log2", (_LOSS, "loss = jnp.sum(jnp.where(counted, -log_p / jnp.log(2), 0))")),
    _loss(11, "loss-sign update-ascends", (_LOSS, "loss = jnp.sum(jnp.where(counted, log_p, 0))")),
    _loss(12, "loss-sign update-ascends", (_LOSS, "loss = jnp.sum(jnp.where(counted, log_p, 0))")),
    _loss(13, "loss-of-likeliest", (_TAKEN, "rows.max(axis=-1)")),
    _loss(13, "loss-softmax-twice", (_D_LOG, _D_LOG.replace("(logits))", "(jax.nn.softmax(logits)))"))),
    _loss(12, "loss-softmax-twice", (_E_LOG, _E_LOG.replace("(logits))", "(jax.nn.softmax(logits)))"))),
    _loss(11, "loss-softmax-twice", (_ED_LOG, _ED_LOG.replace("(logits))", "(jax.nn.softmax(logits)))"))),
    _loss(12, "loss-over-all", (_MASKED, "jnp.ones(x.shape, bool)")),
    _loss(12, "loss-over-unmasked", (_MASKED, "x_tilde != hyperparameters.mask_token")),
    _loss(12, "loss-of-mask", (_SCORED, _SCORED.replace("T_tilde, x, 0", "T_tilde, x_tilde, 0"))),
    _loss(12, "masking-not-applied", (_E_LOG, _E_LOG.replace("(x_tilde", "(x"))),
    place(12, "masking.py", "masking-inverted", (_BELOW, ">= mask_probability\n    return line")),
    place(12, "masking.py", "masking-token", ("vocabulary.mask_token, x)), None", "vocabulary.eos_token, x)), None")),
    place(12, "masking.py", "masking-token", ("vocabulary.mask_token, x)), None", "vocabulary.bos_token, x)), None")),
    _training(13, "update-ascends loss-sign", (_PLUS, "W - change.astype(W.dtype)")),
    _training(11, "update-doubled", (_PLUS, "W + 2 * change")),
    _training(13, "update-doubled", (_PLUS, "W + change / 2")),
    _training(
        13,
        "update-averaged-over-data",
        (_CHANGES, f"{_CHANGES}\n        changes = jax.tree.map(lambda c: c / updates_per_epoch, changes)"),
    ),
    _training(
        11,
        "update-averaged-over-data",
        (_CHANGES, _CHANGES.replace("(gradient,", "(jax.tree.map(lambda g: g / updates_per_epoch, gradient),")),
    ),
    _training(13, "update-missing", (_CARRY, "return (params, state, i), value")),
    _training(12, "update-missing", (_CARRY, "return (params, state, i), value")),
    _training(13, "epochs-off-by-one", (_EPOCHS, "(params, state), jnp.arange(epochs + 1))")),
    _training(12, "epochs-off-by-one", (_EPOCHS, "(params, state), jnp.arange(1, epochs))")),
    _training(11, "epochs-off-by-one", (_EPOCHS, "(params, state), jnp.arange(epochs - 1))")),
    _training(13, "data-off-by-one", (_DATA, _WITHOUT_LAST)),
    _training(11, "data-off-by-one", (_DATA, _WITHOUT_LAST.replace(":-1", "1:"))),
    _training(13, "data-reversed", (_SCAN, f"{_SCAN[:-1]}, reverse=True)")),
    _training(12, "data-reversed", (_SCAN, f"{_SCAN[:-1]}, reverse=True)")),
)
