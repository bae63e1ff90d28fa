"""Small training runs on the embedded corpus, for the tests of what comes of them."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache
from safetensors.numpy import load_file

from formal_tx.data import corpus
from formal_tx.runs.configuration import configured
from formal_tx.runs.files import sha256  # noqa: F401
from formal_tx.runs.sources import Sources
from formal_tx.runs.train import train

ARCHITECTURES = ("decoder", "encoder", "encoder-decoder")
OWN = {
    "decoder": {"L": 1, "tokenizer": "characters"},
    "encoder": {"L": 1, "tokenizer": "words", "N_V": 64, "mask_probability": 0.2},
    "encoder-decoder": {"L_enc": 1, "L_dec": 1, "tokenizer": "characters"},
}
# All that a preset says, so that the tests do not hang on it.
SMALL = {
    "H": 2,
    "d_e": 16,
    "d_mlp": 32,
    "l_max": 16,
    "tied_embeddings": False,
    "steps": 12,
    "batch_size": 8,
    "learning_rate": 0.003,
    "warmup": 2,
    "final": 0.03,
    "weight_decay": 0.01,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "log_every": 1,
    "evaluate_every": 4,
    "evaluate_batches": 2,
    "checkpoint_every": 5,
}
TIMES = ("tokens_per_second", "share_of_limit")  # what a log has that no two runs share
COMPILED = tempfile.TemporaryDirectory()
# Nothing is compiled twice.
COMPILING = {
    "jax_compilation_cache_dir": COMPILED.name,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
}


@contextmanager
def as_users_have_it():
    """JAX as it comes (at its strictest optax's AdamW does not run), but for what compiling costs."""
    before = {name: jax.config.values[name] for name in COMPILING}
    _compile(COMPILING)
    try:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            yield
    finally:
        _compile(before)


def _compile(settings):
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def settings(architecture, **more):
    """The configuration of a small run."""
    return configured(architecture, options={**SMALL, **OWN[architecture], **more})


def write_text(path, characters=20_000):
    """The beginning of the English text."""
    path.write_text(corpus.english()[:characters], "utf-8")
    return str(path)


def write_pairs(path, pairs=300):
    """The first two words of verses in both languages."""
    short = ((" ".join(side.split()[:2])[:14] for side in pair) for pair in islice(corpus.pairs("train"), pairs))
    path.write_text("".join("\t".join(pair) + "\n" for pair in short), "utf-8")
    return str(path)


def sources_for(architecture, directory):
    """Text or pairs, in a file in `directory`."""
    directory = Path(directory)
    if architecture == "encoder-decoder":
        return Sources((write_pairs(directory / "pairs.tsv"),))
    return Sources((write_text(directory / "text.txt"),))


def run(architecture, directory, sources, *, resume=False, reporter=None, **more):
    """A small run, begun or gone on with."""
    return train(settings(architecture, **more), directory, sources, resume=resume, reporter=reporter)


def command(architecture, directory, sources, *options, **more):
    """The command line of `run`, for a process of its own."""
    entries = {**SMALL, **OWN[architecture], **more}
    assignments = (part for name, value in entries.items() for part in ("--set", f"{name}={value}"))
    start = [sys.executable, "-m", "formal_tx.cli", "train", architecture, "--out", str(directory)]
    return [*start, *("--data", *sources.files), *assignments, *options]


def environment(**more):
    """That of a process that compiles in the same way."""
    path = os.pathsep.join(p or os.getcwd() for p in sys.path)
    compiling = {name.upper(): str(value) for name, value in COMPILING.items()}
    return os.environ | {"PYTHONPATH": path, "COLUMNS": "300", **compiling, **more}


def outcome(directory):
    """All that two runs with the same outcome share: parameters, record, log without times."""
    config = json.loads((directory / "config.json").read_text())
    log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return {
        "parameters": {name: W.tobytes() for name, W in load_file(directory / "model.safetensors").items()},
        "result": config["result"],
        "log": [{name: value for name, value in entry.items() if name not in TIMES} for entry in log],
    }
