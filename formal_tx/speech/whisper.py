"""Whisper: Algorithm 8 whose context is sound, and the greedy decoding of one window of 30 seconds."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax

from .. import masks
from ..architectures import decode, encode_embedded, logits_of, self_attend
from ..attention import mh_attention
from ..hyperparameters import EDTransformerHyperparameters
from ..inference.cache import EDCache, context_cache, empty_cache
from ..inference.decoding import ed_step
from ..inference.drawing import likeliest
from ..models.model import Model
from ..parameters import EDTransformerParameters
from .front import FrontParameters, whisper_front
from .rules import Written, timestamp_rules, without
from .vocabulary import WhisperTokens, suppressed, suppressed_at_first

_CONVOLUTIONS = {
    "W_1": "model.encoder.conv1.weight",
    "b_1": "model.encoder.conv1.bias",
    "W_2": "model.encoder.conv2.weight",
    "b_2": "model.encoder.conv2.bias",
}


@struct.dataclass
class WhisperParameters:
    """The `front`, of sound, and the `transformer`, in which W_pz has the positions of the context."""

    front: FrontParameters
    transformer: EDTransformerParameters


@dataclass(frozen=True)
class Whisper:
    """A model that hears.

    Attributes:
      params, hyperparameters: of the front and of Algorithm 8.
      tokens: the ids that are no text. tokenizer: of those that are.
      suppressed: ids that are never written. suppressed_at_first: ids that no text begins with.
    """

    params: WhisperParameters
    hyperparameters: EDTransformerHyperparameters
    tokens: WhisperTokens
    tokenizer: Any
    suppressed: tuple[int, ...]
    suppressed_at_first: tuple[int, ...]

    @classmethod
    def of(cls, model: Model) -> "Whisper":
        """The one in a model that was loaded.

        Raises:
          ValueError: it is of another family, or came without a tokenizer or without its convolutions.
        """
        if model.family != "whisper":
            raise ValueError(f"the model is of family {model.family!r}, and only 'whisper' hears")
        if model.tokenizer is None:
            raise ValueError("the model came without a tokenizer.json, which is needed to write what it hears")
        missing = [name for name in _CONVOLUTIONS.values() if name not in model.extras]
        if missing:
            raise ValueError(f"the model has no {', '.join(missing)}, the convolutions of its encoder")
        dtype, n_mels = model.params.W_e.dtype, model.extras[_CONVOLUTIONS["W_1"]].shape[1]
        d_e = model.hyperparameters.d_e
        shapes = {"W_1": (d_e, n_mels, 3), "b_1": (d_e,), "W_2": (d_e, d_e, 3), "b_2": (d_e,)}
        for field, name in _CONVOLUTIONS.items():
            if model.extras[name].shape != shapes[field]:
                raise ValueError(f"tensor {name} has shape {model.extras[name].shape}, expected {shapes[field]}")
        front = {field: jnp.asarray(model.extras[name], dtype) for field, name in _CONVOLUTIONS.items()}
        tokens = WhisperTokens.of(model.hyperparameters)
        return cls(
            WhisperParameters(FrontParameters(**front), model.params),
            model.hyperparameters,
            tokens,
            model.tokenizer,
            suppressed(tokens, model.config, model.tokenizer),
            suppressed_at_first(tokens, model.config, model.tokenizer),
        )

    @property
    def n_mels(self) -> int:
        """How many bins its features have: 80 or 128."""
        return self.params.front.W_1.shape[1]

    @property
    def longest(self) -> int:
        """How many tokens it writes for a window at most: half of l_max, the other half being for what came before."""
        return self.hyperparameters.l_max // 2


@partial(jax.jit, static_argnames=("hyperparameters",))
def encode_sound(M: jax.Array, params: WhisperParameters, hyperparameters: EDTransformerHyperparameters) -> jax.Array:
    """Lines 1 to 9 of Algorithm 8 for the features M (..., n_mels, ℓ) of sound: Z (..., ⌈ℓ/2⌉, d_e)."""
    W_p = params.transformer.W_pz
    assert W_p is not None  # Whisper has a table of its own for the context
    e_z = whisper_front(M.astype(W_p.dtype), params.front, W_p)
    return encode_embedded(e_z, params.transformer, hyperparameters)


@partial(jax.jit, static_argnames=("hyperparameters",))
def whisper_logits(
    M: jax.Array, x: jax.Array, params: WhisperParameters, hyperparameters: EDTransformerHyperparameters
) -> jax.Array:
    """Algorithm 8 up to the softmax, for the features M (..., n_mels, ℓ) of sound and tokens x (..., ℓ_x).

    Returns:
      logits (..., ℓ_x, N_V), without a cache; nan where an id is out of range.
    """
    hp, theta = hyperparameters, params.transformer
    Z = encode_sound(M, params, hp)

    def cross_attend(X, W, state, window):
        del window
        return mh_attention(X, Z, W, masks.full, hp.cross_attending), state

    attend = self_attend(masks.causal, hp.decoder_attending, theta.W_rx)
    X, _ = decode(x, theta, hp, attend, cross_attend)
    return logits_of(X, theta, hp)


@partial(jax.jit, static_argnames=("hyperparameters",))
def hear(M: jax.Array, params: WhisperParameters, hyperparameters: EDTransformerHyperparameters) -> EDCache:
    """The cache of a sound's features M (..., n_mels, ℓ), of which nothing is written yet; for `ed_step`."""
    hp, theta = hyperparameters, params.transformer
    Z = encode_sound(M, params, hp)
    return EDCache(
        past=empty_cache(hp.L_dec, Z.shape[:-2], hp.l_max, hp, theta.W_e.dtype),
        context=context_cache(Z, theta.decoder.cross_attention, hp.cross_attending),
        z_lengths=jnp.full(Z.shape[:-2], Z.shape[-2]),
    )


