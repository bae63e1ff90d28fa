"""Runs a worker in a process of its own, under a time limit: somebody else's function may hang, exit, or print."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_SHOWN = 4000  # characters of what was printed
_START = "import sys; from {module} import main; main(*sys.argv[1:])"


class CannotRun(Exception):
    """Somebody else's function could not be run: the message says what stopped it."""


def place(candidate: str) -> tuple[Path, str]:
    """The file and the function of "path/to/file.py:function".

    Raises:
      CannotRun: if it has not that form, or there is no such file.
    """
    file, _, function = candidate.rpartition(":")
    if not file or not function.isidentifier():
        raise CannotRun(f"{candidate}: expected path/to/file.py:function")
    if not Path(file).is_file():
        raise CannotRun(f"{candidate}: there is no file {file}")
    return Path(file).resolve(), function


def run_isolated(module: str, request: Any, who: str, time_limit: float) -> Any:
    """What `main(request file, response file)` of a module answers to a request.

    What is printed goes to standard error. A string for an answer says why there is none.

    Args:
      who: what messages call the function. time_limit: in seconds.
    Raises:
      CannotRun: if it takes too long, ends its process, or says why it cannot answer.
    """
    with tempfile.TemporaryDirectory(prefix="formal-tx-") as folder:
        asked, answered, printed = (Path(folder, name) for name in ("request", "response", "printed"))
        asked.write_bytes(pickle.dumps(request))
        command = [sys.executable, "-c", _START.format(module=module), str(asked), str(answered)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "JAX_PLATFORMS": "cpu"}
        with printed.open("wb") as log:
            try:
                done = subprocess.run(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=time_limit
                )
            except subprocess.TimeoutExpired:
                raise CannotRun(f"{who} did not return within {time_limit:g} seconds") from None
            finally:
                sys.stderr.write(printed.read_text(errors="replace")[-_SHOWN:])
        if not answered.is_file():
            raise CannotRun(f"{who} ended its process with exit status {done.returncode}")
        found = pickle.loads(answered.read_bytes())
    if isinstance(found, str):
        raise CannotRun(found)
    return found
