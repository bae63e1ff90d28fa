"""One writer to a directory. The kernel holds the lock, and gives it up when the process ends, however it ends."""

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

LOCK = ".lock"


class DirectoryInUse(OSError):
    """Another process writes to the directory."""


@contextmanager
def only_writer(directory: str | os.PathLike[str]) -> Iterator[list[str]]:
    """Makes this process the only one to write to `directory`, which is made if it does not exist.

    Gives a list of problems, for the caller to show: empty, or a sentence that says that the file system has no locks,
    so that nothing keeps a second process away.

    Raises:
      DirectoryInUse: another process is in such a block; says which, on which machine, and since when.
      OSError: the directory cannot be made or written to.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OSError(f"{directory} cannot be written to: {error.strerror}") from error
    try:
        problem = _lock(file, directory)
        _write_owner(file)
        yield [problem] if problem else []
    finally:
        os.close(file)  # which unlocks it; the file stays, since another process may be waiting with it open


def _lock(file: int, directory: Path) -> str | None:
    """Locks the file, or says why that is not possible."""
    if sys.platform == "win32":
        return f"this system has no file locks: nothing keeps a second process from writing to {directory}"
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise DirectoryInUse(
                f"{directory} is being written by {_owner(file)}; wait for it or choose another --out"
            ) from None
        return (
            f"the file system of {directory} refuses locks ({error.strerror}): nothing keeps a second process from "
            "writing to it"
        )
    return None


def _write_owner(file: int) -> None:
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(owner).encode(), 0)


def _owner(file: int) -> str:
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):  # it has the lock and has not yet said who it is
        return "another process"
