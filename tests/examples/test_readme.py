"""What README.md and docs/ say runs as written: their Python, their commands, their tables of signatures."""

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import formal_tx
from formal_tx.attending import Attending
from formal_tx.cli import app
from formal_tx.crosscheck import ALGORITHMS, find
from formal_tx.data import corpus
from formal_tx.masking import mask_tokens
from formal_tx.practice import AS_PRINTED

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "docs/book.md",
    "docs/budget.md",
    "docs/check.md",
    "docs/design.md",
    "docs/instrument.md",
    "docs/laws.md",
    "docs/train.md",
    "docs/vectors.md",
)
# These need what others left, or write more than a test should.
RUNS = ("train", "generate", "fill", "translate", "evaluate", "info", "plot", "vectors", "compare", "book", "context")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind):
    """The fenced blocks of one kind, as pytest parameters that name file and line."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            number = text.count("\n", 0, match.start()) + 1
            yield pytest.param(match[1], id=f"{document}-{number}")


def commands():
    """The `formal-tx` commands of sh and console blocks, what is printed below them, and the comment behind them."""
    for parameter in [*blocks("sh"), *blocks("console")]:
        (text,) = parameter.values
        for match in re.finditer(r"^(?:\$ )?formal-tx (.*)\n((?:(?!\$ |formal-tx |make ).*\n)*)", text, re.MULTILINE):
            command, _, comment = match[1].partition("#")
            if command.split()[0] not in RUNS:
                yield pytest.param(command.split(), match[2], comment, id=f"{parameter.id}-{command.strip()}")


@pytest.mark.parametrize("code", [*blocks("python")])
def test_a_block_of_python_runs(code, monkeypatch, capsys):
    if "import torch" in code:
        pytest.importorskip("torch", reason="make test-all installs PyTorch")
    monkeypatch.chdir(ROOT)
    exec(compile(code, "block", "exec"), {"__name__": "block"})
    if said := re.search(rf"{re.escape(code)}```\n\nIt prints `(.*?)`", README):
        assert capsys.readouterr().out.strip() == said[1]


def test_the_readme_says_what_its_example_prints():
    assert "\nIt prints `" in README


def plain(line):
    """A printed line without what differs between machines and between edits: errors, line numbers, spaces.

    Where the worst of several errors is, if it is no more than rounding, is the processor's business too.
    """
    line = re.sub(r"\d\.\de-1[3-9] +\d+\. .*? (?= *agree)", "# # ", line)
    line = re.sub(r"\d\.\de[+-]\d\d", "#", line)
    line = re.sub(r"\.py:\d+", ".py", line)
    return " ".join(line.split())


@pytest.mark.parametrize(("command", "below", "comment"), [*commands()])
def test_a_command_prints_what_is_said(command, below, comment):
    width = "100" if "--against" in command else "150"
    done = subprocess.run(
        [sys.executable, "-m", "formal_tx.cli", *command],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": width, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = {plain(line) for line in done.stdout.splitlines()}
    assert done.returncode == (1 if "wrong" in " ".join(command) else 0), done.stderr
    if "exit status" in comment:
        assert done.returncode == int(comment.split()[-1])
    missing = [line for line in below.splitlines() if plain(line) not in printed | {"", "…"}]
    assert not missing


QUICK = "--steps 2 --set warmup=1 --set d_e=16 --set d_mlp=16 --set H=2 --set l_max=96 --set evaluate_batches=1"


@pytest.mark.parametrize("document", ["README.md", pytest.param("docs/train.md", marks=pytest.mark.slow)])
def test_the_commands_of_a_run_work_one_after_the_other(document, tmp_path, monkeypatch):
    """With files of the names that the document gives, and a training of two steps."""
    monkeypatch.chdir(tmp_path)
    lines = [f"{verse.english}\n" for verse in corpus.verses("train")[:400]]
    for name in ("book.txt", "a.txt", "b.txt", "other.txt"):
        Path(name).write_text("".join(lines), "utf-8")
    Path("letter.txt").write_text("In the beginning.\n", "utf-8")
    Path("pairs.tsv").write_text("".join("\t".join(pair) + "\n" for pair in corpus.pairs("train")[:400]), "utf-8")
    text = (ROOT / document).read_text("utf-8")
    commands = re.findall(rf"^formal-tx ((?:{'|'.join(RUNS)}) .*?)(?: +#.*)?$", text, re.MULTILINE)
    assert {"train", "generate", "translate"} <= {command.split()[0] for command in commands}
    for command in commands:
        arguments = shlex.split(command)
        if command.startswith("train"):
            arguments = shlex.split(f"{re.sub(r'--steps [0-9]+', '', command)} {QUICK}")
            arguments += ["--vocabulary-size", "400"]
        arguments += ["--tokens", "5"] if command.startswith("generate") and "--tokens" not in command else []
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.output}"


def table(heading):
    """The table after a heading, as (N, the code in its second column); a row may have several N."""
    text = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for numbers, code in re.findall(r"^\| ([\d, ]+) \| `(.*)` \|$", text, re.MULTILINE):
        for number in numbers.split(","):
            yield int(number), code


def test_the_arguments_of_a_candidate_are_those_of_the_catalog():
    said = {number: tuple(code.split(", ")) for number, code in table("Checking your own function")}
    assert said == {algorithm.number: algorithm.signature for algorithm in ALGORITHMS}


def test_the_signatures_are_those_of_the_functions():
    said = dict(table("The fifteen functions"))
    known = {"masks": formal_tx.masks, "AS_PRINTED": AS_PRINTED, "Attending": Attending, "mask_tokens": mask_tokens}
    assert set(said) == set(range(1, 16))
    for number, code in said.items():
        name, arguments = code.split("(", 1)
        parameters = inspect.signature(getattr(formal_tx, find(number).name)).parameters.values()
        assert name == find(number).name
        stated = ast.parse(f"def f({arguments}: pass").body[0].args
        assert [a.arg for a in (*stated.args, *stated.kwonlyargs)] == [p.name for p in parameters]
        assert [a.arg for a in stated.kwonlyargs] == [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        defaults = [d for d in (*stated.defaults, *stated.kw_defaults) if d is not None]
        for default, given in zip(defaults, [p.default for p in parameters if p.default is not p.empty], strict=True):
            stated_value = eval(ast.unparse(default), known)
            assert stated_value == given


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), f"{document}: {target}"