@struct.dataclass
class Decoded:
    """What was written: `count` of the ids in `tokens`, the sum of their log-probabilities, P(no speech) before them.

    `ended` says whether the end came, whose log-probability is then in the sum.
    """

    tokens: jax.Array
    count: jax.Array
    log_probability: jax.Array
    no_speech: jax.Array
    ended: jax.Array


def decode_window(
    whisper: Whisper,
    cache: EDCache,
    prompt: list[int],
    *,
    timestamps: bool,
    temperature: float = 0.0,
    key: jax.Array | None = None,
) -> Decoded:
    """Writes what is heard in a window.

    Args:
      cache: of one window, from `hear`.
      prompt: the ids to begin with, `start` among them.
      timestamps: whether their rules hold.
      temperature: 0 takes the likeliest token; otherwise one is drawn, for which there has to be a `key`.
    Raises:
      ValueError: the prompt leaves no room, or has no `start`, or something is to be drawn without a key.
    """
    hp, tokens = whisper.hyperparameters, whisper.tokens
    if tokens.start not in prompt:
        raise ValueError(f"prompt {prompt} has no token {tokens.start}, which starts a transcript")
    if len(prompt) >= hp.l_max:
        raise ValueError(f"prompt has {len(prompt)} tokens, expected fewer than l_max = {hp.l_max}")
    if temperature and key is None:
        raise ValueError(f"key is None, and at temperature {temperature} tokens are drawn")
    return _decode(
        cache,
        np.pad(np.asarray(prompt, np.int32), (0, hp.l_max - len(prompt))),
        np.int32(len(prompt)),
        np.int32(prompt.index(tokens.start)),
        whisper.params.transformer,
        (np.asarray(whisper.suppressed, np.int32), np.asarray(whisper.suppressed_at_first, np.int32)),
        np.asarray(temperature, np.float32),
        jax.random.key(0) if key is None else key,
        hyperparameters=hp,
        tokens=tokens,
        timestamps=timestamps,
        longest=whisper.longest,
    )


@partial(jax.jit, static_argnames=("hyperparameters", "tokens", "timestamps", "longest"))
def _decode(
    cache, prompt, n_prompt, start, params, suppress, temperature, key, *, hyperparameters, tokens, timestamps, longest
):
    hp = hyperparameters
    most = jnp.minimum(longest, hp.l_max - n_prompt)
    always, at_first = suppress

    def filtered(logits, written):
        logits = without(logits.astype(jnp.float32), always)
        logits = jnp.where(written.count == 0, without(logits, at_first), logits)
        return timestamp_rules(logits, written, tokens) if timestamps else logits

    def choose(logits, t):
        def drawn():
            noise = jax.random.gumbel(jax.random.fold_in(key, t), logits.shape)
            return likeliest(logits / temperature + noise)

        # A condition and no `where`, which would draw noise for the whole vocabulary at temperature 0 as well.
        return lax.cond(temperature > 0, drawn, lambda: likeliest(logits)).astype(jnp.int32)

    def step(carry):
        t, token, past, written, decoded = carry
        logits, stepped = ed_step(token, t, cache.replace(past=past), params, hp)
        silent = jax.nn.softmax(logits.astype(jnp.float32))[tokens.no_speech]
        logits = filtered(logits, written)
        is_prompt = t + 1 < n_prompt
        y = jnp.where(is_prompt, prompt[jnp.minimum(t + 1, hp.l_max - 1)], choose(logits, t))
        ended = ~is_prompt & (y == tokens.end)
        kept = ~is_prompt & ~ended
        decoded = Decoded(
            tokens=decoded.tokens.at[decoded.count].set(jnp.where(kept, y, tokens.end), mode="drop"),
            count=decoded.count + kept.astype(jnp.int32),
            log_probability=decoded.log_probability + jnp.where(is_prompt, 0, jax.nn.log_softmax(logits)[y]),
            no_speech=jnp.where(t == start, silent, decoded.no_speech),
            ended=ended,
        )
        followed = written.followed_by(y, tokens.first_timestamp)
        written = jax.tree.map(lambda old, new: jnp.where(is_prompt, old, new), written, followed)
        return t + 1, y, stepped.past, written, decoded

    def goes_on(carry):
        return ~carry[-1].ended & (carry[-1].count < most)

    nothing = Decoded(
        tokens=jnp.full(longest, tokens.end, jnp.int32),
        count=jnp.asarray(0, jnp.int32),
        log_probability=jnp.asarray(0, jnp.float32),
        no_speech=jnp.asarray(0, jnp.float32),
        ended=jnp.asarray(False),
    )
    first = (jnp.asarray(0, jnp.int32), prompt[0], cache.past, Written.nothing(), nothing)
    return lax.while_loop(goes_on, step, first)[-1]


def language_of(whisper: Whisper, cache: EDCache) -> int:
    """The token of the language in which the sound of a cache is, for a model of several.

    Raises:
      ValueError: the model knows English alone.
    """
    tokens = whisper.tokens
    if not tokens.languages:
        raise ValueError("the model knows English alone, and no languages to choose from")
    start, t = jnp.asarray(tokens.start), jnp.asarray(0)
    logits, _ = ed_step(start, t, cache, whisper.params.transformer, whisper.hyperparameters)
    first = tokens.start + 1
    return first + int(np.argmax(np.asarray(logits)[first : first + tokens.languages]))
