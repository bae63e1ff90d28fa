"""Options that several commands have."""

from typing import Any


def files_after_data(data: list[str] | None, more: list[str] | None, purpose: str) -> tuple[str, ...]:
    """The files of `--data FILE...`, of which the command line gives the first to the option and the rest as arguments.

    Raises:
      ValueError: there are files, and no --data before them.
    """
    if more and not data:
        raise ValueError(f"{more[0]}: expected an option; the files to {purpose} on come after --data")
    return (*(data or ()), *(more or ()))


def settings(assignments: list[str] | None, **named: Any) -> dict[str, Any]:
    """The entries of a configuration that were given as options: those with a name of their own, and NAME=VALUE.

    Raises:
      ValueError: an assignment is none, or an entry is given twice.
    """
    given = {name: value for name, value in named.items() if value is not None}
    for assignment in assignments or []:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise ValueError(f"--set {assignment}: expected NAME=VALUE, such as d_e=256")
        if name in given:
            raise ValueError(f"--set {assignment}: {name} is given twice, the other time as {given[name]}")
        given[name] = None if value == "none" else value
    return given
