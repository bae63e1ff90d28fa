"""Vectors that were changed, are incomplete, or are something else: each by its message; and the commands."""

import hashlib
import json

import numpy as np
import pytest
import typer
from safetensors.numpy import load_file
from typer.testing import CliRunner

from formal_tx.cli.vectors import vectors
from formal_tx.crosscheck import find
from formal_tx.vectors import verify_vectors, write_vectors
from formal_tx.vectors.tensors import to_bytes

FILE = f"{find(4).file}.safetensors"


def change(directory, edit):
    """Rewrite the index with `edit` applied to it."""
    index = json.loads((directory / "index.json").read_bytes())
    edit(index)
    (directory / "index.json").write_text(json.dumps(index))


def replace(directory, name, content):
    """Put another file in the place of one, and its checksum into the index."""
    (directory / name).write_bytes(content)

    def edit(index):
        entry = next(e for e in index["algorithms"] if e["file"] == name)
        entry["sha256"] = hashlib.sha256(content).hexdigest()

    change(directory, edit)


def test_one_flipped_bit_is_found(copied):
    content = bytearray((copied / FILE).read_bytes())
    content[-1] ^= 1
    (copied / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{FILE} has SHA-256 [0-9a-f]{{64}}, expected [0-9a-f]{{64}}"):
        verify_vectors(copied)


def test_a_changed_specification_is_found(copied):
    (copied / "SPECIFICATION.md").write_text("as you like it")
    with pytest.raises(ValueError, match=r"SPECIFICATION\.md has SHA-256"):
        verify_vectors(copied)


def test_a_missing_file_is_found(copied):
    (copied / FILE).unlink()
    with pytest.raises(FileNotFoundError, match=FILE):
        verify_vectors(copied)


def test_a_changed_value_with_its_checksum_disagrees_and_is_named(copied):
    tensors = load_file(copied / FILE)
    tensors["3/line/4.S"][1, 2] += 1e-6
    replace(copied, FILE, to_bytes(tensors))
    verdict = next(v for v in verify_vectors(copied) if v.algorithm.number == 4)
    assert not verdict.agrees
    assert not verdict.identical
    assert verdict.where == "3/line/4.S"
    assert 1e-9 < verdict.worst < 1e-6


def test_rounding_is_told_from_what_is_identical(copied):
    tensors = load_file(copied / FILE)
    S = tensors["3/line/4.S"]
    S[1, 2] = np.nextafter(S[1, 2], np.inf)
    replace(copied, FILE, to_bytes(tensors))
    verdict = next(v for v in verify_vectors(copied) if v.algorithm.number == 4)
    assert verdict.agrees
    assert not verdict.identical
    assert 0 < verdict.worst < 1e-15


def test_a_changed_scalar_of_the_index_disagrees(copied):
    def edit(index):
        entry = next(e for e in index["algorithms"] if e["number"] == 6)
        entry["cases"][0]["scalars"]["epsilon"] = 0.5

    change(copied, edit)
    assert [v.algorithm.number for v in verify_vectors(copied) if not v.agrees] == [6]


def remove_tensor(index):
    entry = next(e for e in index["algorithms"] if e["number"] == 4)
    entry["cases"][0]["tensors"].pop()


def reshape_tensor(index):
    entry = next(e for e in index["algorithms"] if e["number"] == 4)
    entry["cases"][2]["tensors"][0]["shape"] = [11, 5]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (remove_tensor, r"the tensor 1/output/V_tilde is only in the file"),
        (reshape_tensor, r"the tensor 3/input/X is .*\[5, 11\].*, the index has .*\[11, 5\]"),
        (lambda index: index.update(version=2), r"is of version 2 of the format, expected 1"),
        (lambda index: index.update(format="recipes"), r"has format 'recipes', expected 'formal-tx vectors'"),
        (lambda index: index["algorithms"][0].pop("cases"), r"is not as the format has it: 'cases'"),
        (lambda index: index["algorithms"][0].update(number=99), r"there is no algorithm 99"),
        (lambda index: index["algorithms"][0].update(file="../x"), r"names the file '\.\./x', expected one beside it"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(copied, edit, message):
    change(copied, edit)
    with pytest.raises(ValueError, match=message):
        verify_vectors(copied)


@pytest.mark.parametrize(("content", "message"), [("{", "is no JSON"), ("[]", "has format 'list'")])
def test_what_is_no_index_is_refused(copied, content, message):
    (copied / "index.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        verify_vectors(copied)


def test_a_file_cut_short_is_refused(copied):
    replace(copied, FILE, (copied / FILE).read_bytes()[:500])
    with pytest.raises(ValueError, match=rf"{FILE} is no safetensors file, or has been cut short"):
        verify_vectors(copied)


def test_a_directory_without_vectors_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no index\.json, expected a directory that `formal-tx vectors"):
        verify_vectors(tmp_path)


def test_a_directory_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match=r"is not empty and has no index\.json"):
        write_vectors(tmp_path, [find(1)])
    (tmp_path / "index.json").write_text('{"pages": 3}')
    with pytest.raises(ValueError, match=r"has format None, expected 'formal-tx vectors'"):
        write_vectors(tmp_path, [find(1)])
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "index.json"}


def test_a_stranger_among_vectors_is_left_alone(copied):
    (copied / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with pytest.raises(
        ValueError, match=r"holds notes\.txt, which is no part of the vectors there; nothing was written"
    ):
        write_vectors(copied, [find(1)])
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "vectors").write_text("")
    with pytest.raises(ValueError, match=r"vectors is a file, expected a directory"):
        write_vectors(tmp_path / "vectors", [find(1)])


def test_vectors_are_replaced_by_fewer(copied):
    write_vectors(copied, [find(1)])
    assert {path.name for path in copied.iterdir()} == {"index.json", "SPECIFICATION.md", f"{find(1).file}.safetensors"}
    assert len(verify_vectors(copied)) == 1


def command(*arguments):
    app = typer.Typer()
    app.command()(vectors)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_commands_write_and_verify(tmp_path):
    directory = tmp_path / "v"
    written = command("6", "layer_norm", "--out", directory, "--json")
    assert written.exit_code == 0
    assert json.loads(written.stdout)["algorithms"] == [6]
    said = command("--out", directory, "6")
    assert said.stdout.startswith("7 cases of 1 algorithms, ")
    verified = command("--verify", directory)
    assert verified.exit_code == 0
    assert "identical" in verified.stdout
    found = json.loads(command("--verify", directory, "--json").stdout)
    assert found["agrees"]
    assert found["algorithms"][0] | {"worst_tensor": ""} == {
        "algorithm": 6,
        "name": "layer_norm",
        "agrees": True,
        "identical": True,
        "cases": 7,
        "tensors": 28,
        "worst_error": 0.0,
        "worst_tensor": "",
    }


def test_the_command_ends_with_1_where_a_value_disagrees(copied):
    tensors = load_file(copied / FILE)
    tensors["3/line/4.S"][1, 2] = np.nan
    replace(copied, FILE, to_bytes(tensors))
    done = command("--verify", copied)
    assert done.exit_code == 1
    assert "DISAGREES in 3/line/4.S" in " ".join(done.stdout.split())
    found = json.loads(command("--verify", copied, "--json").stdout)
    assert (found["agrees"], found["algorithms"][2]["worst_error"]) == (False, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected one of --out DIR, which writes vectors, and --verify DIR"),
        (["--out", "a", "--verify", "b"], "expected one of --out DIR, which writes vectors, and --verify DIR"),
        (["4", "--verify", "b"], "--verify b verifies all algorithms that are there, expected no number"),
        (["99", "--out", "a"], "there is no algorithm 99"),
    ],
)
def test_what_the_command_refuses(arguments, message):
    done = command(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
