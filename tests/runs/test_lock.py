"""One writer to a directory: the second is told who the first is, and a writer that is killed leaves no lock behind."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from formal_tx.runs.lock import DirectoryInUse, only_writer

HOLD = """
import sys, time
from formal_tx.runs.lock import only_writer
with only_writer(sys.argv[1]) as problems:
    print(problems, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_writer(tmp_path):
    """A process that writes to the directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "[]\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_writes(tmp_path, other_writer):
    with pytest.raises(DirectoryInUse) as caught, only_writer(tmp_path):
        pass
    message = str(caught.value)
    assert message.startswith(
        f"{tmp_path} is being written by process {other_writer.pid} on {socket.gethostname()} since 2"
    )
    assert message.endswith("; wait for it or choose another --out")


def test_the_lock_of_a_killed_process_is_gone(tmp_path, other_writer):
    other_writer.send_signal(signal.SIGKILL)
    other_writer.wait(timeout=10)
    with only_writer(tmp_path) as problems:
        assert problems == []
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()


def test_within_a_process_and_after_an_error(tmp_path):
    """The directory is made; and an error in the block gives the lock up too."""
    directory = tmp_path / "a" / "run"

    def fail():
        with only_writer(directory):
            with pytest.raises(DirectoryInUse, match=f"process {os.getpid()} on"):
                only_writer(directory).__enter__()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with only_writer(directory) as problems:
        assert problems == []


def test_a_writer_that_has_not_said_who_it_is(tmp_path):
    with open(tmp_path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DirectoryInUse, match=r"is being written by another process; wait for it"):
            only_writer(tmp_path).__enter__()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda patch: patch.setattr(fcntl, "flock", refuse),
            f"the file system of {{}} refuses locks ({os.strerror(errno.ENOLCK)}): nothing keeps a second process from "
            "writing to it",
        ),
        (
            lambda patch: patch.setattr(sys, "platform", "win32"),
            "this system has no file locks: nothing keeps a second process from writing to {}",
        ),
    ],
    ids=["refused", "no locks"],
)
def test_without_locks_it_says_so_and_goes_on(tmp_path, monkeypatch, spoil, message):
    spoil(monkeypatch)
    with only_writer(tmp_path) as problems:
        assert problems == [message.format(tmp_path)]


def refuse(file, how):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_directory_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=rf"^{tmp_path}/file/run cannot be written to: Not a directory$"):
        only_writer(tmp_path / "file" / "run").__enter__()
    with pytest.raises(OSError, match=rf"^{tmp_path}/file cannot be written to: File exists$"):
        only_writer(tmp_path / "file").__enter__()
