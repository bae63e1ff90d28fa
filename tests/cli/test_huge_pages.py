"""`formal-tx train` runs in an environment in which malloc asks for huge pages."""

import os
import subprocess
import sys

import pytest

from formal_tx.cli import huge_pages
from formal_tx.cli.huge_pages import with_huge_pages


def test_the_variable_is_set_beside_others():
    assert with_huge_pages({"HOME": "/"}) == {"HOME": "/", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    others = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    assert with_huge_pages(others)["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"


def test_what_somebody_said_of_huge_pages_stays():
    said = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    assert with_huge_pages(said) == said
    assert with_huge_pages(with_huge_pages({})) == with_huge_pages({})


@pytest.mark.parametrize(
    ("policy", "begins_again"),
    [("always [madvise] never", True), ("[always] madvise never", False), ("always madvise [never]", False)],
)
def test_it_begins_again_where_asking_helps(policy, begins_again, monkeypatch, tmp_path):
    (tmp_path / "enabled").write_text(policy)
    begun = []
    monkeypatch.setattr(huge_pages, "_POLICY", tmp_path / "enabled")
    monkeypatch.setattr(os, "execve", lambda *given: begun.append(given))
    monkeypatch.delenv(huge_pages.TUNABLES, raising=False)
    huge_pages.begin_again_with_huge_pages()
    assert [given[:2] for given in begun] == [(sys.executable, sys.orig_argv)] * begins_again
    monkeypatch.setenv(huge_pages.TUNABLES, "glibc.malloc.hugetlb=0")
    begun.clear()
    huge_pages.begin_again_with_huge_pages()
    assert not begun


def test_nothing_happens_where_there_is_no_policy(monkeypatch, tmp_path):
    monkeypatch.setattr(huge_pages, "_POLICY", tmp_path / "none")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("it began again"))
    huge_pages.begin_again_with_huge_pages()


def test_the_same_process_goes_on_with_the_same_command(tmp_path):
    """A process that begins again once, and then says who it is and what it was asked."""
    program = tmp_path / "program.py"
    (tmp_path / "enabled").write_text("always [madvise] never")
    program.write_text(
        "import os, pathlib, sys\n"
        "from formal_tx.cli import huge_pages\n"
        f"huge_pages._POLICY = pathlib.Path({str(tmp_path / 'enabled')!r})\n"
        "print(os.getpid(), 'GLIBC_TUNABLES' in os.environ, sys.argv[1:])\n"
        "huge_pages.begin_again_with_huge_pages()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != huge_pages.TUNABLES}
    command = [sys.executable, str(program), "train", "--out", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.split()[0] == second.split()[0]
    assert first.split(maxsplit=1)[1] == "False ['train', '--out', 'a b']"
    assert second.split(maxsplit=1)[1] == "True ['train', '--out', 'a b']"
