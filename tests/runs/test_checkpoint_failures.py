"""What befalls checkpoints: cut short, altered, a full disk, a process that is killed. The last good one survives."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from formal_tx.runs import checkpoints as checkpoints_module
from formal_tx.runs.checkpoints import CheckpointError, Checkpoints

LIKE = {"W": np.zeros((250, 1000), np.float32), "n": np.zeros((), np.int32)}  # a megabyte


def state_of(step):
    """A state that can be made again from its step; it does not compress."""
    W = np.random.default_rng(step).normal(size=(250, 1000)).astype(np.float32)
    return {"W": W, "n": np.asarray(step, np.int32)}


def assert_is(restored, step):
    assert restored.step == step
    assert {name: array.tobytes() for name, array in restored.state.items()} == {
        name: array.tobytes() for name, array in state_of(step).items()
    }


def save(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, state_of(step), {})


def largest(directory):
    """The file that has most of the arrays."""
    return max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def make_a_directory(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "cut short": (largest, cut_short, "{name} has {half} bytes, expected {size}"),
    "altered": (largest, flip_a_bit, "{name} has been altered: it is not the file that was written, by its SHA-256"),
    "missing": (largest, Path.unlink, "{name} is missing"),
    "record": (lambda d: d / "record.json", cut_short, "record.json has {half} bytes, expected {size}"),
    "manifest missing": (lambda d: d / "manifest.json", Path.unlink, "manifest.json is missing"),
    "manifest cut short": (
        lambda d: d / "manifest.json",
        cut_short,
        "manifest.json has been cut short or altered: it is no manifest",
    ),
    "unreadable": (
        lambda d: d / "manifest.json",
        make_a_directory,
        "manifest.json cannot be read: Is a directory",
    ),
}


def damage(directory, title):
    """Damages a checkpoint; gives what is to be said of it."""
    which, spoil, message = DAMAGES[title]
    path = which(directory)
    size = path.stat().st_size
    spoil(path)
    return message.format(name=path.relative_to(directory), size=size, half=size // 2)


@pytest.mark.parametrize("title", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(tmp_path, title):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    fault = damage(tmp_path / "2", title)
    restored = checkpoints.restore(LIKE)
    assert_is(restored, 1)
    assert restored.problems == [f"the checkpoint of step 2 in {tmp_path} is not whole: {fault}"]
    # The run goes on from step 1, and comes to step 2 again.
    save(checkpoints, 2)
    assert_is(checkpoints.restore(LIKE), 2)
    assert checkpoints.restore(LIKE).problems == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_damaged_checkpoints_do_not_displace_whole_ones(tmp_path):
    """After a step back: what is kept is what was just written, and not what is later and damaged."""
    checkpoints = Checkpoints(tmp_path, keep_last=1)
    save(checkpoints, 1)
    shutil.copytree(tmp_path / "1", tmp_path / "9")
    damage(tmp_path / "9", "cut short")
    save(checkpoints, 2)
    assert checkpoints.steps() == [2]
    assert_is(checkpoints.restore(LIKE), 2)


def test_a_damaged_record_does_not_keep_others_from_being_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    damage(tmp_path / "2", "record")
    assert checkpoints.best() is None
    save(checkpoints, 3, 4)
    assert checkpoints.steps() == [3, 4]


def test_all_are_damaged(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    faults = [damage(tmp_path / "1", "altered"), damage(tmp_path / "2", "cut short")]
    with pytest.raises(CheckpointError) as caught:
        checkpoints.restore(LIKE)
    assert str(caught.value) == (
        f"no checkpoint can be restored: the checkpoint of step 2 in {tmp_path} is not whole: {faults[1]}; "
        f"the checkpoint of step 1 in {tmp_path} is not whole: {faults[0]}"
    )


def test_a_certain_step(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2)
    assert_is(checkpoints.restore(LIKE, 1), 1)
    with pytest.raises(
        CheckpointError, match=rf"^{tmp_path} has no checkpoint of step 3; it has those of steps \[1, 2\]$"
    ):
        checkpoints.restore(LIKE, 3)
    fault = damage(tmp_path / "1", "cut short")
    with pytest.raises(CheckpointError, match="no checkpoint can be restored") as caught:
        checkpoints.restore(LIKE, 1)
    assert fault in str(caught.value)


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError) as caught:
        save(Checkpoints(tmp_path / "file" / "checkpoints"), 1)
    assert str(caught.value) == (
        f"the checkpoint of step 1 was not written to {tmp_path}/file/checkpoints: Not a directory; "
        "there is no earlier one"
    )


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3.2 MB of its own: room for two checkpoints and a bit."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3200k", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can only be mounted by root; test_a_limit_on_the_size_of_files runs in its place")
    yield disk
    subprocess.run(["umount", disk], check=True)


def refused(checkpoints, step, reason, last):
    with pytest.raises(CheckpointError) as caught:
        save(checkpoints, step)
    message = str(caught.value)
    assert message.startswith(f"the checkpoint of step {step} was not written to {checkpoints.directory}: {reason}")
    assert message.endswith(f"; the last good checkpoint is that of step {last}")


def test_a_full_disk(small_disk, capfd):
    checkpoints = Checkpoints(small_disk)
    save(checkpoints, 1, 2, 3)
    (small_disk / "other").write_bytes(bytes(10**6))
    refused(checkpoints, 4, "No space left on device (1.0 MB are needed, 0.", last=3)
    assert sorted(path.name for path in small_disk.iterdir()) == ["2", "3", "other"]
    assert_is(checkpoints.restore(LIKE), 3)
    (small_disk / "other").unlink()
    save(checkpoints, 4)
    assert_is(checkpoints.restore(LIKE), 4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("free", [0, 8, 100, 600, 900, 940], ids="{} kB free".format)
def test_a_disk_that_fills_while_a_checkpoint_is_written(small_disk, monkeypatch, capfd, free):
    """Another process takes the space that was there a moment ago: nothing is left over, and nothing is lost."""
    monkeypatch.setattr("formal_tx.runs.checkpoints.require_space", lambda directory, size: None)
    checkpoints = Checkpoints(small_disk)
    save(checkpoints, 1, 2)
    space = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(bytes(space - free * 1000))
    refused(checkpoints, 3, "No space left on device", last=2)
    assert sorted(path.name for path in small_disk.iterdir()) == ["1", "2", "other"]
    assert_is(checkpoints.restore(LIKE), 2)
    (small_disk / "other").unlink()
    save(checkpoints, 3)
    assert_is(checkpoints.restore(LIKE), 3)
    assert capfd.readouterr() == ("", "")


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from test_checkpoint_failures import Checkpoints, CheckpointError, save
checkpoints = Checkpoints(sys.argv[1])
save(checkpoints, 1, 2)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
try:
    save(checkpoints, 3)
except CheckpointError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 300, 5_000, 500_000], ids="{} bytes".format)
def test_a_limit_on_the_size_of_files(tmp_path, limit):
    """The same without a file system of its own: files longer than so much cannot be written, as on a full disk."""
    command = [sys.executable, "-c", LIMITED, tmp_path, Path(__file__).parent, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == (
        f"the checkpoint of step 3 was not written to {tmp_path}: File too large; "
        "the last good checkpoint is that of step 2\n",
        "",
        0,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    assert_is(Checkpoints(tmp_path).restore(LIKE), 2)


SAVES_UNTIL_KILLED = """
import os, signal, sys, time, warnings
sys.path.insert(0, sys.argv[2])
from test_checkpoint_failures import Checkpoints, save
warnings.filterwarnings("ignore", "os.fork")  # JAX warns of its threads, which it does not have before it is used
for line in sys.stdin:
    first, seconds = line.split()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        checkpoints = Checkpoints(sys.argv[1])
        for step in range(int(first), 10**6):
            os.write(writing, b"%d\\n" % step)  # it is about to be saved; all before it have been
            save(checkpoints, step)
    os.close(writing)
    begun = os.read(reading, 100)
    time.sleep(float(seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 100):
        begun += more
    os.close(reading)
    print(begun.split()[-1].decode(), flush=True)
"""


def test_killed_while_saving(tmp_path):
    """`kill -9` at 20 random moments: what is restored is whole, and no save that returned is lost."""
    command = [sys.executable, "-c", SAVES_UNTIL_KILLED, tmp_path, Path(__file__).parent]
    moments = random.Random(0)
    left, first = [], 1
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(20):
            process.stdin.write(f"{first} {moments.uniform(0.15, 0.65)}\n")
            process.stdin.flush()
            begun = int(process.stdout.readline())
            left += [path.name for path in tmp_path.iterdir() if not path.name.isdecimal()]
            restored = Checkpoints(tmp_path).restore(LIKE)
            if restored is None:
                assert begun == 1
                continue
            assert_is(restored, restored.step)
            assert restored.step in (begun - 1, begun)
            assert restored.problems == []
            first = restored.step + 1
        process.stdin.close()
    assert first > 20, "some saves came to their end"
    assert len(left) > 5, "and some did not"


@pytest.mark.parametrize("stage", ["write_arrays", "write_manifest", "read_arrays"])
def test_ctrl_c_while_saving(tmp_path, monkeypatch, capfd, stage):
    """The checkpoint is finished first; and nothing is written to the terminal."""
    function = getattr(checkpoints_module, stage)

    def interrupted(*arguments):
        time.sleep(0.1)  # the main thread has begun to wait
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)  # and has noticed
        return function(*arguments)

    save(Checkpoints(tmp_path), 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints_module, stage, interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(Checkpoints(tmp_path), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    assert_is(Checkpoints(tmp_path).restore(LIKE), 2)
    assert capfd.readouterr() == ("", "")


def test_in_a_notebook(tmp_path):
    """Where an event loop is running already."""

    async def cell():
        save(Checkpoints(tmp_path), 1)
        return Checkpoints(tmp_path).restore(LIKE)

    assert_is(asyncio.run(cell()), 1)
