"""Whisper's features against the pseudocode, known values, and another implementation."""

import numpy as np
import pytest

from formal_tx.crosscheck.pseudocode import module
from formal_tx.speech import RATE, log_mel, mel_filters, pad_or_trim

pseudocode = module("speech")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Noise that grows, so that no two frames are alike."""
    return (np.random.default_rng(seed).normal(size=samples) * np.linspace(0.01, 0.2, samples)).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_the_filters_are_those_of_the_pseudocode(n_mels):
    F = mel_filters(n_mels)
    np.testing.assert_allclose(F, pseudocode.mel_filters(n_mels), atol=1e-15)
    assert (F >= 0).all()
    assert (F.max(axis=1) > 0).all()
    rising = np.diff(F, axis=1) > 0
    assert all((np.diff(np.flatnonzero(row)) == 1).all() for row in rising)  # each has one peak


@pytest.mark.parametrize(("n_mels", "largest"), [(80, 0.025881), (128, 0.041682)])
def test_the_largest_entry_of_the_published_filters(n_mels, largest):
    assert mel_filters(n_mels).max() == pytest.approx(largest, abs=1e-6)


@pytest.mark.parametrize("samples", [201, 400, 1600, 1759])
def test_features_are_those_of_the_pseudocode(samples):
    sound, F = noise(samples), mel_filters(80)
    found = log_mel(sound)
    assert found.shape == (80, samples // 160)
    np.testing.assert_allclose(found, pseudocode.log_mel(sound.astype(float), F), atol=1e-6)


def test_blocks_do_not_show():
    sound = noise(160 * 6100)
    np.testing.assert_allclose(log_mel(sound)[:, 2990:3010], log_mel(sound[160 * 2000 :])[:, 990:1010], atol=1e-6)


def test_silence_and_a_tone():
    np.testing.assert_allclose(log_mel(np.zeros(RATE)), -1.5, atol=1e-6)
    tone = np.sin(2 * np.pi * 440 * np.arange(30 * RATE) / RATE)
    found = log_mel(tone)
    assert found.shape == (80, 3000)
    assert found.max() == pytest.approx(1.5887, abs=1e-3)
    assert found.min() == pytest.approx(found.max() - 2, abs=1e-5)
    assert found.mean(axis=1).argmax() == 11


def test_louder_sound_adds_a_constant():
    sound = noise(8000) + 0.3 * noise(8000, seed=1)
    np.testing.assert_allclose(log_mel(2 * sound), log_mel(sound) + np.log10(4) / 4, atol=1e-5)


def test_a_shift_by_one_frame_shifts_the_columns():
    sound = noise(16000)
    sound[8000] = 1.5  # the loudest of both
    np.testing.assert_allclose(log_mel(sound[160:])[:, 3:-3], log_mel(sound)[:, 4:-3], atol=1e-5)


def test_padding_and_trimming():
    np.testing.assert_array_equal(pad_or_trim(np.ones(3), 5), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(pad_or_trim(np.ones((2, 9)), 4), np.ones((2, 4)))
    assert pad_or_trim(np.ones(7)).shape == (480_000,)


@pytest.mark.oracle
@pytest.mark.parametrize("n_mels", [80, 128])
def test_features_are_those_of_transformers(n_mels):
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=n_mels)
    sound = noise(5 * RATE)
    expected = extractor(sound, sampling_rate=RATE, return_tensors="np").input_features[0]
    np.testing.assert_allclose(log_mel(pad_or_trim(sound), n_mels), expected, atol=2e-5)
