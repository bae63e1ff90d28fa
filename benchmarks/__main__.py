"""All benchmarks, one after the other, and then what they show.

python -m benchmarks [--quick]
"""

import subprocess
import sys
import time

BENCHMARKS = ("train", "decode", "attention", "compile", "memory", "scaling", "speech", "check")
PRINTED = ("import_time", "first_token", "reap_overhead")  # these only print


def main() -> None:
    """Each in a process of its own; the first that fails ends it."""
    options = sys.argv[1:]
    if options not in ([], ["--quick"]):
        raise SystemExit(f"benchmarks: {' '.join(options)}? Expected nothing or --quick")
    scripts = [*BENCHMARKS, "render"] if options else [*BENCHMARKS, *PRINTED, "render"]
    for name in scripts:
        start = time.perf_counter()
        given = [] if name in PRINTED else options
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *given], check=False).returncode:
            raise SystemExit(f"benchmarks: {name} failed")
        print(f"-- {name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
