"""A decoder with other ways to attend: its losses by position, and what the command says of them."""

import json
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from formal_tx import d_transformer
from formal_tx.cli import app
from formal_tx.data import corpus
from formal_tx.models import load
from formal_tx.models.context import METHODS, Settings, bands, compare, losses_by_position, measure, texts_of
from formal_tx.models.model import Model
from tests.models import tiny, weights

NEAR = Settings(window=7, first=2)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return load(tiny.make(tmp_path_factory.mktemp("llama"), tiny.LLAMA | {"max_position_embeddings": 32}))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 11, (3, 20)).astype(np.int32)


@pytest.fixture(scope="module")
def losses(decoder, x):
    """The losses (ℓ - 1,) that a method has, measured once."""

    @cache
    def of(name, settings):
        return measure(decoder, x, name, settings).losses

    return of


def expected(model, x):
    """The losses, from the probabilities of Algorithm 10."""
    P = d_transformer(x, model.params, model.hyperparameters)
    return -np.log(np.take_along_axis(np.asarray(P)[:, :-1], x[:, 1:, None], axis=-1))[..., 0]


def test_dense_is_the_model_itself(decoder, x, losses):
    np.testing.assert_allclose(losses("dense", NEAR), expected(decoder, x).mean(axis=0), rtol=1e-5)


def test_a_window_is_that_of_the_hyperparameters(decoder, x, losses):
    windows = replace(decoder.hyperparameters, windows=(7,))
    by_hyperparameters = expected(replace(decoder, hyperparameters=windows), x).mean(axis=0)
    np.testing.assert_allclose(losses("window", NEAR), by_hyperparameters, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "dense"])
def test_within_the_window_all_methods_are_the_dense_one(losses, name):
    np.testing.assert_allclose(losses(name, Settings(window=20, first=3)), losses("dense", NEAR), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "dense"])
def test_before_anything_is_forgotten_all_methods_are_the_dense_one_and_then_they_differ(losses, name):
    dense, found = losses("dense", NEAR), losses(name, NEAR)
    np.testing.assert_allclose(found[:6], dense[:6], rtol=1e-5)
    assert abs(found - dense).max() > 1e-3


def test_the_logits_are_made_for_some_positions_at_a_time(decoder, monkeypatch):
    x = jnp.asarray(np.random.default_rng(1).integers(0, 11, (2, 37)))
    whole, parts = [], []
    for size, found in ((256, whole), (5, parts)):
        monkeypatch.setattr("formal_tx.models.context._POSITIONS", size)
        attend = METHODS["dense"].attend(decoder.hyperparameters, decoder.params, NEAR)
        found.append(losses_by_position(x, decoder.params, decoder.hyperparameters, attend))
    np.testing.assert_allclose(whole, parts, rtol=1e-5)
    assert whole[0].shape == (2, 36)


def test_what_is_kept_grows_with_the_text_only_where_all_is_seen(decoder):
    sizes = {name: [method.keeps(l, NEAR) for l in (5, 100, 10_000)] for name, method in METHODS.items()}
    assert sizes == {
        "dense": [5, 100, 10_000],
        "window": [5, 7, 7],
        "lm_infinite": [5, 9, 9],
        "streaming_llm": [5, 9, 9],
    }
    hp = decoder.hyperparameters
    told = []
    found = compare(decoder, np.zeros((1, 20), np.int32), ["dense", "window"], NEAR, told.append)
    a_token = 4 * hp.L * hp.key_value_heads * (hp.d_attn + hp.d_mid)
    assert {name: one.kept // a_token for name, one in found.items()} == {"dense": 20, "window": 7}
    assert told == ["dense", "window"]


def test_bands_cover_all_positions_once():
    losses = np.arange(300.0)
    found = bands(losses)
    assert [(a, b) for a, b, _ in found] == [(0, 64), (64, 128), (128, 256), (256, 300)]
    assert sum((b - a) * loss for a, b, loss in found) == losses.sum()


# Bad input.


def test_a_table_of_positions_ends_somewhere(tmp_path):
    model = load(tiny.make(tmp_path / "gpt2", tiny.GPT2))
    with pytest.raises(ValueError, match=r"texts of 9 tokens, and the model adds positions from a table of 8"):
        measure(model, np.zeros((1, 9), np.int32), "dense", NEAR)
    with pytest.raises(ValueError, match=r"position"):
        measure(model, np.zeros((1, 8), np.int32), "lm_infinite", NEAR)


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        ({}, "window_attention", "method is 'window_attention', expected one of dense, window, lm_infinite"),
        ({"x": np.zeros((0, 5), np.int32)}, "dense", r"texts have shape \(0, 5\), expected \(n, ℓ\)"),
        ({"x": np.zeros((2, 1), np.int32)}, "dense", r"texts have shape \(2, 1\)"),
        ({"x": np.zeros(5, np.int32)}, "dense", r"texts have shape \(5,\)"),
    ],
)
def test_what_is_asked_for_is_checked(decoder, x, change, name, message):
    with pytest.raises(ValueError, match=message):
        measure(decoder, change.get("x", x), name, NEAR)


