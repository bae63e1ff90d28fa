"""Runs on a disk that is full and in less memory than their corpus takes."""

import shlex
import signal
import subprocess
import sys

import pytest

from formal_tx.runs.reporting import Reporter
from formal_tx.runs.trainer import Interrupted
from tests.runs.running import command, environment, outcome, run

pytestmark = pytest.mark.usefixtures("as_users_have_it")


class StopsAtSeven(Reporter):
    def progress(self, step, measured):
        if step == 7:
            signal.raise_signal(signal.SIGINT)


def limited(limit, arguments):
    """Runs a command in a shell that has set a limit."""
    shell = ["bash", "-c", f"ulimit {limit}; exec {shlex.join(arguments)}"]
    return subprocess.run(shell, env=environment(), capture_output=True, text=True, check=False)


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_survives(tmp_path, sources):
    with pytest.raises(Interrupted):
        run("decoder", tmp_path / "run", sources["decoder"], reporter=StopsAtSeven())
    arguments = command("decoder", tmp_path / "run", sources["decoder"], "--resume")
    done = limited("-f 20", arguments)  # no file of more than 20 KiB
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("formal-tx: CheckpointError: the checkpoint of step 8 was not written to ")
    assert said.endswith("File too large; the last good checkpoint is that of step 7")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    run("decoder", tmp_path / "run", sources["decoder"], resume=True)
    run("decoder", tmp_path / "straight", sources["decoder"])
    assert outcome(tmp_path / "run") == outcome(tmp_path / "straight")


def test_a_disk_too_full_for_the_text(tmp_path, sources):
    done = limited("-f 10", command("decoder", tmp_path / "run", sources["decoder"]))
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert (
        said
        == f"formal-tx: OSError: [Errno 27] {tmp_path / 'run' / 'data' / 'train'} cannot be written: File too large"
    )
    assert sorted(path.name for path in (tmp_path / "run" / "data").iterdir()) == []


MEMORY = """
import resource, sys
from pathlib import Path
from formal_tx.runs.sources import Sources
from tests.runs.running import run, write_text

directory, more = Path(sys.argv[1]), {"tokenizer": "bytes", "evaluate_batches": 2, "l_max": 256}
def of_process():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmData"))
    return int(line.split()[1]) >> 10

small = Sources((write_text(directory / "small.txt"),))
for name in ("first", "second", "third"):
    run("decoder", directory / name, small, **more)
limit = of_process() + 40
resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
large = Sources((str(directory / "large.txt"),))
run("decoder", directory / "large", large, **more)
after = of_process()
run("decoder", directory / "large", large, resume=True, **more)
print(limit, after, of_process())
"""


@pytest.mark.heavy
def test_a_corpus_twice_the_size_of_the_memory(tmp_path):
    """84 MB of text, 168 MB of tokens: read, tokenised, trained on and checked in 40 MiB more than a small text."""
    line = "In the beginning, God created the heavens and the earth.\n" * 1000
    with (tmp_path / "large.txt").open("w") as file:
        for _ in range(84_000_000 // len(line)):
            file.write(line)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    limit, after, at_the_end = map(int, done.stdout.split())
    assert (tmp_path / "large" / "data" / "train" / "ids").stat().st_size > 150_000_000
    assert max(after, at_the_end) < limit
