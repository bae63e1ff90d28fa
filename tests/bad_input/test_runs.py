"""Everything that a person can get wrong with `formal-tx`, and the sentence that says what it was.

`main` turns an exception into "formal-tx: Type: message" and exit status 2; here its message is read.
"""

import io
import json
import shutil
import sys

import pytest
from typer.testing import CliRunner

from formal_tx.cli import app
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from tests.runs import running
from tests.runs.conftest import as_users_have_it, models, sources  # noqa: F401  # fixtures

pytestmark = pytest.mark.usefixtures("as_users_have_it")

runner = CliRunner()
SETTINGS = {name: running.command(name, "OUT", running.Sources(("-",)))[9:] for name in running.ARCHITECTURES}


def refused(error, *arguments, **options):
    """The message of the error with which a command ends, before it has printed anything."""
    result = runner.invoke(app, [str(argument) for argument in arguments], **options)
    assert type(result.exception) is error, (result.output, result.exception)
    assert result.stdout == ""
    return str(result.exception)


@pytest.fixture
def train(tmp_path):
    """Trains on a file of some content; no model must come of it. Gives the message."""

    def trained(error, name, content, architecture="decoder", more=()):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = tmp_path / "out"
        command = ("train", architecture, "--data", file, "--out", out, *SETTINGS[architecture], *more)
        message = refused(error, *command)
        assert not (out / "run.json").exists()
        assert not (out / "model.safetensors").exists()
        return message.replace(str(tmp_path), "…")

    return trained


ARCHITECTURES = pytest.mark.parametrize("architecture", running.ARCHITECTURES)

# the text


@ARCHITECTURES
def test_empty_file(train, architecture):
    assert train(ValueError, "text", b"", architecture) == "…/text is empty"
    assert train(ValueError, "text", b"\n\r\n\n", architecture) == "…/text has nothing but white space"


@ARCHITECTURES
def test_no_such_file(train, architecture):
    assert train(FileNotFoundError, "none.txt", None, architecture) == "…/none.txt: there is no such file"


@ARCHITECTURES
def test_another_encoding(train, architecture):
    content = "Adán\tAdam\n" * 20
    message = train(ValueError, "text", content.encode("latin-1"), architecture)
    assert message == (
        "…/text, line 1: byte 2 (0xE1) is not UTF-8; if the file is in Latin-1, convert it with "
        "`iconv -f LATIN1 -t UTF-8`"
    )
    message = train(ValueError, "text", content.encode("utf-16"), architecture)
    assert message.startswith("…/text is UTF-16 (it begins with the bytes FF FE), expected UTF-8; convert it with ")


@ARCHITECTURES
def test_binary(train, architecture):
    message = train(ValueError, "text", b"\x89PNG"[1:] + b"\0\0\0" * 100, architecture)
    assert message == "…/text: byte 3 is NUL, so this is a binary file, expected text in UTF-8"


def test_a_line_of_50_mb_of_pairs_or_json(train):
    line = b"x" * 50_000_000
    assert train(ValueError, "text.tsv", line, "encoder-decoder") == "…/text.tsv, line 1 is longer than 16 MiB"
    assert (
        train(ValueError, "text.jsonl", b'{"text": "' + line, "decoder") == "…/text.jsonl, line 1 is longer than 16 MiB"
    )


@pytest.mark.slow
def test_a_line_of_50_mb_of_text_is_text(tmp_path):
    verse = corpus.english()[:10_000].replace("\n", " ")
    (tmp_path / "text.txt").write_text(verse * 5000, "utf-8")
    arguments = ["train", "decoder", "--data", tmp_path / "text.txt", "--out", tmp_path / "out", *SETTINGS["decoder"]]
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "characters 47,500,000" in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("one\ttwo\tthree", "…/pairs.tsv, line 3 has 3 columns, expected 2: source, tab, target"),
        ("one", "…/pairs.tsv, line 3 has 1 column, expected 2: source, tab, target"),
        ("one\t", "…/pairs.tsv, line 3: the target is empty, expected text on both sides"),
        (" \ttwo", "…/pairs.tsv, line 3: the source is empty, expected text on both sides"),
    ],
)
def test_pairs(train, line, message):
    assert train(ValueError, "pairs.tsv", f"a\tb\nc\td\n{line}\ne\tf\n", "encoder-decoder") == message


