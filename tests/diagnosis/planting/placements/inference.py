"""Mistakes in Algorithms 14 and 15: temperature, drawing, what is read, fed back and returned."""

from ..placement import place

_Q_14 = "q = jax.nn.softmax(logits[l + i - 1] / temperature)"
_Q_15 = "q = jax.nn.softmax(logits[len(x_hat) - 1] / temperature)"
_DRAWN_14 = f"{_Q_14}\n        y = sample(q)"
_DRAWN_15 = f"{_Q_15}\n        y = sample(q)"
_LOOP = "for i in range(length):"
_MODEL = "d_transformer_logits(jnp.array(x), params, hyperparameters)"
_FED = "x = [*x, y]"
_RETURN_14 = "return x[l:]"
_START = "x_hat = [hyperparameters.bos_token]"
_WHILE = "while x_hat[-1] != hyperparameters.eos_token and len(x_hat) <= hyperparameters.l_max:"
_RETURN_15 = "return x_hat"
_DIVIDED = "jnp.where(temperature > 0, temperature, jnp.nan)"
_SCALED = f"(logits - logits.max(axis=-1, keepdims=True)) / {_DIVIDED}"
_FOLLOWED_14 = 'y = line(5, "y", drawing(logits, key, l + i, text.seen))'
_FOLLOWED_15 = 'y = line(6, "y", drawing(logits, key, t + 1, text.seen))'
_STOP = "Drawing.of(name, temperature, filters, (hp.eos_token,), params.W_e.dtype, hp.N_V)"
_BOS = "jnp.full((*z.shape[:-1], 1), hyperparameters.bos_token, z.dtype)"


def _drawing(algorithm, ids, *changes):
    return place(algorithm, "inference/drawing.py", ids, *changes)


def _cached(algorithm, ids, *changes):
    return place(algorithm, "inference/algorithms.py", ids, *changes)


def _uncached(algorithm, ids, *changes):
    return place(algorithm, "uncached.py", ids, *changes)


PLACEMENTS = (
    _drawing(14, "temperature-multiplied", (_SCALED, "logits * temperature")),
    _drawing(15, "temperature-multiplied", (_SCALED, "logits * temperature")),
    _drawing(14, "temperature-ignored", (_SCALED, "logits")),
    _drawing(15, "temperature-ignored", (f" / {_DIVIDED}", "")),
    _drawing(14, "temperature-squared", (_DIVIDED, "temperature**2")),
    _drawing(15, "temperature-squared", (_DIVIDED, "jnp.sqrt(temperature)")),
    _uncached(
        14,
        "temperature-of-probabilities",
        (_Q_14, "q = jax.nn.softmax(jax.nn.softmax(logits[l + i - 1]) / temperature)"),
    ),
    _drawing(15, "temperature-of-probabilities", (_SCALED, "jax.nn.softmax(logits) / temperature")),
    _uncached(14, "sampling-greedy", (_DRAWN_14, "y = int(logits[l + i - 1].argmax())")),
    _cached(15, "sampling-greedy", (_FOLLOWED_15, "y = jnp.argmax(logits, axis=-1)")),
    _uncached(14, "sampling-uniform", (_Q_14, "q = jnp.ones(hyperparameters.N_V) / hyperparameters.N_V")),
    _drawing(15, "sampling-uniform", (_SCALED, "0 * logits")),
    _uncached(14, "reads-previous-column", (_Q_14, "q = jax.nn.softmax(logits[l + i - 2] / temperature)")),
    _uncached(14, "reads-previous-column", (_Q_14, "q = jax.nn.softmax(logits[-2] / temperature)")),
    _uncached(15, "reads-previous-column", (_Q_15, "q = jax.nn.softmax(logits[len(x_hat) - 2] / temperature)")),
    _uncached(14, "reads-first-column", (_Q_14, "q = jax.nn.softmax(logits[0] / temperature)")),
    _uncached(15, "reads-first-column reads-prompt-column", (_Q_15, "q = jax.nn.softmax(logits[0] / temperature)")),
    _uncached(14, "reads-prompt-column", (_Q_14, "q = jax.nn.softmax(logits[l - 1] / temperature)")),
    _uncached(
        14,
        "token-not-fed-back",
        (_LOOP, f"ys = []\n    {_LOOP}"),
        (_Q_14, "q = jax.nn.softmax(logits[-1] / temperature)"),
        (_FED, "ys.append(y)"),
        (_RETURN_14, "return ys"),
    ),
    _uncached(
        15,
        "token-not-fed-back",
        ("jnp.array(x_hat), params", "jnp.array(x_hat[:1]), params"),
        (_Q_15, "q = jax.nn.softmax(logits[-1] / temperature)"),
    ),
    _uncached(
        14,
        "context-of-last-token",
        (_MODEL, _MODEL.replace("(x)", "(x[-1:])")),
        (_Q_14, "q = jax.nn.softmax(logits[-1] / temperature)"),
    ),
    _uncached(
        15,
        "context-of-last-token",
        ("jnp.array(x_hat), params", "jnp.array(x_hat[-1:]), params"),
        (_Q_15, "q = jax.nn.softmax(logits[-1] / temperature)"),
    ),
    _uncached(14, "prompt-kept", (_RETURN_14, "return x")),
    _uncached(14, "length-off-by-one", (_LOOP, "for i in range(length - 1):")),
    _uncached(14, "length-off-by-one", (_LOOP, "for i in range(length + 1):")),
    _cached(14, "length-off-by-one", ('return line(8, "y", cut(y, length))', "return y[..., : length - 1]")),
    _uncached(15, "length-off-by-one", ("len(x_hat) <= hyperparameters.l_max", "len(x_hat) < hyperparameters.l_max")),
    _uncached(14, "stops-at-end", (_FED, f"{_FED}\n        if y == hyperparameters.eos_token:\n            break")),
    _uncached(14, "output-reversed", (_RETURN_14, "return x[l:][::-1]")),
    _cached(15, "stop-token-dropped", ("cut(x_hat, ends[0] + 2)", "cut(x_hat, ends[0] + 1)")),
    _uncached(15, "stop-token-dropped", (_RETURN_15, "return [t for t in x_hat if t != hyperparameters.eos_token]")),
    _uncached(15, "never-stops", (_WHILE, "while len(x_hat) <= hyperparameters.l_max:")),
    _uncached(15, "start-token-dropped", (_RETURN_15, "return x_hat[1:]")),
    _cached(15, "start-token-other", (_BOS, _BOS.replace("bos_token", "eos_token"))),
    _cached(15, "start-token-other", (_BOS, _BOS.replace("bos_token", "mask_token"))),
    _uncached(15, "start-token-other", (_START, "x_hat = [0]")),
    _uncached(
        15,
        "stop-token-other",
        (_WHILE, _WHILE.replace("eos_token", "bos_token").replace("while", "while len(x_hat) == 1 or")),
    ),
    _uncached(15, "stop-token-other", (_WHILE, _WHILE.replace("eos_token", "mask_token"))),
)
