"""A run that was stopped and gone on with ends at the bits of one that was not."""

import signal

import pytest

from formal_tx.runs.reporting import Reporter
from formal_tx.runs.trainer import Interrupted
from tests.runs.running import outcome, run

pytestmark = pytest.mark.usefixtures("as_users_have_it")


class Stops(Reporter):
    """Presses Ctrl-C while the step `at` is told of, and keeps the notes."""

    def __init__(self, at):
        self.at, self.notes = at, []

    def progress(self, step, measured):
        if step == self.at:
            signal.raise_signal(signal.SIGINT)

    def note(self, message):
        self.notes.append(message)


VARIANTS = {
    "decoder": (
        "decoder",
        {"dropout": 0.2, "accumulate": 2, "ema": 0.9, "schedule": "inverse_square_root", "tied_embeddings": True},
    ),
    "encoder-decoder": ("encoder-decoder", {"dropout": 0.1, "label_smoothing": 0.1, "accumulate": 2, "ema": 0.5}),
    "decoder with patience": ("decoder", {"patience": 2, "learning_rate": 1e-9, "steps": 40}),
    "decoder in float16": ("decoder", {"dtype": "float16", "clip": 0.0, "schedule": "constant"}),
    "encoder": ("encoder", {"dropout": 0.1, "masking": "bert"}),
    "encoder as printed": ("encoder", {"ema": 0.5, "remat": "dots_saveable"}),
    "encoder-decoder with patience": ("encoder-decoder", {"patience": 9, "dtype": "bfloat16"}),
}


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=() if name == "decoder" else pytest.mark.slow) for name in VARIANTS]
)
def test_stopped_and_gone_on_with(tmp_path, sources, variant):
    architecture, more = VARIANTS[variant]
    run(architecture, tmp_path / "straight", sources[architecture], **more)
    stopped = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="stopped after step 7") as caught:
        run(architecture, stopped, sources[architecture], reporter=Stops(7), **more)
    assert caught.value.step == 7
    assert not (stopped / "model.safetensors").exists()
    assert (stopped / "checkpoints" / "7").is_dir()
    run(architecture, stopped, sources[architecture], resume=True, **more)
    expected, found = outcome(tmp_path / "straight"), outcome(stopped)
    for name in ("parameters", "result", "log"):
        assert found[name] == expected[name], name
