"""The trained decoder that runs in the page: trained here unless one is given, and packed into the page's data."""

import base64
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..crosscheck.layout import to_paper
from ..data import batches, corpus
from ..data.tokenizer import Tokenizer
from ..hyperparameters import DTransformerHyperparameters
from ..initialization import init_d_transformer
from ..losses import d_loss
from ..runs.model_directory import Model, load_model
from ..runs.requires import require_model
from ..training import d_training
from .values import parameters

UPDATES = 800
_BATCH, _PER_CALL = 16, 50
_MOST_NUMBERS = 1_200_000  # in half precision, as text: 3.2 MB


def demo_model(tell: Callable[[str], None], updates: int = UPDATES) -> Model:
    """A small decoder of characters, trained by Algorithm 13 on the embedded corpus; a minute or so."""
    import optax  # the trained model alone needs it

    tokenizer = Tokenizer.train("characters", [corpus.english("train")])
    hp = DTransformerHyperparameters(l_max=48, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V)
    ids, rng = tokenizer.encode(corpus.english("train")), np.random.default_rng(0)
    schedule = optax.warmup_cosine_decay_schedule(0, 8e-3, max(updates // 10, 1), updates)
    optimizer = optax.chain(optax.clip_by_global_norm(1), optax.adamw(schedule, b2=0.98, weight_decay=0.01))
    params, state = init_d_transformer(jax.random.key(0), hp), None
    for done in range(0, updates, _PER_CALL):
        tell(f"training the model: {done} of {updates} updates")
        x = batches.windows(ids, hp.l_max, min(_PER_CALL, updates - done) * _BATCH, rng)
        options: dict[str, Any] = {"optimizer": optimizer, "optimizer_state": state, "history": True}
        params, log = d_training(x, params, hp, epochs=1, batch_size=_BATCH, mean=True, **options)
        state = log.optimizer_state
    held_out = batches.consecutive(tokenizer.encode(corpus.english("validation")), hp.l_max)[:256]
    bits = float(d_loss(params, held_out, hp, mean=True)) / math.log(2)
    about = (
        f"trained by Algorithm 13 on the World English Bible when this page was made, {updates} updates of {_BATCH} "
    )
    about += f"pieces of text; on books that it has not seen it needs {bits:.2f} bits for a character"
    return Model("decoder", params, hp, tokenizer, {"about": about})


def given_model(directory: str | Path) -> Model:
    """The decoder of a model directory.

    Raises:
      OSError, ValueError: what `load_model` raises; or it is too large, or its tokens are not single characters.
      TypeError: it is no decoder.
    """
    model = load_model(directory)
    require_model(model, "decoder", "book")
    size = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(model.params))
    if size > _MOST_NUMBERS:
        raise ValueError(f"{directory}: the model has {size:,} parameters, expected at most {_MOST_NUMBERS:,}")
    characters(model.tokenizer)
    return Model(model.architecture, model.params, model.hyperparameters, model.tokenizer, {"about": "trained before"})


def characters(tokenizer: Tokenizer) -> list[str]:
    """The ordinary tokens by id.

    Raises:
      ValueError: one of them is not a single character.
    """
    found = [tokenizer.decode([i]) for i in range(tokenizer.N_V - 3)]
    for i, text in enumerate(found):
        if len(text) != 1:
            raise ValueError(f"token {i} is {text!r}, expected a character: the page wants a tokenizer of characters")
    return found


def packed(model: Model) -> dict[str, Any]:
    """A model as the page has it: its sizes, its characters, and its arrays in half precision, one after the other.

    The arrays are in the paper's layout, by path; `weights` is base64 of little-endian float16.
    """
    theta = to_paper(model.params)
    arrays = [(path, np.asarray(array, "<f2")) for path, array in parameters(theta)]
    hp = model.hyperparameters
    return {
        "sizes": {name: getattr(hp, name) for name in ("l_max", "L", "H", "d_e", "d_attn", "d_mid", "d_mlp", "N_V")},
        "epsilon": hp.epsilon,
        "characters": characters(model.tokenizer),
        "arrays": [{"name": path, "shape": list(array.shape)} for path, array in arrays],
        "weights": base64.b64encode(b"".join(array.tobytes() for _, array in arrays)).decode(),
    }
