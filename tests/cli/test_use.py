"""The commands that use a model, as a person types them: generate, translate, fill, evaluate, info, plot."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from typer.testing import CliRunner

from formal_tx.cli import app, compilation_cache
from formal_tx.runs.filling import fill
from formal_tx.runs.generation import generate
from formal_tx.runs.translation import translate
from tests.runs.running import ARCHITECTURES, environment

pytestmark = pytest.mark.usefixtures("as_users_have_it", "wide")

runner = CliRunner()


def run(*arguments, **options):
    return runner.invoke(app, [str(argument) for argument in arguments], **options)


def said(*arguments, **options):
    """Standard output of a command that went well."""
    result = run(*arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def places(models):
    return {name: directory for name, (directory, _) in models.items()}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "generate",
            "--prompt --tokens --temperature --top-k --top-p --min-p --repetition-penalty --stop --seed --json",
        ),
        ("translate", "--beam --alpha --batch-size --json"),
        ("fill", "--top --json"),
        ("evaluate", "--data --format --baselines --beam --limit --json"),
        ("info", "--json"),
        ("plot", "--out"),
    ],
)
def test_help_explains_every_option(command, options):
    text = said(command, "--help")
    for option in options.split():
        assert option in text


# generate


def test_generate(places, models):
    prompt, model = "In the be", models["decoder"][1]
    expected = "".join(generate(model, prompt, tokens=5, temperature=0.8, seed=3))
    assert (
        said("generate", places["decoder"], "--prompt", prompt, "--tokens", 5, "--seed", 3) == f"{prompt}{expected}\n"
    )
    options = {"temperature": 1.5, "top_k": 7, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.2}
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    found = json.loads(said("generate", places["decoder"], "--prompt", prompt, "--stop", "t", "--json", *named))
    assert found.pop("seconds") > 0
    text = "".join(generate(model, prompt, stop=("t",), **options))
    assert found == {"prompt": prompt, "text": text, "tokens": None, "seed": 0, **options}


def test_a_model_that_was_moved_runs_anywhere_and_standard_output_has_nothing_but_the_text(places, tmp_path, models):
    shutil.copytree(places["decoder"], tmp_path / "a" / "moved")
    (tmp_path / "b").mkdir()
    command = [sys.executable, "-m", "formal_tx.cli", "generate", "../a/moved", "--prompt", "And", "--temperature", "0"]
    done = subprocess.run(command, cwd=tmp_path / "b", env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "And" + "".join(generate(models["decoder"][1], "And", temperature=0)) + "\n"


def test_generating_imports_nothing_that_only_training_needs():
    code = (
        "import sys, formal_tx.cli, formal_tx.runs.generation, formal_tx.runs.model_directory\n"
        "print({'optax', 'orbax', 'torch', 'matplotlib', 'sacrebleu'} & {n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# the compilation cache


@pytest.fixture
def kept(monkeypatch):
    """What `keep_compilations` sets, from no setting at all; nothing is really set."""
    made = {}
    config = SimpleNamespace(jax_compilation_cache_dir=None, update=made.__setitem__)
    monkeypatch.setattr(compilation_cache, "jax", SimpleNamespace(config=config))
    return made


def test_compilations_are_kept_in_the_users_cache(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation_cache.keep_compilations()
    directory = Path(kept["jax_compilation_cache_dir"])
    assert directory.is_dir()
    assert directory.is_relative_to(tmp_path / "formal-tx")
    kept.clear()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for not_absolute in ("", "caches"):
        monkeypatch.setenv("XDG_CACHE_HOME", not_absolute)
        compilation_cache.keep_compilations()
        assert Path(kept["jax_compilation_cache_dir"]).is_relative_to(tmp_path / "home" / ".cache" / "formal-tx")


def test_no_cache_is_no_error(kept, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compilation_cache.keep_compilations()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compilation_cache.os, "access", lambda path, mode: False)
    compilation_cache.keep_compilations()
    assert kept == {}


def test_a_cache_that_was_chosen_stays(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation_cache.jax.config.jax_compilation_cache_dir = "/mine"
    compilation_cache.keep_compilations()
    assert kept == {}
    assert list(tmp_path.iterdir()) == []


# fill


def test_fill(places, models):
    text = "and the ____ of <mask>"
    expected = fill(models["encoder"][1], text, top=2)
    lines = said("fill", places["encoder"], text, "--top", 2).splitlines()
    assert lines == [
        f"{n}. " + "  ".join(f"{guess.text} {guess.probability:.1%}" for guess in blank)
        for n, blank in enumerate(expected, start=1)
    ]
    found = json.loads(said("fill", places["encoder"], text, "--top", 2, "--json"))
    assert found["text"] == text
    assert found["blanks"] == [[guess._asdict() for guess in blank] for blank in expected]


# translate


@pytest.mark.parametrize("way", ["file", "standard input", "standard input by name"])
def test_translate(places, models, tmp_path, way):
    lines = ["And God", "", "Then", "In the"]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n", "utf-8")
    arguments = {"file": [tmp_path / "lines.txt"], "standard input": [], "standard input by name": ["-"]}[way]
    given = None if way == "file" else "\n".join(lines)
    expected = translate(models["encoder-decoder"][1], lines, beam=2)
    assert said("translate", places["encoder-decoder"], *arguments, "--beam", 2, input=given).splitlines() == expected
    found = said("translate", places["encoder-decoder"], *arguments, "--beam", 2, "--json", input=given).splitlines()
    assert [json.loads(line) for line in found] == [
        {"source": source, "translation": target} for source, target in zip(lines, expected, strict=True)
    ]


def test_translate_nothing(places):
    assert said("translate", places["encoder-decoder"], input="") == ""


# evaluate


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_evaluate(places, sources, tmp_path, architecture):
    (file,) = sources[architecture].files
    short = tmp_path / file.rpartition("/")[2]
    short.write_text("\n".join(Path(file).read_text("utf-8").splitlines()[:20]) + "\n", "utf-8")
    result = run("evaluate", places[architecture], "--data", short, "--json", "--beam", 1, "--limit", 3)
    assert result.exit_code == 0, result.exception
    found = json.loads(result.stdout)
    expected = {
        "decoder": {"bits_per_character", "bits_per_byte"},
        "encoder": {"top_1", "top_5", "masked"},
        "encoder-decoder": {"bits_per_character", "bits_per_byte", "translations", "too_long", "bleu", "chrf"},
    }
    assert found.keys() == {"directory", "loss", "perplexity", "tokens"} | expected[architecture]
    text = said("evaluate", places[architecture], "--data", short, "--beam", 1, "--limit", 3)
    for line in text.splitlines():
        name, value = line.split()
        shown = float(value.replace(",", ""))
        assert shown == pytest.approx(found[name], rel=1e-4)
    assert len(text.splitlines()) == len(found) - 1


# info and plot


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_info(places, models, architecture):
    found = json.loads(said("info", places[architecture], "--json"))
    directory, model = models[architecture]
    assert found["architecture"] == architecture
    assert found["parameters"] == sum(found["sizes"].values()) == sum(W.size for W in jax.tree.leaves(model.params))
    assert found["hyperparameters"]["d_e"] == found["training"]["d_e"] == 16
    assert found["tokenizer"] == {"kind": model.tokenizer.kind, "N_V": model.tokenizer.N_V}
    assert found["progress"]["finished"] is True
    assert found["progress"]["step"] == 12
    assert found["progress"]["checkpoints"].endswith("12")
    assert found["progress"]["best_held_out_loss"] == model.configuration["result"]["best"]
    shown = said("info", directory)
    for part in ("parameters ", "W_e", "finished             yes", "steps                12"):
        assert part in shown


def test_info_of_a_run_that_goes_on(places, tmp_path):
    shutil.copytree(places["decoder"], tmp_path / "run")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    found = json.loads(said("info", tmp_path / "run", "--json"))
    assert "parameters" not in found
    assert found["progress"]["finished"] is False
    assert found["progress"]["step"] == 12


def test_info_of_a_model_without_its_run(places, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((places["decoder"] / name).read_bytes())
    found = json.loads(said("info", tmp_path, "--json"))
    assert found["architecture"] == "decoder"
    assert "progress" not in found


def test_plot(places, tmp_path):
    assert said("plot", places["decoder"], "--out", tmp_path / "curve.png") == f"{tmp_path / 'curve.png'}\n"
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
