"""What a training run does besides training: what it refuses, what it tells, and where it stops."""

import json
import shutil

import jax
import numpy as np
import pytest

from formal_tx.runs import trainer as trainer_module
from formal_tx.runs.checkpoints import CheckpointError, Checkpoints
from formal_tx.runs.lock import DirectoryInUse, only_writer
from formal_tx.runs.log import read_log
from formal_tx.runs.model_directory import load_model
from formal_tx.runs.preparation import prepare
from formal_tx.runs.reporting import Reporter
from formal_tx.runs.sources import Sources
from formal_tx.runs.train import train
from formal_tx.runs.trainer import Diverged, Trainer
from tests.runs.running import outcome, run, settings, write_text

pytestmark = pytest.mark.usefixtures("as_users_have_it")


class Hears(Reporter):
    """Keeps everything that it is told."""

    def __init__(self):
        self.heard = []

    def note(self, message):
        self.heard.append(("note", message))

    def prepared(self, statistics):
        self.heard.append(("prepared", statistics))

    def progress(self, step, measured):
        self.heard.append(("progress", step, measured))

    def evaluated(self, step, measured):
        self.heard.append(("evaluated", step, measured))

    def sampled(self, step, text):
        self.heard.append(("sampled", step, text))

    def saved(self, step):
        self.heard.append(("saved", step))

    def steps(self, kind):
        return [event[1] for event in self.heard if event[0] == kind]


@pytest.fixture(scope="module")
def reported(as_users_have_it, sources, tmp_path_factory):
    """A finished run, and what it told."""
    directory, reporter = tmp_path_factory.mktemp("finished") / "run", Hears()
    run("decoder", directory, sources["decoder"], reporter=reporter, sample_every=6)
    return directory, reporter


@pytest.fixture(scope="module")
def finished(reported):
    return reported[0]


@pytest.fixture
def copy(finished, tmp_path):
    """A finished run to be spoilt."""
    return shutil.copytree(finished, tmp_path / "copy")


def go_on(directory, sources, **more):
    return run("decoder", directory, sources["decoder"], resume=True, **more)


