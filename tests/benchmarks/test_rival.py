"""Rivals in processes of their own: they take turns, and say what is wrong with them."""

import sys

import pytest

from benchmarks.harness.absent import Absent
from benchmarks.harness.rival import Rival, RivalFailed

PROGRAMS = "tests.benchmarks.programs"
MIB = 2**20


def test_it_is_called_before_the_first_turn_and_once_a_turn():
    with Rival("counting", f"{PROGRAMS}:counting", start=100) as rival:
        assert rival.turn() > 0
        assert rival.value == {"calls": 104}  # three before
        rival.turn()
        assert rival.value == {"calls": 105}


def test_short_calls_are_made_more_often():
    with Rival("counting", f"{PROGRAMS}:counting", start=0) as rival:
        rival.last_at_least(0.01)
        rival.turn()
        assert rival.value["calls"] > 4


def test_calls_that_are_not_timed_come_before_those_that_are():
    with Rival("counting", f"{PROGRAMS}:counting", calls_before=1, start=0) as rival:
        rival.last_at_least(10, untimed=2)
        rival.turn()
        assert rival.value == {"calls": 4}  # one before the first turn, two, and the one that is timed


def test_what_was_compiled_is_not_known_after_one_call():
    with Rival("counting", f"{PROGRAMS}:counting", calls_before=1, start=0) as rival:
        assert rival.compile_seconds is None
        rival.last_at_least(10)
        rival.turn()
        assert rival.value == {"calls": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_peak_is_what_a_turn_takes_for_a_while():
    with Rival("taking", f"{PROGRAMS}:taking", size=64 * MIB) as rival:
        rival.turn()
        assert 60 * MIB < rival.peak < 200 * MIB


def test_one_that_is_absent_says_why():
    with pytest.raises(Absent, match="some library is not installed"), Rival("absent", f"{PROGRAMS}:absent"):
        pass


def test_one_that_fails_says_how():
    with (
        pytest.raises(RivalFailed, match="wrong one: ValueError: something is wrong"),
        Rival("wrong one", f"{PROGRAMS}:failing"),
    ):
        pass


def test_one_that_does_not_exist():
    with (
        pytest.raises(RivalFailed, match=r"AttributeError: .* has no attribute 'nobody'"),
        Rival("x", f"{PROGRAMS}:nobody"),
    ):
        pass


def test_one_that_ends_without_a_word():
    with Rival("dying", f"{PROGRAMS}:dying", calls=3) as rival, pytest.raises(RivalFailed, match="ended with status 7"):
        rival.turn()
