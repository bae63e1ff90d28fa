"""Memory in large pages, for commands that write much memory that is new to them.

What a step of training stores is taken from the system and given back, step after step, and each page of 4 KiB that is
touched for the first time costs a fault. glibc's malloc asks for pages of 2 MiB instead, if a variable says so when the
process begins.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

TUNABLES = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"
_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which malloc asks for huge pages; one that says something about them stays as it is."""
    tunables = environment.get(TUNABLES, "")
    if TUNABLE in tunables:
        return dict(environment)
    return {**environment, TUNABLES: ":".join(filter(None, [tunables, f"{TUNABLE}=1"]))}


def begin_again_with_huge_pages() -> None:
    """Replace this process by the same command in that environment, where Linux gives huge pages to who asks.

    It stays the same process for whoever started it. Where all memory has huge pages, or none, nothing happens.
    """
    environment = with_huge_pages(os.environ)
    if environment == dict(os.environ) or not _given_if_asked():
        return
    sys.stdout.flush()
    os.execve(sys.executable, sys.orig_argv, environment)


def _given_if_asked() -> bool:
    try:
        return "[madvise]" in _POLICY.read_text("ascii")
    except OSError:  # another system, or a kernel without huge pages
        return False
