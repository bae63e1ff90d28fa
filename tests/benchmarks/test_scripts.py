"""The scripts themselves, with rivals that take no time: their lines are those that the bars are about."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import check, decode, speech
from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness.limit import Limit
from benchmarks.harness.results import REQUIRED, key
from benchmarks.harness.settings import Settings
from benchmarks.rendering import bars

from .stand_ins import StandIn


class Instant(StandIn):
    """A rival that is done at once."""

    peak, compile_seconds = 1, 1.0
    value = {"bytes": 1, "compilations": 1}  # noqa: RUF012

    def __init__(self, name: str, target: str, **arguments: object) -> None:
        self.name = name

    def turn(self) -> float:
        return 1.0


@pytest.fixture
def instant(monkeypatch):
    """No process is started, and nothing is prepared."""
    for name in BENCHMARKS:
        module = import_module(f"benchmarks.{name}")
        if hasattr(module, "Rival"):
            monkeypatch.setattr(module, "Rival", Instant)
    monkeypatch.setattr(Limit, "rivals", lambda self: [Instant(f"limit {t}", t) for t, _ in self.programs])
    for module in (decode, speech):
        monkeypatch.setattr(module, "apart", lambda prepare, *arguments: 1.0)
    monkeypatch.setattr(decode, "smollm2", lambda: Path("smollm2.gguf"))
    monkeypatch.setattr(speech, "model", lambda: Path("whisper"))
    monkeypatch.setattr(speech, "recordings", lambda count: [Path("recording.wav")] * count)
    monkeypatch.setattr(check, "seconds", lambda arguments, status: 1.0)


def lines(settings):
    return [record for name in BENCHMARKS for record in import_module(f"benchmarks.{name}").measure(settings)]


def test_every_bar_is_about_a_line_of_a_full_run(instant):
    found = lines(Settings(rounds=1))
    for bar in bars.read()[1]:
        concerned = [record for record in found if bar.concerns(record)]
        assert concerned, bar
        assert all(bar.verdict(record) in ("goal", "floor", "missed") for record in concerned)


def test_the_lines_are_whole_and_about_different_things(instant):
    for settings in (Settings(rounds=1), Settings(quick=True, rounds=1)):
        found = lines(settings)
        assert len({key(record) for record in found}) == len(found) > 15
        assert all(not set(REQUIRED) - record.keys() and "absent" not in record for record in found)


def test_a_quick_run_is_a_part_of_a_full_one_but_for_curves(instant):
    full = {key(record) for record in lines(Settings(rounds=1))}
    assert {key(record) for record in lines(Settings(quick=True, rounds=1))} < full


def test_what_is_not_asked_for_is_left_out(instant):
    assert {record["case"] for record in lines(Settings(rounds=1, only="batch 12"))} == {
        "batch 12",
        "training step, batch 12",
    }


def test_the_process_that_times_has_no_threads_of_the_libraries():
    modules = ", ".join(f"benchmarks.{name}" for name in BENCHMARKS)
    code = f"import sys, {modules}; print(sorted({{'jax', 'torch', 'ctranslate2', 'formal_tx'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
