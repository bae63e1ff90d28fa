"""Sound from files: every width and rate, and what is no sound."""

import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.speech import RATE, log_mel, read_wav, resampled


def write(path, samples, *, width=2, channels=1, rate=RATE):
    """Whole numbers (S,), or (S, channels), as a WAV file."""
    samples = np.asarray(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            file.writeframes(samples.astype(np.uint8).tobytes())
        else:
            wide = samples.astype("<i4").reshape(-1, 1).view(np.uint8)
            file.writeframes(wide[:, :width].tobytes())
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_numbers_of_every_width(tmp_path, width):
    full = 2 ** (8 * width - 1)
    samples = np.array([0, full // 2, -full // 2, -full, full - 1], np.int64)
    stored = samples + 128 if width == 1 else samples
    sound = read_wav(write(tmp_path / "a.wav", stored, width=width))
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, [0, 0.5, -0.5, -1, (full - 1) / full], atol=1e-7)


def test_the_mean_of_two_channels(tmp_path):
    both = np.array([[1000, 3000], [-500, 500], [32767, 32767]])
    sound = read_wav(write(tmp_path / "a.wav", both, channels=2))
    np.testing.assert_allclose(sound, np.array([2000, 0, 32767]) / 2**15)


def test_another_rate_is_refused_unless_it_is_asked_for(tmp_path):
    path = write(tmp_path / "a.wav", np.arange(800), rate=8000)
    with pytest.raises(
        ValueError, match="has 8000 samples a second, expected 16000; resample=True would resample them"
    ):
        read_wav(path)
    assert read_wav(path, resample=True).shape == (1600,)


def _wav_of_floats() -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32)
    data = struct.pack("<4sI", b"data", 8) + bytes(8)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form + data), b"WAVE") + form + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no WAV file of whole numbers .PCM.: it ends too early"),
        (b"ID3 this is music" * 9, "is no WAV file of whole numbers .PCM.: file does not start with RIFF id"),
        (b"RIFF\x00\x00", "is no WAV file"),
        (_wav_of_floats(), "is no WAV file of whole numbers .PCM.: unknown format: 3"),
    ],
)
def test_what_is_no_sound(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_wav(tmp_path / "a.wav")


def test_a_file_without_samples(tmp_path):
    with pytest.raises(ValueError, match="is empty: it has no samples"):
        read_wav(write(tmp_path / "a.wav", []))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_wav(tmp_path / "a.wav")


def test_a_file_that_was_cut_short_anywhere(tmp_path):
    whole = write(tmp_path / "a.wav", np.arange(40)).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "b.wav").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"is no WAV file|has been cut short|is empty"):
            read_wav(tmp_path / "b.wav")


@given(st.binary(max_size=60))
def test_bytes_that_mean_nothing_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.wav"
    path.write_bytes(b"RIFF" + content)
    with pytest.raises(ValueError, match=r"fuzz.wav"):
        read_wav(path)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 44100, 48000])
def test_a_tone_is_the_same_tone_at_another_rate(rate):
    t = np.arange(rate // 2) / rate
    found = resampled(np.sin(2 * np.pi * 1234 * t), rate)
    expected = np.sin(2 * np.pi * 1234 * np.arange(len(found)) / RATE)
    assert len(found) == RATE // 2
    inside = slice(200, -200)
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-4)


def test_what_the_lower_rate_cannot_hold_is_gone():
    t = np.arange(24000) / 48000
    found = resampled(np.sin(2 * np.pi * 11000 * t), 48000)
    assert np.abs(found[200:-200]).max() < 1e-4


def test_the_same_rate_changes_nothing():
    sound = np.linspace(-1, 1, 99)
    assert resampled(sound, RATE) is sound


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (np.zeros(400, np.int16), TypeError, "sound has dtype int16, expected floats between -1 and 1"),
        (np.zeros((2, 400)), ValueError, r"sound has shape \(2, 400\), expected \(S,\): take the mean of channels"),
        (np.zeros(0), ValueError, "sound is empty"),
        (np.full(400, 8000.0), ValueError, r"sound\[0\] is 8000, expected numbers between -1 and 1"),
        (np.r_[np.zeros(300), np.nan], ValueError, r"sound\[300\] is nan, expected finite numbers"),
        (np.zeros(200), ValueError, "sound has 200 samples, expected at least 201"),
    ],
)
def test_sound_that_has_no_features(sound, error, message):
    with pytest.raises(error, match=f"log_mel: {message}"):
        log_mel(sound)