def test_pairs_for_a_decoder_and_text_for_an_encoder_decoder(train):
    message = train(ValueError, "pairs.tsv", "a\tb\n" * 20)
    assert message == "…/pairs.tsv holds pairs, expected text or JSON lines; say format='text' to read it as text"
    message = train(ValueError, "text.txt", "In the beginning\n", "encoder-decoder")
    assert message == "…/text.txt, line 1 has 1 column, expected 2: source, tab, target"


@pytest.mark.parametrize(("characters", "tokens"), [(9, 10), (14, 15)])
def test_text_shorter_than_the_context(train, characters, tokens):
    """One of the characters is held out, and there are bos_token and eos_token."""
    message = train(ValueError, "text.txt", "abcdefghijklmnop"[:characters])
    assert (
        message == f"the text has {tokens} tokens, fewer than one window of 16; give more text, or make l_max smaller"
    )


def test_held_out_text_may_be_shorter_than_the_context(tmp_path):
    (tmp_path / "text.txt").write_text("In the beginning")
    out = tmp_path / "out"
    command = ["train", "decoder", "--data", tmp_path / "text.txt", "--out", out, *SETTINGS["decoder"]]
    result = runner.invoke(app, [str(argument) for argument in command])
    assert result.exit_code == 0, result.output


def test_one_pair_cannot_be_divided(train):
    message = train(ValueError, "pairs.tsv", "a\tb\n", "encoder-decoder")
    assert message == "there are too few pairs (1) to hold some of them out: give more, or files to hold out by name"


def test_too_little_text_to_hold_any_out(train):
    message = train(ValueError, "text.txt", "a")
    assert (
        message == "there are too few characters (1) to hold some of them out: give more, or files to hold out by name"
    )


def test_pairs_that_are_all_too_long(train):
    message = train(ValueError, "pairs.tsv", f"{'a' * 20}\tb\n" * 20, "encoder-decoder")
    assert message == "train: each of the 19 pairs has more than l_max = 16 tokens on a side"


def test_held_out_text_with_characters_that_the_rest_has_not(train, tmp_path):
    (tmp_path / "held.txt").write_text("abc日" * 10)
    message = train(ValueError, "text.txt", "abc " * 50, more=("--held-out", tmp_path / "held.txt"))
    assert message.startswith("document 1: the character '日' (U+65E5) at position 3 is not among the 4 of this ")


def test_a_vocabulary_that_the_text_is_too_poor_for(train):
    message = train(ValueError, "text.txt", "a b c " * 50, "encoder")
    assert "64" in message
    assert "N_V" in message


