"""`formal-tx run`: published models used, on a small Llama in a GGUF file and a small encoder."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from formal_tx.cli import app
from formal_tx.models import load
from formal_tx.models.generate import chat, complete
from tests.models.gguf_writing import small_llama

pytestmark = pytest.mark.usefixtures("as_users_have_it", "wide")

command = importlib.import_module("formal_tx.cli.run")  # `formal_tx.cli.run` is the function of the same name
runner = CliRunner()
GREEDY = ("--temperature", 0, "--max-tokens", 6)


def run(*arguments, **options):
    return runner.invoke(app, ["run", *map(str, arguments)], **options)


def said(*arguments, **options):
    """Standard output of a command that went well."""
    result = run(*arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return small_llama(tmp_path_factory.mktemp("models") / "x.gguf")


@pytest.fixture(scope="module")
def model(path):
    return load(path)


def greedy(pieces):
    return "".join(pieces)


def test_help_explains_every_option():
    text = said("--help")
    options = "--prompt --system --no-chat --max-tokens --temperature --top-k --top-p --stop --seed --dtype --json"
    others = "--sentences --audio --timestamps --language --into-english --image --repetition-penalty"
    for option in [*options.split(), *others.split()]:
        assert option in text


def test_an_answer_and_a_continuation(path, model):
    answer = greedy(chat(model, [{"role": "user", "content": "ab"}], tokens=6, temperature=0))
    assert said(path, "--prompt", "ab", *GREEDY) == f"{answer}\n"
    told = [{"role": "system", "content": "c"}, {"role": "user", "content": "ab"}]
    answer = greedy(chat(model, told, tokens=6, temperature=0))
    assert said(path, "--prompt", "ab", "--system", "c", *GREEDY) == f"{answer}\n"
    continued = greedy(complete(model, "ab", tokens=6, temperature=0))
    assert said(path, "--prompt", "ab", "--no-chat", *GREEDY) == f"ab{continued}\n"
    assert said(path, "--no-chat", *GREEDY, input="ab") == f"ab{continued}\n"


def test_json(path, model):
    options = {"temperature": 1.5, "top_k": 7, "top_p": 0.9, "repetition_penalty": 1.2, "seed": 3}
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    found = json.loads(said(path, "--prompt", "ab", "--no-chat", "--json", "--max-tokens=5", "--stop=2", *named))
    text = greedy(complete(model, "ab", tokens=5, stop=("2",), **options))
    assert found.pop("seconds") > 0
    assert found == {"prompt": "ab", "chat": False, "text": text, "tokens": 5, "stop": ["2"], **options}


def test_a_conversation_remembers(path, model, monkeypatch, capsys):
    """As on a terminal, where lines are asked for one by one."""
    lines = iter(["ab", "c", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    monkeypatch.setattr(command, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    asked = command.Asked(drawing={"tokens": 3, "temperature": 0})
    command.text(model, asked)
    conversation = [{"role": "user", "content": "ab"}]
    expected = []
    for line in ("c", None):
        expected.append(greedy(chat(model, conversation, tokens=3, temperature=0)))
        conversation += [{"role": "assistant", "content": expected[-1]}, {"role": "user", "content": line}]
    assert capsys.readouterr().out == "".join(f"{answer}\n" for answer in expected)


def test_text_is_printed_as_it_is_drawn(monkeypatch):
    printed = []
    monkeypatch.setattr("builtins.print", lambda *text, **options: printed.append((*text, options.get("flush"))))

    def pieces():
        yield "a"
        assert printed == [("a", True)]
        yield "b"

    assert command._print(pieces()) == "ab"


def test_an_encoder_embeds(tmp_path, monkeypatch):
    vectors = np.array([[1.0, 0.0], [0.6, 0.8]])
    monkeypatch.setattr("formal_tx.models.sentences.embed_sentences", lambda model, sentences: vectors)
    model = SimpleNamespace(family="bert", architecture="encoder")
    assert command.use_of(model) is command.embed
    with pytest.raises(ValueError, match="give it sentences with --sentences"):
        command.embed(model, command.Asked())
    printed = []
    monkeypatch.setattr(command.output, "print", lambda text, **options: printed.append(text))
    command.embed(model, command.Asked(sentences=("a", "b")))
    assert printed == ["  1   1.000   0.600  a", "  2   0.600   1.000  b"]


def test_models_without_a_use():
    with pytest.raises(ValueError, match="there is no use for models of t5 here"):
        command.use_of(SimpleNamespace(family="t5", architecture="encoder-decoder"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: there is no such file or directory"),
        (["{path}", "--prompt", "ab" * 40, "--no-chat"], "the prompt has 40 tokens, and the model reads no more than"),
        (["{path}", "--prompt", "", "--no-chat", "--top-p", "2"], "top_p: p is 2.0"),
        (["{path}", "--prompt", "a", "--stop", ""], "a stop string is empty"),
        (["{path}", "--prompt", "a", "--temperature", 0, "--top-k", 3], "temperature is 0"),
    ],
)
def test_what_goes_wrong(path, arguments, message):
    result = run(*(str(argument).format(path=path) for argument in arguments))
    assert result.exit_code != 0
    assert message in str(result.exception)
