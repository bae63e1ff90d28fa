"""Using what was trained: generate, fill, translate, and the samples shown while training."""

import jax
import numpy as np
import pytest

import formal_tx
from formal_tx.inference.beam_search import ed_beam_search
from formal_tx.runs.filling import fill
from formal_tx.runs.generation import generate
from formal_tx.runs.preparation import reopen
from formal_tx.runs.sampling import sample
from formal_tx.runs.translation import translate
from tests.runs.running import ARCHITECTURES, settings

pytestmark = pytest.mark.usefixtures("as_users_have_it")

PROMPT = "In the be"


@pytest.fixture(scope="module")
def decoder(models):
    return models["decoder"][1]


@pytest.fixture(scope="module")
def encoder(models):
    return models["encoder"][1]


@pytest.fixture(scope="module")
def encoder_decoder(models):
    return models["encoder-decoder"][1]


def drawn(model, prompt, length, seed=0, temperature=1.0):
    """What Algorithm 14 itself draws, as text."""
    hp = model.hyperparameters
    x = np.array([hp.bos_token, *model.tokenizer.encode(prompt)], np.int32)
    y = formal_tx.d_inference(
        x, model.params, hp, length=length, temperature=temperature, key=jax.random.key(seed), stop=(hp.eos_token,)
    )
    return model.tokenizer.decode(np.asarray(y)[np.asarray(y) != hp.eos_token])


# generate


@pytest.mark.parametrize(("prompt", "seed"), [(PROMPT, 0), (PROMPT, 1), ("", 2)])
def test_generated_text_is_algorithm_14s(decoder, prompt, seed):
    text = "".join(generate(decoder, prompt, tokens=6, seed=seed))
    assert text == drawn(decoder, prompt, 6, seed)
    assert len(text) <= 6


def test_as_many_tokens_as_there_is_room_for(decoder):
    room = decoder.hyperparameters.l_max + 1 - (1 + len(PROMPT))
    pieces = list(generate(decoder, PROMPT))
    assert pieces == list(generate(decoder, PROMPT, tokens=room))
    assert len(pieces) <= room
    with pytest.raises(ValueError, match="l_max") as caught:
        generate(decoder, PROMPT, tokens=room + 1)
    assert str(room + 1) in str(caught.value)


