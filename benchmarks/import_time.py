"""Seconds that `import formal_tx` costs beyond `import jax`: the best of several fresh interpreters.

The bar is one second. It is printed, not asserted: a test must not fail because a machine is busy.
"""

import subprocess
import sys

TRIALS = 5
STATEMENTS = ["import jax", "import jax, flax.struct", "import jax, formal_tx"]


def seconds(statement):
    """Time one statement in a fresh interpreter, the interpreter's own start left out."""
    code = f"import time; start = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main():
    # Round by round, so that a busy moment of the machine falls on all of them.
    rounds = [[seconds(statement) for statement in STATEMENTS] for _ in range(TRIALS)]
    best = dict(zip(STATEMENTS, (min(times) for times in zip(*rounds, strict=True)), strict=True))
    for statement, time in best.items():
        print(f"{statement:<26} {time:6.2f} s")
    print(f"formal_tx beyond jax       {best['import jax, formal_tx'] - best['import jax']:6.2f} s   (bar: 1.00 s)")


if __name__ == "__main__":
    main()
