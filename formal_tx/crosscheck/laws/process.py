"""The laws on somebody else's function, which runs in a process of its own, under a time limit."""

from ..isolated import place, run_isolated
from .run import Finding


def run_file(
    candidate: str,
    *,
    kind: int = 0,
    framework: str = "numpy",
    dtype: str = "float64",
    seed: int = 0,
    time_limit: float = 300,
) -> list[Finding]:
    """The laws that apply to `candidate`, "path/to/file.py:function".

    Args:
      kind: the number of the algorithm whose arguments it takes. 0: its name says so, or it takes none and returns a
        model of `formal_tx.crosscheck.adapters`, or a list of them.
      framework, dtype: of its arrays, with a `kind`. time_limit: seconds for everything.
    Raises:
      CannotRun: if it does not import, cannot be called, is no model, or takes too long.
    """
    from .worker import Request

    file, function = place(candidate)
    request = Request(str(file), function, kind, framework, dtype, seed)
    return run_isolated("formal_tx.crosscheck.laws.worker", request, f"{file.name}:{function}", time_limit)
