"""What `evaluate` measures is what it says, by other means."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
import sacrebleu

import formal_tx
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.losses import d_loss, ed_loss
from formal_tx.runs.evaluation import evaluate, quality
from formal_tx.runs.guesses import Counts
from formal_tx.runs.model_directory import Model
from formal_tx.runs.plotting import plot
from formal_tx.runs.sources import Sources
from formal_tx.runs.translation import translate
from tests.runs.running import settings

pytestmark = pytest.mark.usefixtures("as_users_have_it")

# decoder


@pytest.mark.parametrize("characters", [3, 13, 14, 15, 400])
def test_the_loss_of_a_decoder_is_that_of_all_its_tokens(models, tmp_path, characters):
    """Windows of l_max = 16 tokens, of which each begins with the last token of the one before."""
    _, model = models["decoder"]
    hp, text = model.hyperparameters, corpus.english()[1000 : 1000 + characters]
    (tmp_path / "text.txt").write_text(text)
    measured = evaluate(model, Sources((str(tmp_path / "text.txt"),)))
    x = np.array([hp.bos_token, *model.tokenizer.encode(text), hp.eos_token], np.int32)
    windows = [x[begin : begin + 16] for begin in range(0, len(x) - 1, 15)]
    nats = sum(float(d_loss(model.params, window, hp)) for window in windows)
    assert measured["tokens"] == len(x) - 1
    assert measured["loss"] == pytest.approx(nats / (len(x) - 1), rel=1e-5)
    assert measured["perplexity"] == pytest.approx(math.exp(measured["loss"]))
    assert measured["bits_per_character"] == pytest.approx(nats / math.log(2) / characters, rel=1e-5)
    assert measured["bits_per_byte"] == pytest.approx(nats / math.log(2) / len(text.encode()), rel=1e-5)


def test_an_untrained_decoder_knows_nothing(models, tmp_path):
    _, model = models["decoder"]
    hp = model.hyperparameters
    untrained = replace(model, params=formal_tx.init_d_transformer(jax.random.key(0), hp))
    (tmp_path / "text.txt").write_text(corpus.english()[:500])
    sources = Sources((str(tmp_path / "text.txt"),))
    measured = evaluate(untrained, sources)
    assert measured["perplexity"] == pytest.approx(hp.N_V, rel=0.1)
    assert evaluate(model, sources)["loss"] < measured["loss"]


# encoder-decoder


@pytest.fixture
def pairs(models, tmp_path):
    """Six pairs, the last of which has a source that does not fit into the model."""
    short = [("And God", "Y Dios"), ("In the", "En el"), ("Then", "Luego"), ("God", "Dios"), ("And", "Y")]
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in [*short, ("And God and God and God", "Y")]))
    return Sources((str(tmp_path / "pairs.tsv"),)), short


def test_the_loss_of_an_encoder_decoder_is_that_of_the_pairs_that_fit(models, pairs):
    _, model = models["encoder-decoder"]
    hp, encode = model.hyperparameters, model.tokenizer.encode
    measured = evaluate(model, pairs[0], beam=1)
    nats = tokens = characters = 0
    for source, target in pairs[1]:
        z, x = [*encode(source), hp.eos_token], [hp.bos_token, *encode(target), hp.eos_token]
        nats += float(ed_loss(model.params, np.array(z), np.array(x), hp))
        tokens, characters = tokens + len(x) - 1, characters + len(target)
    assert measured["tokens"] == tokens
    assert measured["loss"] == pytest.approx(nats / tokens, rel=1e-5)
    assert measured["bits_per_character"] == pytest.approx(nats / math.log(2) / characters, rel=1e-5)


def test_bleu_and_chrf_are_sacrebleus_and_what_is_too_long_counts_as_nothing(models, pairs):
    _, model = models["encoder-decoder"]
    sources, short = pairs
    measured = evaluate(model, sources, beam=2, baselines=True)
    assert (measured["translations"], measured["too_long"]) == (6, 1)
    said = [*translate(model, [source for source, _ in short], beam=2), ""]
    references = [*(target for _, target in short), "Y"]
    for name, score in (("bleu", sacrebleu.corpus_bleu), ("chrf", sacrebleu.corpus_chrf)):
        assert measured[name] == round(score(said, [references]).score, 2)
        copied = score([*(source for source, _ in short), "And God and God and God"], [references]).score
        assert measured["baselines"]["copy"][name] == round(copied, 2)
    assert measured["baselines"]["untrained"].keys() == {"bleu", "chrf"}
    verses = [target for _, target in corpus.pairs("test")[:3]]
    assert quality(verses, verses) == {"bleu": 100.0, "chrf": 100.0}


def test_a_limit_is_of_the_translations(models, pairs):
    _, model = models["encoder-decoder"]
    measured = evaluate(model, pairs[0], beam=1, limit=2)
    assert measured["translations"] == 2
    assert measured["tokens"] == evaluate(model, pairs[0], beam=1)["tokens"]


# encoder

TEXT = "a b a b a b a c a c d d d e f"  # a 5; b, d 3; c 2; e, f 1


@pytest.fixture
def counting(tmp_path):
    """An encoder of the words of TEXT, of which "f" is unknown to it."""
    (tmp_path / "text.txt").write_text(TEXT)
    tokenizer = Tokenizer.train("words", [TEXT.replace("f", "e")], 9)
    c = settings("encoder", N_V=9, mask_probability=0.4)
    hp = c.hyperparameters(9)
    configuration = {"training": c.as_dict(), "data": {"files": [str(tmp_path / "text.txt")]}}
    model = Model("encoder", formal_tx.init_e_transformer(jax.random.key(0), hp), hp, tokenizer, configuration)
    return c, model, Sources((str(tmp_path / "text.txt"),))


def words(model, ids):
    return " ".join(model.tokenizer.piece(int(token)) for token in ids)


def test_the_baselines_by_hand(counting):
    c, model, _ = counting
    hp = model.hyperparameters
    legal = (np.arange(hp.N_V) < hp.mask_token) & (np.arange(hp.N_V) != model.tokenizer.unknown_token)
    counts = Counts(c, model, legal)
    assert words(model, counts.unigram) in ("a b d c e", "a d b c e")  # which of the equals comes first is open
    most = words(model, counts.unigram).split()
    ids = {word: int(model.tokenizer.encode(word)[0]) for word in "abcde"}
    after = dict(zip("abcde", counts.after(np.array([ids[word] for word in "abcde"])), strict=True))
    expected = {"a": "b c", "b": "a", "c": "a d", "d": "d e", "e": ""}  # a and d come once each after c
    for word, guesses in after.items():
        own = expected[word].split()
        assert words(model, guesses).split()[: len(own)] in (own, own[::-1] if word == "c" else own)
        assert words(model, guesses).split()[len(own) :] == [other for other in most if other not in own]
    assert words(model, counts.after(np.array([-1]))[0]).split() == most
    assert words(model, counts.after(np.array([hp.mask_token]))[0]).split() == most


def test_shares_of_guessed_words(counting, tmp_path):
    """Of a text of one word alone the counts guess all or nothing; an unknown one is no word to guess."""
    _, model, _ = counting
    shares = {}
    for word in "ad":
        (tmp_path / f"{word}.txt").write_text(f"{word} f " * 40)
        measured = evaluate(model, Sources((str(tmp_path / f"{word}.txt"),)), baselines=True)
        shares[word] = measured["baselines"]
        assert 0 < measured["masked"] <= 40
        assert 0 <= measured["top_1"] <= measured["top_5"] == 1  # of five words
        assert measured["tokens"] >= measured["masked"]
    assert shares["a"]["unigram"] == {"top_1": 1.0, "top_5": 1.0}
    assert shares["d"]["unigram"] == {"top_1": 0.0, "top_5": 1.0}


@pytest.mark.parametrize("masking", ["printed", "bert"])
def test_a_mask_is_the_same_each_time(models, tmp_path, masking):
    _, model = models["encoder"]
    training = model.configuration["training"] | {"masking": masking}
    model = replace(model, configuration=model.configuration | {"training": training})
    (tmp_path / "text.txt").write_text(corpus.english()[5000:9000])
    sources = Sources((str(tmp_path / "text.txt"),))
    first = evaluate(model, sources)
    assert first == evaluate(model, sources)
    assert 0 <= first["top_1"] <= first["top_5"] <= 1
    words = len(model.tokenizer.encode(corpus.english()[5000:9000]))
    assert first["tokens"] / words == pytest.approx(0.2, abs=0.04)


def test_what_cannot_be_measured(counting, models, tmp_path):
    c, model, sources = counting
    seldom = replace(model, configuration=model.configuration | {"training": c.as_dict() | {"mask_probability": 1e-9}})
    with pytest.raises(ValueError, match=r"^none of the 17 tokens is one to be guessed: give more text$"):
        evaluate(seldom, sources)
    piped = replace(model, configuration=model.configuration | {"data": {"files": ["-"]}})
    with pytest.raises(ValueError, match=r"^the model was trained on standard input, of which there is nothing left"):
        evaluate(piped, sources, baselines=True)
    with pytest.raises(ValueError, match="configuration does not say how it was trained: its entry 'training' is mis"):
        evaluate(replace(model, configuration={}), sources)
    (tmp_path / "other.txt").write_text("In 日")
    with pytest.raises(ValueError, match=r"the character '日' \(U\+65E5\) at position 3 is not among the "):
        evaluate(models["decoder"][1], Sources((str(tmp_path / "other.txt"),)))


# plot


def test_a_picture_of_the_run(models, tmp_path):
    from matplotlib.image import imread

    directory, _ = models["decoder"]
    assert plot(directory, tmp_path / "loss.png") == tmp_path / "loss.png"
    picture = imread(tmp_path / "loss.png")
    assert picture.shape[:2] == (750, 1200)
    colours = {tuple(colour) for colour in np.round(picture[..., :3].reshape(-1, 3), 1)[::7]}
    assert len(colours) > 10


def test_nothing_to_draw(tmp_path, models):
    with pytest.raises(FileNotFoundError, match="holds no training run"):
        plot(tmp_path, tmp_path / "loss.png")
    (tmp_path / "log.jsonl").write_text('{"step": 3, "held_out_loss": 1.5}\n')
    with pytest.raises(ValueError, match="has no loss in its log yet: nothing to draw"):
        plot(tmp_path, tmp_path / "loss.png")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        plot(models["decoder"][0], tmp_path / "nowhere" / "loss.png")