def test_everything_is_told_when_it_is_due(reported):
    directory, reporter = reported
    assert reporter.steps("progress") == [*range(1, 13)]
    assert reporter.steps("evaluated") == [4, 8, 12]
    assert reporter.steps("sampled") == [6, 12]
    assert set(reporter.steps("saved")) >= {5, 10, 12}
    assert reporter.steps("note") == []
    assert reporter.heard[0][0] == "prepared"
    statistics = reporter.heard[0][1]
    params = load_model(directory).params
    assert statistics["parameters"] == sum(W.size for W in jax.tree.leaves(params))
    assert statistics["train"]["characters"] == 19_000
    assert statistics["held_out"]["characters"] == 1000
    assert statistics["epochs"] == round(12 / -(-((19_002 - 16 - 14) // 15 + 1) // 8), 2)


def test_the_log_has_what_was_told(reported):
    directory, reporter = reported
    told = [{"step": event[1], **event[2]} for event in reporter.heard if event[0] in ("progress", "evaluated")]
    for entry in told:
        entry.pop("best", None)
    assert read_log(directory) == told
    names = {"step", "loss", "gradient_norm", "learning_rate", "tokens_per_second", "share_of_limit"}
    assert told[0].keys() == names
    assert told[-1].keys() == {"step", "held_out_loss", "held_out_bits_per_character"}
    rates = [entry["learning_rate"] for entry in told if "loss" in entry]
    assert rates[0] == 0
    assert max(rates) == rates[2] == pytest.approx(settings("decoder").learning_rate)


def test_loss_comes_down_and_the_result_is_in_the_configuration(finished):
    entries = read_log(finished)
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    held_out = {entry["step"]: entry["held_out_loss"] for entry in entries if "held_out_loss" in entry}
    assert losses[-1] < losses[0] - 0.02
    config = json.loads((finished / "config.json").read_text())
    assert config["result"] == {"best": held_out[12], "best_step": 12, "worse": 0}
    assert config["training"] == settings("decoder", sample_every=6).as_dict()
    assert config["data"]["files"][0].endswith("text.txt")


def test_a_second_run_needs_resume_or_another_directory(finished, sources):
    with pytest.raises(FileExistsError, match="--resume goes on with it, another --out begins a new one") as caught:
        run("decoder", finished, sources["decoder"])
    assert str(caught.value).startswith(f"{finished} holds a training run: ")


def test_a_finished_run_is_not_trained_again(copy, finished, sources):
    reporter = Hears()
    go_on(copy, sources, reporter=reporter)
    assert reporter.steps("progress") == reporter.steps("saved") == []
    assert outcome(copy) == outcome(finished)


def test_nothing_to_go_on_with_is_a_beginning(tmp_path, finished, sources):
    go_on(tmp_path / "run", sources)
    assert outcome(tmp_path / "run") == outcome(finished)


def test_another_writer(copy, sources):
    with only_writer(copy), pytest.raises(DirectoryInUse, match="is being written by process "):
        go_on(copy, sources)


def test_a_changed_configuration_is_named(finished, sources):
    with pytest.raises(ValueError, match="cannot go on with another configuration: ") as caught:
        go_on(finished, sources, dropout=0.5, learning_rate=0.1)
    assert "configuration: learning_rate: 0.003 before, 0.1 now; dropout: 0.0 before, 0.5 now. Give" in str(
        caught.value
    )
    before = outcome(finished)
    go_on(finished, sources, keep=3, log_every=2, checkpoint_every=1)
    assert outcome(finished)["parameters"] == before["parameters"]


def test_other_text_is_named(tmp_path, finished, sources):
    other, (file,) = write_text(tmp_path / "other.txt"), sources["decoder"].files
    c = settings("decoder", sample_every=6)
    with pytest.raises(ValueError, match="another configuration") as caught:
        train(c, finished, Sources((other,)), resume=True)
    assert f"files: {file} before, {other} now" in str(caught.value)
    with pytest.raises(ValueError, match="another configuration") as caught:
        train(c, finished, Sources((file,), (other,)), resume=True)
    assert f"held_out: none before, {other} now" in str(caught.value)


@pytest.mark.parametrize("name", ["train", "held_out"])
def test_altered_tokens_are_noticed(copy, sources, name):
    ids = copy / "data" / name / "ids"
    content = bytearray(ids.read_bytes())
    content[10] ^= 1
    ids.write_bytes(content)
    with pytest.raises(ValueError, match="the tokens are altered: their fingerprint is ") as caught:
        go_on(copy, sources)
    assert str(caught.value).startswith(f"{copy / 'data' / name}: ")


def test_tokens_of_another_run_are_noticed(copy, sources, tmp_path):
    shutil.rmtree(copy / "data" / "train")
    shutil.copytree(copy / "data" / "held_out", copy / "data" / "train")
    with pytest.raises(ValueError, match=r"expected .*, that of the run$"):
        go_on(copy, sources)


def test_a_truncated_checkpoint_is_passed_over_and_the_end_is_the_same(copy, finished, sources):
    newest = max((copy / "checkpoints" / "12" / "state").rglob("*"), key=lambda path: path.stat().st_size)
    newest.write_bytes(newest.read_bytes()[:-10])
    reporter = Hears()
    go_on(copy, sources, reporter=reporter)
    (note,) = reporter.steps("note")
    assert note.startswith(f"the checkpoint of step 12 in {copy / 'checkpoints'} is not whole: ")
    assert note.endswith("; going on from step 10")
    assert reporter.steps("progress") == [11, 12]
    assert outcome(copy) == outcome(finished)


def test_without_a_whole_checkpoint_nothing_is_trained(copy, sources):
    for step in Checkpoints(copy / "checkpoints").steps():
        (copy / "checkpoints" / str(step) / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no checkpoint can be restored: the checkpoint of step 12"):
        go_on(copy, sources)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, sources):
    with pytest.raises(Diverged, match=r"^the loss is (nan|inf) at step ") as caught:
        run("decoder", tmp_path, sources["decoder"], learning_rate=1e30, clip=0.0, evaluate_every=0, checkpoint_every=1)
    message = str(caught.value)
    assert "Begin again with a smaller learning_rate than 1e+30, a longer warmup or a smaller clip" in message
    last = Checkpoints(tmp_path / "checkpoints").steps()[-1]
    assert f"the last checkpoint is of step {last}" in message
    assert not (tmp_path / "model.safetensors").exists()


def test_patience_stops_and_keeps_the_best(tmp_path, sources):
    more = {"patience": 2, "learning_rate": 0.3, "evaluate_every": 2, "steps": 60, "schedule": "constant"}
    model = run("decoder", tmp_path, sources["decoder"], **more)
    losses = {e["step"]: e["held_out_loss"] for e in read_log(tmp_path) if "held_out_loss" in e}
    best = min(losses, key=losses.get)
    assert [*losses][-1] == best + 4 < 60
    assert max(entry["step"] for entry in read_log(tmp_path)) == best + 4
    result = json.loads((tmp_path / "config.json").read_text())["result"]
    assert result == {"best": losses[best], "best_step": best, "worse": 2}
    c = settings("decoder", **more)
    data = prepare(c, sources["decoder"], tmp_path / "again")
    at_best = Trainer(c, tmp_path, data, Reporter())
    at_best.state = at_best.checkpoints.restore(at_best.state, best).state
    jax.tree.map(np.testing.assert_array_equal, model.params, at_best.state["params"])
    assert at_best.held_out_loss() == losses[best]


def test_the_step_is_compiled_once_and_the_average_is_what_is_saved(tmp_path, sources):
    c = settings("decoder", ema=0.9, evaluate_every=6)
    data = prepare(c, sources["decoder"], tmp_path)
    trained = Trainer(c, tmp_path, data, Reporter())
    params = trained.run()
    assert trained.update._cache_size() == 1
    assert trained.held_out._cache_size() == 1
    last = trained.state["params"]
    assert not np.array_equal(params.W_e, last.W_e)
    assert np.abs(params.W_e - last.W_e).max() < 0.05


def test_one_device_and_two_are_the_same_run(tmp_path, sources, finished, monkeypatch):
    assert jax.device_count() == 2
    monkeypatch.setattr(trainer_module.jax, "device_count", lambda: 1)
    run("decoder", tmp_path, sources["decoder"])
    one, two = read_log(tmp_path), read_log(finished)
    for name in ("loss", "held_out_loss", "gradient_norm"):
        found, expected = ([entry[name] for entry in log if name in entry] for log in (one, two))
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=name)
