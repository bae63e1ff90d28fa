"""`import formal_tx` stays light. Seconds are for `benchmarks/import_time.py`; here it is which modules come along."""

import json
import subprocess
import sys

HEAVY = {
    "matplotlib",
    "optax",
    "orbax",
    "pandas",
    "rich",
    "sacrebleu",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "typer",
}


def modules_after(statement):
    """The top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_brings_no_heavy_module_that_jax_and_flax_do_not():
    mine = modules_after("import formal_tx") - modules_after("import jax, flax.struct")
    assert "formal_tx" in mine
    assert mine & HEAVY == set()
