"""Whisper in the form of Hugging Face: the same logits and texts, the same tensors again."""

import dataclasses

import jax
import numpy as np
import pytest

from formal_tx.inference import ed_step
from formal_tx.models import load, save
from formal_tx.speech import Whisper, hear, whisper_logits
from tests.speech import tiny

ROWS, N_V = 30, 61
CONFIG = {
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "vocab_size": N_V,
    "num_mel_bins": 7,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 22 - 2,
    "max_source_positions": ROWS,
    "max_target_positions": 19,
    "pad_token_id": 10,
    "bos_token_id": 10,
    "eos_token_id": 10,
    "decoder_start_token_id": 11,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
KIND = "WhisperForConditionalGeneration"


@pytest.fixture
def oracles():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models import oracles

    return oracles


@pytest.fixture
def theirs(oracles):
    return oracles.make(oracles.transformers.WhisperConfig(**CONFIG), KIND)


def _inputs(dtype="float32"):
    random = np.random.default_rng(0)
    M = random.normal(size=(2, CONFIG["num_mel_bins"], 2 * ROWS)).astype(dtype)
    return M, random.integers(N_V, size=(2, 17))


def _whisper(model):
    return Whisper.of(dataclasses.replace(model, tokenizer=tiny.tokenizer()))


def _logits(oracles, model, M, x):
    return oracles.outputs(model, input_features=M, decoder_input_ids=x)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_are_those_of_transformers(oracles, dtype, tmp_path):
    with oracles.precision(dtype):
        theirs = oracles.make(oracles.transformers.WhisperConfig(**CONFIG), KIND)
        oracles.write(theirs, tmp_path)
        model = load(tmp_path, dtype)
        M, x = _inputs(dtype)
        ours = whisper_logits(M, x, _whisper(model).params, model.hyperparameters)
        oracles.assert_close(ours, _logits(oracles, theirs, M, x), dtype)


@pytest.mark.oracle
def test_round_trip_gives_the_same_bits(oracles, theirs, tmp_path):
    oracles.write(theirs, tmp_path / "theirs")
    M, x = _inputs()
    oracles.round_trip(tmp_path / "theirs", tmp_path / "ours", lambda model: _logits(oracles, model, M, x), KIND)


@pytest.mark.oracle
def test_cached_decoding_is_uncached(oracles, theirs, tmp_path):
    oracles.write(theirs, tmp_path)
    model = load(tmp_path)
    whisper, hp = _whisper(model), model.hyperparameters
    M, x = _inputs()
    expected = whisper_logits(M, x, whisper.params, hp)
    cache = hear(M, whisper.params, hp)
    for t in range(x.shape[1]):
        logits, cache = ed_step(x[:, t], t, cache, model.params, hp)
        np.testing.assert_allclose(logits, expected[:, t], atol=1e-5, rtol=0)


@pytest.mark.oracle
def test_what_ctranslate2_has_is_saved_for_transformers(oracles, tmp_path):
    """A model directory of CTranslate2, saved in the form of Hugging Face, and read by transformers."""
    from tests.models.test_ctranslate2 import whisper_file, write_whisper

    write_whisper(tmp_path, whisper_file()[0])
    model = load(tmp_path)
    config = {**model.config, "pad_token_id": 30, "eos_token_id": 30, "bos_token_id": 30, "decoder_start_token_id": 31}
    config |= {"suppress_tokens": None, "begin_suppress_tokens": None}
    model = dataclasses.replace(model, config=config)
    save(tmp_path / "saved", model)
    theirs = oracles.read(tmp_path / "saved", KIND)
    M = np.random.default_rng(0).normal(size=(1, tiny.N_MELS, 3000)).astype(np.float32)
    x = np.array([[31, 3, 4, 1500]])
    hp = tiny.hyperparameters()
    ours = whisper_logits(M, x, Whisper.of(dataclasses.replace(tiny.model(), params=model.params)).params, hp)
    expected = _logits(oracles, theirs, M, x)
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def test_permuting_the_context_changes_nothing_in_the_decoder():
    """It has no positions there, and knows the sound's only from the encoder."""
    model = tiny.model()
    whisper = Whisper.of(model)
    M = np.random.default_rng(0).normal(size=(tiny.N_MELS, 60)).astype(np.float32)
    cache = hear(M, whisper.params, model.hyperparameters)
    order = np.random.default_rng(1).permutation(30)
    permuted = cache.replace(context=jax.tree.map(lambda A: A[..., order, :], cache.context))
    changed = cache.replace(context=jax.tree.map(lambda A: A[..., ::-1], cache.context))

    def logits(cache):
        return np.asarray(ed_step(np.int32(tiny.START), 0, cache, model.params, model.hyperparameters)[0])

    np.testing.assert_allclose(logits(permuted), logits(cache), atol=1e-4)
    assert np.abs(logits(changed) - logits(cache)).max() > 1e-2


def test_token_ids_are_no_sound():
    model = tiny.model()
    with pytest.raises(ValueError, match=r"family whisper reads no tokens first: see formal_tx.speech.whisper_logits"):
        model.logits([1], [1])
