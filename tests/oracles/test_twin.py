"""A run of `train` and its twin in PyTorch go down the same curve."""

import jax
import numpy as np
import pytest

from formal_tx.data import corpus
from formal_tx.runs.configuration import configured
from formal_tx.runs.log import read_log
from formal_tx.runs.preparation import reopen
from formal_tx.runs.reporting import Reporter
from formal_tx.runs.sources import Sources
from formal_tx.runs.train import train
from formal_tx.runs.trainer import Trainer
from tests.oracles.torch_training import Twin

STEPS, EVERY = 300, 50
OPTIONS = {
    "L": 2,
    "H": 4,
    "d_e": 64,
    "d_mlp": 256,
    "l_max": 32,
    "tied_embeddings": False,
    "steps": STEPS,
    "batch_size": 8,
    "warmup": 20,
    "learning_rate": 3e-3,
    "weight_decay": 0.1,
    "clip": 1.0,
    "log_every": 1,
    "evaluate_every": 0,
    "checkpoint_every": 0,
}


def test_the_loss_curves_are_within_one_per_cent(tmp_path):
    """300 steps in float32 with everything that a run has: every 50th loss, and the mean of the 50 before it."""
    text = tmp_path / "text.txt"
    text.write_text(corpus.english()[:200_000])
    c, sources, run = configured("decoder", options=OPTIONS), Sources((str(text),)), tmp_path / "run"
    with jax.numpy_dtype_promotion("standard"):  # what optax's AdamW needs
        train(c, run, sources)
        data = reopen(c, run)
        trainer = Trainer(c, tmp_path / "other", data, Reporter())  # with the parameters that a run begins with
        twin = Twin(trainer.state["params"], trainer.hyperparameters, c)
    ours = {entry["step"]: entry for entry in read_log(run)}
    assert [*ours] == [*range(1, STEPS + 1)]
    theirs = {}
    for step in range(1, STEPS + 1):
        batch = data.batches.batch(step - 1)
        assert not batch["segments"].any()  # one text: no window has a border in it
        rate = twin.learning_rate()
        loss, norm = twin.update(batch["x"])
        theirs[step] = {"loss": loss, "gradient_norm": norm}
        assert ours[step]["learning_rate"] == pytest.approx(rate, rel=1e-5)
    for name, entry in theirs[1].items():
        assert ours[1][name] == pytest.approx(entry, rel=1e-5), name
    found, expected = (np.array([curve[step]["loss"] for step in sorted(curve)]) for curve in (ours, theirs))
    for step in range(EVERY, STEPS + 1, EVERY):
        assert found[step - 1] == pytest.approx(expected[step - 1], rel=0.01), step
        assert found[step - EVERY : step].mean() == pytest.approx(expected[step - EVERY : step].mean(), rel=0.01), step
    assert expected[0] - expected[-EVERY:].mean() > 1.5
