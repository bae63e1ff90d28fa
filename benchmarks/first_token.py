"""Seconds from the start of `formal-tx generate` to its first token, with the compilation cache empty and warm.

The model is that of `formal-tx train decoder --preset tiny`, untrained; trained parameters take as long. The bar is
three seconds. It is printed, not asserted: a test must not fail because a machine is busy.

python benchmarks/first_token.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

from formal_tx import init_d_transformer
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.runs.configuration import configured
from formal_tx.runs.model_directory import Model, save_model

RUNS = 5
PROMPT = "In the beginning"


def save_tiny(directory: Path) -> None:
    """An untrained decoder of the preset `tiny` and its tokenizer."""
    tokenizer = Tokenizer.train("characters", [corpus.english()])
    hp = configured("decoder", "tiny").hyperparameters(tokenizer.N_V)
    save_model(directory, Model("decoder", init_d_transformer(jax.random.key(0), hp), hp, tokenizer))


def seconds_to_first_token(directory: Path, caches: Path) -> float:
    """From the start of the process to the first byte after the prompt on standard output."""
    command = [sys.executable, "-m", "formal_tx.cli", "generate", str(directory), "--prompt", PROMPT, "--tokens", "20"]
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, bufsize=0, env=os.environ | {"XDG_CACHE_HOME": str(caches)}
    ) as process:
        assert process.stdout is not None
        read = 0
        while read <= len(PROMPT) and (found := process.stdout.read(1)):  # the prompt comes first
            read += len(found)
        first = time.perf_counter() - start
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"formal-tx generate ended with status {process.returncode}")
    return first


def main() -> None:
    """Print the time of the first run and of those after it."""
    with tempfile.TemporaryDirectory() as directory:
        model, caches = Path(directory, "model"), Path(directory, "caches")
        save_tiny(model)
        cold, *warm = (seconds_to_first_token(model, caches) for _ in range(1 + RUNS))
    print(f"cache empty: {cold:.2f} s")
    print(f"cache warm:  {statistics.median(warm):.2f} s (median of {RUNS}, least {min(warm):.2f})   (bar: 3.00 s)")


if __name__ == "__main__":
    main()
