"""What a result depends on besides the code it is about: commit, versions, machine, threads, date."""

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("jax", "jaxlib", "flax", "torch", "transformers", "ctranslate2")


def circumstances() -> dict[str, Any]:
    """The entries that every line of the results has."""
    return {
        "commit": commit(),
        "code": code(),
        "machine": machine(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    }


def commit() -> str:
    """The commit that is checked out, with a + if the library has been changed since; "unknown" outside a checkout."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "formal_tx") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def code(root: Path = ROOT) -> str:
    """A fingerprint of the library's source: a commit of something else leaves results as good as they were."""
    digest = hashlib.sha256()
    for path in sorted((root / "formal_tx").rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def machine() -> str:
    """The processor, as the system calls it, and how many there are."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.is_file() else []
    found = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
    return f"{found or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