def test_an_encoder_reads_both_ways(x):
    from formal_tx import ETransformerHyperparameters, init_e_transformer

    hp = ETransformerHyperparameters(l_max=20, L=1, H=1, d_e=4, d_mlp=4, N_V=11)
    encoder = Model("encoder", hp, init_e_transformer(jax.random.key(0), hp))
    with pytest.raises(ValueError, match="the architecture is 'encoder', expected 'decoder'"):
        measure(encoder, x, "dense", NEAR)


@pytest.mark.parametrize(("window", "first"), [(0, 1), (-1, 1), (4, -1), (1.5, 0), (True, 0)])
def test_settings_are_counts(window, first):
    with pytest.raises((ValueError, TypeError), match=r"context: (window|first) is"):
        Settings(window, first)


def test_a_text_is_long_enough_and_its_tokenizer_there(decoder):
    with pytest.raises(ValueError, match="the model has no tokenizer"):
        texts_of(decoder, "a text", None, 1)
    model = load(weights.path("glassllm"))
    with pytest.raises(ValueError, match=r"the text has \d+ tokens, expected at least 1000"):
        texts_of(model, "a text", 1000, 1)
    with pytest.raises(ValueError, match="length is 0"):
        texts_of(model, "a text", 0, 1)
    text = "It was the best of times, it was the worst of times. " * 8
    found = texts_of(model, text, 7, 3)
    np.testing.assert_array_equal(found.ravel(), model.tokenizer.encode(text)[:21])


# The command.


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book that nobody was trained on, in a file."""
    path = tmp_path_factory.mktemp("text") / "job.txt"
    path.write_text(corpus.english("test")[:6000], "utf-8")
    return path


def context(*arguments):
    return CliRunner().invoke(app, ["context", *map(str, arguments)])


def test_the_command_says_what_was_measured(book, tmp_path):
    """Real weights, trained with 128 tokens at a time."""
    picture = tmp_path / "it.svg"
    options = ("--data", book, "--length", 512, "--texts", 2, "--window", 96, "--first", 4)
    result = context(weights.path("glassllm"), *options, "--json", "--out", picture)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["texts"], found["length"], found["window"], found["first"]) == (2, 512, 96, 4)
    assert list(found["methods"]) == list(METHODS)
    for name, one in found["methods"].items():
        assert [(b["from"], b["to"]) for b in one["bands"]] == [(0, 64), (64, 128), (128, 256), (256, 511)]
        assert one["seconds_per_token"] > 0
        assert one["temporary_bytes"] > 0
        kept = {"dense": 512, "window": 96}.get(name, 100)
        assert one["cache_bytes"] == kept * 4 * 4 * 2 * (32 + 32)  # bytes, layers, heads, features
        assert one["loss"] == pytest.approx(sum(b["loss"] * (b["to"] - b["from"]) for b in one["bands"]) / 511)
    last = {name: one["bands"][-1]["loss"] for name, one in found["methods"].items()}
    assert last["dense"] > max(last["lm_infinite"], last["streaming_llm"]) + 0.3  # beyond what it was trained with
    assert "<svg" in picture.read_text("utf-8")


def test_the_command_prints_a_table(book):
    result = context(
        weights.path("glassllm"), "--data", book, "--length", 80, "--method", "window", "--method", "dense"
    )
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("4 × 80 tokens of ")
    assert "window dense" in lines[1]
    assert any(line.startswith("64 to 78 ") for line in lines)
    assert any(line.startswith("MB of keys and values to go on with ") for line in lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "streaming"), "expected one of dense, window, lm_infinite, streaming_llm"),
        (("--length", 100_000), "expected at least 100000"),
    ],
)
def test_the_command_says_what_it_cannot_do(book, options, message):
    result = context(weights.path("glassllm"), "--data", book, *options)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
