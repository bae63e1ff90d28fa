"""Whatever stops the process, and whenever, `--resume` ends at the bits of a run that nothing stopped."""

import random
import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.runs.running import command, environment, outcome

MORE = {"steps": 30, "dropout": 0.1, "ema": 0.9}  # with a checkpoint every 5 steps: much of its life it saves


def finish(arguments):
    return subprocess.run(arguments, env=environment(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, sources):
    """What a run that nothing stopped ends with, and how many seconds one takes when everything is compiled."""
    directory = tmp_path_factory.mktemp("straight")
    seconds = []
    for name in ("first", "second"):
        start = time.perf_counter()
        done = finish(command("decoder", directory / name, sources["decoder"], **MORE))
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert outcome(directory / "first") == outcome(directory / "second")
    return outcome(directory / "first"), seconds[1]


def killed_after(seconds, arguments, number):
    """Starts a process and sends it a signal after so many seconds; gives its exit status and standard error."""
    with subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            _, said = process.communicate()
    return process.returncode, said


def ends_as_if_nothing_had_happened(tmp_path, sources, straight, moments):
    """Kills a run at a share of its life each, every one another run."""
    expected, seconds = straight
    killed = 0
    for n, moment in enumerate(moments):
        arguments = command("decoder", tmp_path / str(n), sources["decoder"], "--resume", **MORE)
        start = time.perf_counter()
        status, _ = killed_after(seconds * moment, arguments, signal.SIGKILL)
        if status == -signal.SIGKILL:
            killed += 1
        else:
            seconds = time.perf_counter() - start  # the machine has become faster: that is how long a life is now
        done = finish(arguments)
        assert done.returncode == 0, (moment, done.stderr)
        assert outcome(tmp_path / str(n)) == expected, moment
    return killed


def test_kill_at_three_moments(tmp_path, sources, straight):
    assert ends_as_if_nothing_had_happened(tmp_path, sources, straight, [0.45, 0.65, 0.85]) >= 2


@pytest.mark.heavy
def test_kill_at_twenty_random_moments(tmp_path, sources, straight):
    rng = random.Random(0)
    moments = [(n + rng.random()) / 20 for n in range(20)]
    assert ends_as_if_nothing_had_happened(tmp_path, sources, straight, moments) >= 15


@pytest.mark.heavy
def test_kill_again_and_again(tmp_path, sources, straight):
    """One run that is killed, at random, every time that it is gone on with, until it has come to its end."""
    expected, seconds = straight
    rng = random.Random(1)
    arguments = command("decoder", tmp_path, sources["decoder"], "--resume", **MORE)
    killed = 0
    while killed_after(seconds * rng.uniform(0.6, 1.0), arguments, signal.SIGKILL)[0] != 0:
        killed += 1
        assert killed < 50
    assert killed >= 1
    assert outcome(tmp_path) == expected


def stopped_when(said, arguments, number):
    """Sends a signal when the process says something on standard error; gives exit status and all that it said."""
    heard = ""
    with subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            heard += line
            if line.startswith(said) and number is not None:
                process.send_signal(number)
                number = None
    return process.returncode, heard


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, id="Ctrl-C"), pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow)],
)
def test_a_signal_stops_with_a_checkpoint_and_says_how_to_go_on(tmp_path, sources, straight, number):
    more = MORE | {"evaluate_every": 4}
    arguments = command("decoder", tmp_path, sources["decoder"], **more)
    status, said = stopped_when("step 8:", arguments, number)
    assert status == 130
    assert "Traceback" not in said
    *_, message, line = said.splitlines()
    assert message.startswith("stopped after step ")
    assert message.endswith(", with a checkpoint. To go on:")
    step = message.split()[3].rstrip(",")
    assert (tmp_path / "checkpoints" / step).is_dir()
    name, *going_on = shlex.split(line)
    assert name == "formal-tx"
    assert going_on[-1] == "--resume"
    done = finish([sys.executable, "-m", "formal_tx.cli", *going_on])
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path) == straight[0]


def test_ctrl_c_before_the_first_step(tmp_path, sources, straight):
    arguments = command("decoder", tmp_path, sources["decoder"], **MORE)
    status, said = stopped_when("reading the text", arguments, signal.SIGINT)
    assert status == 130
    assert "Traceback" not in said
    assert said.splitlines()[-2] in ("stopped. To go on:", "stopped after step 1, with a checkpoint. To go on:")
    _, *going_on = shlex.split(said.splitlines()[-1])
    done = finish([sys.executable, "-m", "formal_tx.cli", *going_on])
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path) == straight[0]