def test_standard_input_without_text(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    message = refused(ValueError, "train", "decoder", "--data", "-", "--out", tmp_path / "out", *SETTINGS["decoder"])
    assert message == "standard input is empty"
    assert not (tmp_path / "out" / "standard_input").exists()


# options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "stepz=3"], "option: there is no entry stepz; did you mean steps?"),
        (["--set", "d_e=wide"], "option: d_e is 'wide', expected int"),
        (["--set", "d_e"], "--set d_e: expected NAME=VALUE, such as d_e=256"),
        (["--steps", "5", "--set", "steps=6"], "--set steps=6: steps is given twice, the other time as 5"),
        (["--steps", "0"], "steps is 0, expected an integer of at least 1"),
        (["--set", "masking=bert"], "masking is 'bert', which has no meaning for the architecture decoder"),
        (["--batch-size", "8", "--set", "accumulate=3"], "accumulate is 3, which does not divide batch_size = 8"),
        (["--steps", "10", "--set", "warmup=10"], "warmup is 10, which leaves no step of steps = 10 for the cosine"),
        (
            ["--tokenizer", "bytes", "--vocabulary-size", "300"],
            "N_V is 300, but the vocabulary of the tokenizer bytes follows from the text: leave N_V out",
        ),
        (
            ["--set", "patience=2", "--set", "evaluate_every=0"],
            "patience is 2, but evaluate_every = 0 brings no loss to wait for",
        ),
        (
            ["--held-out", "a.txt"],
            "there are files of held-out text, and none to train on: name both, or neither",
        ),
        (["a.txt"], "a.txt: expected an option; the files to train on come after --data"),
    ],
)
def test_options_that_are_wrong_or_contradict_each_other(tmp_path, arguments, message):
    assert refused(ValueError, "train", "decoder", "--out", tmp_path / "out", *arguments) == message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [["transformer"], ["decoder", "--preset", "huge"], ["decoder", "--steps", "many"], ["decoder", "--format", "docx"]],
)
def test_options_of_another_kind(arguments):
    result = runner.invoke(app, ["train", *arguments])
    assert result.exit_code == 2
    assert (arguments[-1] in result.stderr) or ("'--steps': Input should be a valid integer" in result.stderr)


def test_no_such_configuration(tmp_path):
    message = refused(FileNotFoundError, "train", "decoder", "--out", tmp_path / "o", "--config", tmp_path / "c.toml")
    assert str(tmp_path / "c.toml") in message


# the directory


@pytest.mark.parametrize("inside", ["", "/below"])
def test_out_is_a_file_or_below_one(tmp_path, inside):
    (tmp_path / "out").write_text("")
    out = f"{tmp_path / 'out'}{inside}"
    message = refused(OSError, "train", "decoder", "--out", out, *SETTINGS["decoder"])
    assert message.startswith(f"{out} cannot be written to: ")


def test_out_holds_a_run_already(models):  # noqa: F811
    directory, _ = models["decoder"]
    message = refused(FileExistsError, "train", "decoder", "--out", directory, *SETTINGS["decoder"])
    assert message == f"{directory} holds a training run: --resume goes on with it, another --out begins a new one"


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "run.json is broken: "), ("[]", "run.json is not of format 1, which is what this formal-tx reads")],
)
def test_a_run_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "run.json").write_text(content)
    found = refused(ValueError, "train", "decoder", "--out", tmp_path, "--resume")
    assert found.startswith(f"{tmp_path}/{message}")


# a model

USES = {
    "decoder": ["generate", "MODEL", "--prompt", "In"],
    "encoder": ["fill", "MODEL", "in the ____"],
    "encoder-decoder": ["translate", "MODEL"],
}


def use(architecture, directory):
    return [directory if argument == "MODEL" else argument for argument in USES[architecture]]


@pytest.fixture
def spoilt(models, tmp_path):  # noqa: F811
    """The three files of a model, to be spoilt."""

    def copied(architecture):
        directory = tmp_path / architecture
        directory.mkdir()
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            shutil.copy(models[architecture][0] / name, directory)
        return directory

    return copied


@ARCHITECTURES
def test_no_model(tmp_path, architecture):
    message = refused(NotADirectoryError, *use(architecture, tmp_path / "none"), input="In")
    assert message == f"{tmp_path}/none does not exist, expected the directory of a trained model"


@ARCHITECTURES
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_of_the_model_is_missing_or_altered(spoilt, architecture, name):
    directory = spoilt(architecture)
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(content[:-2])
    message = refused(ValueError, *use(architecture, directory), input="In")
    assert message.startswith(f"{directory / name}")
    assert ("expected JSON" if name == "config.json" else "has been altered, or belongs to another model") in message
    (directory / name).unlink()
    message = refused(FileNotFoundError, *use(architecture, directory), input="In")
    assert message.startswith(f"{directory} has no {name}, which a trained model needs; `formal-tx train … --out ")