def test_a_seed_decides_and_temperature_0_needs_none(decoder):
    texts = ["".join(generate(decoder, seed=seed)) for seed in (0, 0, 1, 2)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1
    assert len({"".join(generate(decoder, temperature=0, seed=seed)) for seed in range(3)}) == 1


def test_filters_are_those_of_the_library(decoder):
    greedy = "".join(generate(decoder, PROMPT, temperature=0))
    for only_one in ({"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}):
        assert "".join(generate(decoder, PROMPT, **only_one)) == greedy
    penalty = "".join(generate(decoder, PROMPT, temperature=0, repetition_penalty=1e30))
    assert len(set(penalty)) == len(penalty)


def test_text_before_a_stop_string_and_nothing_of_it(decoder):
    text = "".join(generate(decoder, PROMPT, seed=4))
    assert len(text) >= 5
    for begin in range(len(text) - 2):
        for end in range(begin + 1, begin + 3):
            stop = text[begin:end]
            stopped = list(generate(decoder, PROMPT, seed=4, stop=("never comes", stop)))
            assert "".join(stopped) == text[: text.index(stop)]
            assert all(stopped)


def test_what_may_begin_a_stop_string_waits_for_what_follows():
    from formal_tx.runs.generation import up_to

    assert list(up_to(iter("abcabd"), ("abd",))) == ["abc"]
    assert list(up_to(iter("abcab"), ("abd",))) == ["abc", "ab"]
    assert list(up_to(iter(["xa", "b", "dx", "y"]), ("abd",))) == ["x"]
    assert list(up_to(iter(["aab", "c"]), ("abc", "aab"))) == []
    assert list(up_to(iter(["a", "a", "b"]), ("ab",))) == ["a"]
    assert list(up_to(iter(["ab", "c"]), ())) == ["ab", "c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "naïve"}, "the character 'ï' (U+00EF) at position 2 is not among the "),
        ({"prompt": "x" * 16}, "l_max"),
        ({"stop": ("",)}, "a stop string is empty, expected text"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "top_k: k is 0, expected an integer of at least 1"),
        ({"top_p": 1.5}, "top_p: p is 1.5, expected a number in (0, 1]"),
        ({"min_p": 0.0}, "min_p: p is 0.0, expected a number in (0, 1]"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: r is 0.0, expected a finite number greater than 0"),
        ({"tokens": 0}, "length is 0, expected"),
        ({"temperature": 0, "top_k": 2}, "temperature is 0, which takes the most likely token, and top_k choose among"),
        ({"temperature": 0, "top_p": 0.5, "min_p": 0.1}, "and top_p, min_p choose among more: leave one of them out"),
    ],
)
def test_what_generate_refuses_at_once(decoder, options, message):
    with pytest.raises(ValueError, match=r".") as caught:
        generate(decoder, **options)
    assert message in str(caught.value)


# fill


def test_guesses_are_algorithm_9s_best_first(encoder):
    hp, tokenizer = encoder.hyperparameters, encoder.tokenizer
    (guesses,) = fill(encoder, "and the ____ of god", top=hp.mask_token - 1)
    x = [*tokenizer.encode("and the"), hp.mask_token, *tokenizer.encode("of god")]
    P = np.asarray(formal_tx.e_transformer(np.array(x), encoder.params, hp))[len(tokenizer.encode("and the"))]
    probabilities = [guess.probability for guess in guesses]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1 + 1e-6
    words = [tokenizer.piece(token) for token in range(hp.mask_token) if token != tokenizer.unknown_token]
    assert {guess.text for guess in guesses} == set(words)
    for guess in guesses:
        assert guess.probability == pytest.approx(P[tokenizer.encode(guess.text)[0]], rel=1e-4)


def test_every_blank_in_both_spellings(encoder):
    found = fill(encoder, "in __ beginning <mask> created _____", top=3)
    assert [len(blank) for blank in found] == [3, 3, 3]
    assert found == fill(encoder, "in <mask> beginning __ created __", top=3)
    assert len(fill(encoder, "a_b ____", top=1)) == 1  # one _ is no blank


def test_a_prefix_of_more_guesses(encoder):
    (few,), (more,) = (fill(encoder, "the ____", top=n) for n in (2, 7))
    assert more[:2] == few


@pytest.mark.parametrize(
    ("text", "top", "message"),
    [
        ("no blank", 5, "there is no blank in 'no blank': write ____ for the word to be guessed"),
        ("", 5, "there is no blank in '': write ____ for the word to be guessed"),
        ("____ " + "and " * 16, 5, "the text has 17 tokens, more than l_max = 16: give a shorter one"),
        ("____", 0, "top is 0, expected 1 to 60, the ordinary tokens"),
        ("____", 61, "top is 61, expected 1 to 60, the ordinary tokens"),
    ],
)
def test_what_fill_refuses(encoder, text, top, message):
    with pytest.raises(ValueError, match=r".") as caught:
        fill(encoder, text, top=top)
    assert str(caught.value) == message


# translate

LINES = ["And God", "Then", "", "The earth", "  ", "God said", "In the", "And"]


def test_order_is_kept_and_a_batch_is_its_lines(encoder_decoder):
    together = translate(encoder_decoder, LINES, beam=2, batch_size=4)
    assert together == [translate(encoder_decoder, [line], beam=2, batch_size=4)[0] for line in LINES]
    assert together[2] == together[4] == ""
    assert any(together)
    assert translate(encoder_decoder, LINES[::-1], beam=2, batch_size=3) == together[::-1]


def test_a_translation_is_the_beam_searchs(encoder_decoder):
    hp, tokenizer = encoder_decoder.hyperparameters, encoder_decoder.tokenizer
    z = np.array([[*tokenizer.encode("And God"), hp.eos_token]], np.int32)
    found = ed_beam_search(z, encoder_decoder.params, hp, length=hp.l_max, beam=3, alpha=0.6)
    ids = np.asarray(found.sequences)[0, 0][: int(np.asarray(found.lengths)[0, 0])]
    assert translate(encoder_decoder, ["And God"], beam=3) == [tokenizer.decode(ids).strip()]


def test_no_lines(encoder_decoder):
    assert translate(encoder_decoder, []) == []
    assert translate(encoder_decoder, ["", " \t"]) == ["", ""]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A" * 16, "line 2 has 16 tokens, and with eos_token more than l_max = 16: give it in shorter lines"),
        ("日", "line 2: the character '日' (U+65E5) at position 0 is not among the "),
    ],
)
def test_a_line_that_cannot_be_translated_is_named(encoder_decoder, line, message):
    with pytest.raises(ValueError, match=r"^line 2") as caught:
        translate(encoder_decoder, ["And", line])
    assert str(caught.value).startswith(message)


# all of them


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_use_is_for_its_own_architecture(models, architecture):
    uses = {"decoder": generate, "encoder": fill, "encoder-decoder": translate}
    arguments = {"decoder": "In", "encoder": "In ____", "encoder-decoder": ["In"]}
    for own, use in uses.items():
        if own == architecture:
            continue
        with pytest.raises(TypeError, match="is for models of the ") as caught:
            use(models[architecture][1], arguments[own])
        assert str(caught.value) == (
            f"{use.__name__} is for models of the {own}; this is one of the {architecture}, for "
            f"{uses[architecture].__name__}"
        )
        with pytest.raises(TypeError, match=r"^.* model is of type str, expected Model, as load_model gives it$"):
            use("model", arguments[own])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_sample_says_something_of_held_out_text(models, architecture):
    directory, model = models[architecture]
    data = reopen(settings(architecture), directory)
    text = sample(model, data, 1)
    assert text == sample(model, data, 1)
    assert "\n" not in text
    if architecture == "decoder":
        assert text == "".join(generate(model, tokens=16, temperature=0.8, seed=1)).replace("\n", " ")
    if architecture == "encoder":
        assert " ____ " in text
        assert text.count("%") == 3
        assert "<unknown>" not in text.partition("→")[2].rpartition("(")[0]
    if architecture == "encoder-decoder":
        source, _, target = text.partition(" → ")
        assert target.strip() == translate(model, [source], beam=1)[0].strip()
