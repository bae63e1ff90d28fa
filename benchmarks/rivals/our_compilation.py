"""What is compiled: the forward pass of Algorithm 10, a step of `formal-tx train`, and a whole run of it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from formal_tx import DTransformerHyperparameters, d_transformer, init_d_transformer
from formal_tx.runs.configuration import configured
from formal_tx.runs.reporting import Reporter
from formal_tx.runs.train import train
from formal_tx.runs.trainer import Trainer

SMALL = {"H": 4, "d_e": 64, "d_mlp": 256, "l_max": 64}
BATCH, N_V = 8, 128


def forward(L: int) -> Callable[[], dict[str, int]]:
    """Traces, lowers and compiles `d_transformer` of L layers, nothing of it cached."""
    hp = DTransformerHyperparameters(L=L, N_V=N_V, **SMALL)
    shapes = jax.eval_shape(lambda key: init_d_transformer(key, hp), jax.random.key(0))
    x = jax.ShapeDtypeStruct((BATCH, hp.l_max), np.int32)
    return _compilation(lambda: jax.jit(lambda x, params: d_transformer(x, params, hp)).lower(x, shapes))


def step(L: int) -> Callable[[], dict[str, int]]:
    """The same for the step of a training run."""
    options = {"L": L, "tied_embeddings": True, "batch_size": BATCH, "tokenizer": "characters"}
    characters: Any = SimpleNamespace(tokenizer=SimpleNamespace(N_V=N_V))
    with tempfile.TemporaryDirectory() as directory:
        configuration = configured("decoder", "tiny", options={**SMALL, **options})
        trainer = Trainer(configuration, Path(directory), characters, Reporter())
    x = np.zeros((BATCH, SMALL["l_max"]), np.int32)
    return _compilation(lambda: trainer.update.lower(trainer.state, {"x": x, "segments": x}, 0))


def _compilation(lower: Callable[[], Any]) -> Callable[[], dict[str, int]]:
    size = len(lower().as_text())

    def run() -> dict[str, int]:
        jax.clear_caches()
        lower().compile()
        return {"bytes": size}

    return run


def training_run(steps: int) -> Callable[[], dict[str, int]]:
    """How many programs a run of so many steps compiles, the evaluations, samples and checkpoints of it included."""
    compiled: list[str] = []

    def heard(event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)
    every = {"evaluate_every": 10, "checkpoint_every": 10, "sample_every": 10, "warmup": 1, "evaluate_batches": 2}
    options = {"L": 1, "tokenizer": "characters", "batch_size": BATCH, "steps": steps, **SMALL, **every}

    def run() -> dict[str, int]:
        compiled.clear()
        with tempfile.TemporaryDirectory() as directory:
            train(configured("decoder", "tiny", options=options), directory)
        return {"compilations": len(compiled)}

    return run