def test_a_tokenizer_of_another_vocabulary(spoilt):
    directory = spoilt("decoder")
    Tokenizer.train("bytes", ["text"]).save(directory / "tokenizer.json")
    message = refused(ValueError, *use("decoder", directory))
    assert message.startswith(f"{directory}/tokenizer.json has been altered, or belongs to another model")
    config = json.loads((directory / "config.json").read_text())
    config["files"]["tokenizer.json"] = running.sha256(directory / "tokenizer.json")
    (directory / "config.json").write_text(json.dumps(config))
    message = refused(ValueError, *use("decoder", directory))
    N_V = config["hyperparameters"]["N_V"]
    assert message == f"{directory}: the vocabulary of the tokenizer has 259 tokens, and that of the model {N_V}"


def test_characters_never_seen(models):  # noqa: F811
    directory, model = models["decoder"]
    message = refused(ValueError, "generate", directory, "--prompt", "In the 日")
    assert message == (
        f"the character '日' (U+65E5) at position 7 is not among the {model.tokenizer.N_V - 3} of this tokenizer"
    )
    directory, model = models["encoder-decoder"]
    message = refused(ValueError, "translate", directory, input="And\nGod 日\n")
    characters = model.tokenizer.N_V - 3
    assert (
        message == f"line 2: the character '日' (U+65E5) at position 4 is not among the {characters} of this tokenizer"
    )


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("decoder", ["generate", "--prompt", "x" * 16], "l_max"),
        ("decoder", ["generate", "--prompt", "In", "--tokens", "15"], "15"),
        (
            "decoder",
            ["generate", "--temperature", "0", "--top-k", "3"],
            "temperature is 0, which takes the most likely",
        ),
        ("decoder", ["generate", "--top-p", "2"], "top_p: p is 2.0, expected a number in (0, 1]"),
        ("decoder", ["generate", "--stop", ""], "a stop string is empty, expected text"),
        ("encoder", ["fill", "no blank"], "there is no blank in 'no blank': write ____ for the word to be guessed"),
        ("encoder", ["fill", "____ " + "a " * 16], "the text has 17 tokens, more than l_max = 16: give a shorter one"),
        ("encoder", ["fill", "____", "--top", "99"], "top is 99, expected 1 to 60, the ordinary tokens"),
        ("encoder-decoder", ["translate", "none.txt"], "none.txt"),
    ],
)
def test_what_a_model_cannot_do(models, architecture, arguments, message):  # noqa: F811
    command, *rest = arguments
    error = FileNotFoundError if "none.txt" in arguments else ValueError
    assert message in refused(error, command, models[architecture][0], *rest)


def test_lines_in_another_encoding(models, tmp_path):  # noqa: F811
    (tmp_path / "lines.txt").write_bytes("Adán".encode("latin-1"))
    message = refused(ValueError, "translate", models["encoder-decoder"][0], tmp_path / "lines.txt")
    assert message == f"{tmp_path / 'lines.txt'} is not UTF-8 text: byte 2"


@ARCHITECTURES
def test_a_model_of_another_architecture(models, architecture):  # noqa: F811
    for name in running.ARCHITECTURES:
        if name != architecture:
            message = refused(TypeError, *use(name, models[architecture][0]), input="In")
            assert f"is for models of the {name}; this is one of the {architecture}, for " in message


@ARCHITECTURES
def test_nothing_to_evaluate(models, tmp_path, architecture):  # noqa: F811
    (tmp_path / "text").write_text("")
    message = refused(ValueError, "evaluate", models[architecture][0], "--data", tmp_path / "text")
    assert message == f"{tmp_path / 'text'} is empty"
    message = refused(ValueError, "evaluate", models[architecture][0], "text")
    assert message == "text: expected an option; the files to measure on come after --data"


def test_nothing_to_tell_or_to_draw(tmp_path):
    for command, error in (("info", FileNotFoundError), ("plot", FileNotFoundError)):
        assert str(tmp_path) in refused(error, command, tmp_path)
    assert "does not exist" in refused(NotADirectoryError, "info", tmp_path / "none")
