"""A configuration from a preset, a file and options: which wins, what is refused, and by what message."""

import dataclasses
import math
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.practice import POLICIES
from formal_tx.runs.configuration import (
    HYPERPARAMETERS,
    MAY_CHANGE,
    PRESETS,
    SCHEDULES,
    TOKENIZERS,
    Configuration,
    configured,
    differences,
)

DECODER = {"architecture": "decoder", "L": 2}
OTHERS = {"encoder": {"N_V": 64}, "encoder-decoder": {}}


@pytest.mark.parametrize("architecture", HYPERPARAMETERS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_configuration(architecture, preset):
    c = configured(architecture, preset)
    entries = tomllib.loads(files("formal_tx.runs").joinpath(f"presets/{architecture}-{preset}.toml").read_text())
    assert {name: getattr(c, name) for name in entries} == entries
    assert type(c.hyperparameters(c.N_V or 100)) is HYPERPARAMETERS[architecture]
    assert c.hyperparameters(123).N_V == 123


def test_options_replace_the_file_which_replaces_the_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('d_e = 64\nsteps = 7\nwarmup = 2\nschedule = "constant"\n')
    preset = configured("decoder", "small")
    c = configured("decoder", "small", file, {"steps": 9})
    assert (c.L, c.N_V, c.dropout) == (preset.L, preset.N_V, preset.dropout)
    assert (c.d_e, c.schedule, c.warmup) == (64, "constant", 2)
    assert c.steps == 9


def test_the_preset_is_an_arguments_then_the_files_then_tiny(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "small"\n')
    assert configured("decoder", None, file) == configured("decoder", "small")
    assert configured("decoder", "base", file) == configured("decoder", "base")
    assert configured("decoder") == configured("decoder", "tiny")


def test_another_tokenizer_drops_the_presets_vocabulary_but_not_a_users():
    assert configured("decoder", "small", options={"tokenizer": "bytes"}).N_V is None
    with pytest.raises(ValueError, match=r"^N_V is 300, but the vocabulary of the tokenizer bytes follows from the te"):
        configured("decoder", "small", options={"tokenizer": "bytes", "N_V": 300})


def test_text_stands_for_numbers_as_options_have_it():
    c = configured("decoder", options={"steps": "500", "learning_rate": "3e-4", "tied_embeddings": "TRUE", "clip": 2})
    assert (c.steps, c.learning_rate, c.tied_embeddings, c.clip) == (500, 3e-4, True, 2.0)
    assert isinstance(c.clip, float)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stepz", 3, "option: there is no entry stepz; did you mean steps?"),
        ("warmup_steps", 3, "option: there is no entry warmup_steps; did you mean warmup?"),
        ("qqq", 3, "option: there is no entry qqq"),
        ("steps", 1.5, "option: steps is 1.5, expected int"),
        ("steps", "1.5", "option: steps is '1.5', expected int"),
        ("steps", True, "option: steps is True, expected int"),
        ("steps", None, "option: steps is None, expected int"),
        ("N_V", "many", "option: N_V is 'many', expected int or nothing"),
        ("dropout", "little", "option: dropout is 'little', expected float"),
        ("dropout", [0.1], "option: dropout is [0.1], expected float"),
        ("tied_embeddings", 1, "option: tied_embeddings is 1, expected bool"),
        ("schedule", 3, "option: schedule is 3, expected str"),
    ],
)
def test_names_and_types(name, value, message):
    with pytest.raises(ValueError, match=r"^option: ") as caught:
        configured("decoder", options={name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"steps = ", "is not TOML: Invalid value (at end of document)"),
        (b"steps = 3\nsteps = 4\n", "is not TOML: Cannot overwrite a value (at line 2, column 10)"),
        (b"# caf\xe9\n", "is not UTF-8 text: byte 5"),
        (b'd_e = "wide"\n', ": d_e is 'wide', expected int"),
        (b"lr = 0.1\n", ": there is no entry lr"),
        (b"[training]\nsteps = 3\n", ": there is no entry training"),
    ],
)
def test_files(tmp_path, content, message):
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.toml") as caught:
        configured("decoder", file=file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


def test_no_such_file_architecture_or_preset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        configured("decoder", file=tmp_path / "none.toml")
    with pytest.raises(
        ValueError, match=r"^architecture is 'transformer', expected one of decoder, encoder, encoder-d"
    ):
        configured("transformer")
    with pytest.raises(ValueError, match=r"^preset is 'huge', expected one of tiny, small, base$"):
        configured("decoder", "huge")


POSITIVE = {"H", "d_e", "d_mlp", "steps", "batch_size", "accumulate", "evaluate_batches", "log_every", "keep"}
COUNTS = {"seed", "warmup", "evaluate_every", "checkpoint_every", "sample_every", "patience"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        *(({name: 0}, f"{name} is 0, expected an integer of at least 1") for name in sorted(POSITIVE)),
        *(({name: -1}, f"{name} is -1, expected an integer of at least 0") for name in sorted(COUNTS)),
        *(({name: 1.0}, f"{name} is 1.0, expected a number in [0, 1)") for name in ("b1", "b2", "ema", "dropout")),
        ({"dropout": math.nan}, "dropout is nan, expected a number in [0, 1)"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1, expected a number in [0, 1)"),
        ({"held_out": 0.0}, "held_out is 0.0, expected a number inside (0, 1)"),
        ({"held_out": 1.0}, "held_out is 1.0, expected a number inside (0, 1)"),
        ({"final": 1.5}, "final is 1.5, expected a number in [0, 1]"),
        ({"weight_decay": math.inf}, "weight_decay is inf, expected a number of at least 0"),
        ({"clip": -1.0}, "clip is -1.0, expected a number of at least 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected a number greater than 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan, expected a number greater than 0"),
        ({"tokenizer": "letters"}, f"tokenizer is 'letters', expected one of {', '.join(TOKENIZERS)}"),
        ({"schedule": "linear"}, f"schedule is 'linear', expected one of {', '.join(SCHEDULES)}"),
        ({"dtype": "float64"}, "dtype is 'float64', expected one of float32, bfloat16, float16"),
        ({"remat": "all"}, f"remat is 'all', expected one of None, {', '.join(POLICIES)}"),
        ({"L": None}, "L is None, expected an integer of at least 1"),
        ({"L_enc": 2}, "L_enc is 2, which has no meaning for the architecture decoder"),
        ({"masking": "bert"}, "masking is 'bert', which has no meaning for the architecture decoder"),
        ({"d_f": 8}, "d_f is 8, which has no meaning for the architecture decoder"),
        ({"accumulate": 3}, "accumulate is 3, which does not divide batch_size = 8"),
        ({"warmup": 1000}, "warmup is 1000, which leaves no step of steps = 1000 for the cosine"),
        ({"N_V": 64}, "N_V is 64, but the vocabulary of the tokenizer characters follows from the text: leave N_V out"),
        ({"tokenizer": "bpe"}, "N_V is None, expected a vocabulary of at least 5 for the tokenizer bpe"),
        ({"patience": 3, "evaluate_every": 0}, "patience is 3, but evaluate_every = 0 brings no loss to wait for"),
        ({"l_max": 1}, "l_max is 1, expected at least 2: a token to see and a token to guess"),
        ({"architecture": "encoder", "tokenizer": "words", "N_V": 3}, "N_V is 3, expected a vocabulary of at least 5"),
        ({"architecture": "encoder", "mask_probability": 1.0}, "mask_probability is 1.0, expected a number inside (0"),
        ({"architecture": "encoder", "masking": "all"}, "masking is 'all', expected one of printed, bert"),
        ({"architecture": "gpt"}, "architecture is 'gpt', expected one of decoder, encoder, encoder-decoder"),
    ],
)
def test_values_and_contradictions(entries, message):
    with pytest.raises(ValueError, match=" is ") as caught:
        Configuration(**{**DECODER, **entries})
    assert str(caught.value).startswith(message)


def test_what_does_not_fit_together_in_the_model_is_said_by_the_model():
    with pytest.raises(ValueError, match="d_e") as caught:
        configured("decoder", options={"d_e": 30, "H": 4})
    assert "30" in str(caught.value)
    assert "4" in str(caught.value)


@pytest.mark.parametrize("architecture", HYPERPARAMETERS)
@given(data=st.data())
def test_what_is_written_is_read_back(architecture, data):
    options = {
        "steps": data.draw(st.integers(200, 10**6)),
        "learning_rate": data.draw(st.floats(1e-300, 1e300)),
        "dropout": data.draw(st.floats(0, 1, exclude_max=True)),
        "remat": data.draw(st.sampled_from((None, *POLICIES))),
        "tied_embeddings": data.draw(st.booleans()),
        "warmup": data.draw(st.integers(0, 199)),
    }
    c = configured(architecture, options=options)
    written = c.as_dict()
    assert configured(written.pop("architecture"), options=written) == c


def test_entries_of_other_architectures_are_not_written():
    assert {"L_enc", "d_f", "masking"}.isdisjoint(configured("decoder").as_dict())
    assert {"L", "d_f", "masking"}.isdisjoint(configured("encoder-decoder").as_dict())
    assert {"L", "d_f", "masking", "mask_probability"} <= configured("encoder").as_dict().keys()


def test_differences_name_what_a_run_cannot_change():
    c = configured("decoder")
    free = {name: getattr(c, name) + 1 for name in MAY_CHANGE}
    assert differences(c, dataclasses.replace(c, **free)) == []
    assert differences(c, dataclasses.replace(c, steps=c.steps + 1, dropout=0.5)) == [
        f"steps: {c.steps} before, {c.steps + 1} now",
        "dropout: 0.0 before, 0.5 now",
    ]
