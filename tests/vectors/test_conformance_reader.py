"""The reader in C: compiles without a warning, verifies its own attention, and notices when that is broken."""

import shutil
import subprocess
from pathlib import Path

import pytest

from formal_tx.crosscheck import find

SOURCE = Path(__file__).parents[2] / "examples" / "conformance" / "attention.c"


@pytest.fixture
def compiled(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc)")

    def build(*options):
        strict = ["-std=c99", "-pedantic", "-O2", "-Wall", "-Wextra", "-Werror"]
        command = [compiler, *strict, *options, str(SOURCE), "-o", str(tmp_path / "attention"), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return tmp_path / "attention"

    return build


def verify(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_its_attention_agrees_in_every_case(compiled, written):
    done = verify(compiled(), str(written / f"{find(4).file}.safetensors"))
    assert done.returncode == 0
    assert done.stdout.startswith("8 cases, worst error ")
    assert done.stdout.endswith("e-16: agrees\n")


def test_attention_without_its_scale_does_not(compiled, written):
    done = verify(compiled("-DBROKEN"), str(written / f"{find(4).file}.safetensors"))
    assert done.returncode == 1
    assert "DISAGREES" in done.stdout


def test_what_is_no_file_of_vectors_is_refused(compiled, written):
    program = compiled()
    assert verify(program).returncode == 2
    assert verify(program, str(written / "index.json")).returncode == 2
    other = verify(program, str(written / f"{find(6).file}.safetensors"))
    assert (other.returncode, other.stdout) == (1, "0 cases, worst error 0.0e+00: DISAGREES\n")


def test_it_is_short():
    lines = SOURCE.read_text("utf-8").splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) <= 120


SCRIPT = SOURCE.with_suffix(".mjs")


def test_the_reader_in_javascript(written):
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no JavaScript (node)")
    file = str(written / f"{find(4).file}.safetensors")
    done = verify(node, str(SCRIPT), file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("8 cases, worst error ")
    assert done.stdout.endswith("e-16: agrees\n")
    broken = verify(node, str(SCRIPT), file, "--broken")
    assert broken.returncode == 1
    assert "DISAGREES" in broken.stdout
    assert len(SCRIPT.read_text("utf-8").splitlines()) <= 60
