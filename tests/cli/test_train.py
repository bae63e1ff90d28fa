"""`formal-tx train` as a person types it."""

import io
import json
import sys
from pathlib import Path

import jax
import pytest
from typer.testing import CliRunner

from formal_tx.cli import app
from formal_tx.cli.options import settings
from formal_tx.cli.train import going_on_command
from formal_tx.runs.model_directory import load_model
from tests.runs import running

pytestmark = pytest.mark.usefixtures("as_users_have_it", "wide")

runner = CliRunner()


def run(*arguments, **options):
    return runner.invoke(app, [str(argument) for argument in arguments], **options)


@pytest.fixture(scope="module")
def trained(as_users_have_it, sources, tmp_path_factory):
    """One run with what a person would type, and what it said."""
    directory = tmp_path_factory.mktemp("trained") / "model"
    command = running.command("decoder", directory, sources["decoder"], sample_every=6)[3:]
    return directory, runner.invoke(app, command)


def test_help_names_the_options_that_others_script_against():
    result = run("train", "--help")
    assert result.exit_code == 0
    options = "data out preset config steps batch-size seed checkpoint-every resume"
    for option in (f"--{name}" for name in options.split()):
        assert f"{option} " in result.stdout
    for word in ("decoder", "encoder-decoder", "Algorithm 13", "Ctrl-C"):
        assert word in result.stdout


def test_a_run_says_what_it_does_on_standard_error(trained):
    directory, result = trained
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert sorted(path.name for path in directory.iterdir() if not path.name.startswith(".")) == sorted(
        ["checkpoints", "config.json", "data", "log.jsonl", "model.safetensors", "run.json", "tokenizer.json"]
    )
    lines = result.stderr.splitlines()
    assert lines[0] == "reading the text, making the tokenizer"
    parameters = sum(W.size for W in jax.tree.leaves(load_model(directory).params))
    assert lines[1] == f"decoder of {parameters:,} parameters"
    assert lines[2].startswith("train: documents 1, tokens 19,002, characters 19,000, ")
    assert lines[3].startswith("held out: documents 1, tokens 1,002, characters 1,000, ")
    assert ", tokens per character 1, vocabulary " in lines[2]
    assert lines[2].endswith(", lengths 19,002 to 19,002 (median 19,002, longest 19,002)")
    assert lines[4].startswith("12 steps, ")
    assert lines[4].endswith(" epochs")
    evaluations = [line for line in lines if line.startswith("step ")]
    assert [line.split(":")[0] for line in evaluations] == ["step 4", "step 8", "step 12"]
    for part in ("loss ", "held-out loss ", "(perplexity ", " bits a character"):
        assert part in evaluations[0]
    assert lines[-2:] == [
        f"the model is in {directory}; to use it:",
        f'    formal-tx generate {directory} --prompt "In the beginning"',
    ]


def test_json_is_one_object_and_the_models_are_the_same(trained, tmp_path, arguments):
    result = run(*arguments("decoder", tmp_path / "again", "--json", sample_every=6))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["directory"] == str(tmp_path / "again")
    assert found["step"] == found["best_step"] == 12
    assert found["best"] == found["held_out_loss"]
    assert {"loss", "gradient_norm", "learning_rate", "tokens_per_second", "share_of_limit"} <= found.keys()
    assert running.outcome(tmp_path / "again") == running.outcome(trained[0])


def test_options_have_names_of_their_own_or_set(tmp_path, sources):
    (tmp_path / "mine.toml").write_text(
        'H = 2\nd_e = 8\nd_mlp = 16\nl_max = 16\nL = 1\nwarmup = 1\nschedule="constant"'
    )
    result = run(
        *("train", "decoder", "--data", sources["decoder"].files[0], "--out", tmp_path / "model", "--preset", "small"),
        *("--config", tmp_path / "mine.toml", "--steps", 2, "--batch-size", 4, "--learning-rate", 0.01, "--seed", 5),
        *("--tokenizer", "bpe", "--vocabulary-size", 270, "--checkpoint-every", 0, "--set", "clip=0.5"),
        *("--set", "remat=nothing_saveable", "--set", "evaluate_batches=1"),
    )
    assert result.exit_code == 0, result.output
    model = load_model(tmp_path / "model")
    training = model.configuration["training"]
    expected = {"steps": 2, "batch_size": 4, "learning_rate": 0.01, "seed": 5, "tokenizer": "bpe", "N_V": 270}
    expected |= {"checkpoint_every": 0, "clip": 0.5, "remat": "nothing_saveable", "d_e": 8, "tied_embeddings": True}
    assert {name: training[name] for name in expected} == expected
    assert model.tokenizer.N_V == 270


def test_resume_needs_no_settings_but_takes_no_others(trained, tmp_path):
    directory, _ = trained
    result = run("train", "decoder", "--out", directory, "--resume")
    assert result.exit_code == 0, result.output
    result = run("train", "decoder", "--out", directory, "--resume", "--steps", 13)
    assert "steps: 12 before, 13 now" in str(result.exception)
    result = run("train", "encoder", "--out", directory, "--resume")
    assert str(result.exception) == f"{directory} holds a run of the architecture decoder, not encoder"


def test_standard_input(tmp_path, arguments, sources, trained, monkeypatch):
    text = Path(sources["decoder"].files[0]).read_bytes()
    command = arguments("decoder", tmp_path / "model", sample_every=6)
    command[command.index(sources["decoder"].files[0])] = "-"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    result = run(*command, input=text)
    assert result.exit_code == 0, result.output
    found, expected = running.outcome(tmp_path / "model"), running.outcome(trained[0])
    assert found == expected
    resumed = run("train", "decoder", "--out", tmp_path / "model", "--resume")  # with nothing on standard input
    assert resumed.exit_code == 0, resumed.output


def test_what_goes_on_with_a_run():
    begun = ["train", "decoder", "--out", "my model", "--set", "d_e=8"]
    assert going_on_command(begun) == "formal-tx train decoder --out 'my model' --set d_e=8 --resume"
    assert going_on_command([*begun, "--resume"]) == "formal-tx train decoder --out 'my model' --set d_e=8 --resume"


def test_assignments():
    assert settings(["d_e=8", "remat=none", "x=a=b"], steps=3, seed=None) == {
        "d_e": "8",
        "remat": None,
        "x": "a=b",
        "steps": 3,
    }
    for assignment, message in {
        "d_e": "--set d_e: expected NAME=VALUE, such as d_e=256",
        "=3": "--set =3: expected NAME=VALUE, such as d_e=256",
        "steps=4": "--set steps=4: steps is given twice, the other time as 3",
    }.items():
        with pytest.raises(ValueError, match=r"^--set ") as caught:
            settings([assignment], steps=3)
        assert str(caught.value) == message
