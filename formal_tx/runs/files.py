"""Files that are there whole or not at all, and the manifest by which a directory is known to be whole."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

MANIFEST = "manifest.json"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def require_space(directory: Path, size: int) -> None:
    """Raise `OSError` unless `size` bytes are free: better now than in the middle of writing them."""
    free = shutil.disk_usage(directory).free
    if free < size:
        text = f"{os.strerror(errno.ENOSPC)} ({size / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free)"
        raise OSError(errno.ENOSPC, text)


def reason(error: BaseException) -> str:
    """Why something was not written, in as few words as the system has for it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    texts = [os.strerror(number) for number in NO_SPACE]
    return next((text for text in texts if text in str(error)), str(error))


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that whoever looks, even after a crash, finds the old content or the new, never a part.

    Raises:
      OSError: it could not be written, and is what it was.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(f"{path} was not written: {reason(error)}") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(directory: Path) -> None:
    """Notes size and SHA-256 of every file below `directory` in its `manifest.json`; all are then on the disk."""
    files = {}
    for path in sorted(directory.rglob("*")):
        sync(path)
        if path.is_file():
            name = path.relative_to(directory).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": sha256(path)}
    write_whole(directory / MANIFEST, json.dumps({"format": 1, "files": files}, indent=1).encode())


def fault(directory: Path) -> str | None:
    """What is wrong with a directory that has a manifest: the first file that is missing, cut short or altered."""
    try:
        files = json.loads((directory / MANIFEST).read_bytes())["files"]
        for name, expected in files.items():
            path = directory / name
            size = path.stat().st_size
            if size != expected["size"]:
                return f"{name} has {size} bytes, expected {expected['size']}"
            if sha256(path) != expected["sha256"]:
                return f"{name} has been altered: it is not the file that was written, by its SHA-256"
    except FileNotFoundError as error:
        return f"{Path(error.filename).relative_to(directory)} is missing"
    except OSError as error:
        return f"{Path(error.filename).relative_to(directory)} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} has been cut short or altered: it is no manifest"
    return None
