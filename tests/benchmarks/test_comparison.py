"""Turns, ratios and shares of a limit, with rivals whose seconds are given."""

from collections.abc import Iterator

import pytest

from benchmarks.harness import growth
from benchmarks.harness.absent import Absent
from benchmarks.harness.comparison import compare, interleaved
from benchmarks.harness.limit import Limit, products, reading
from benchmarks.harness.rival import RivalFailed
from benchmarks.harness.settings import Settings

from .stand_ins import StandIn


class Scripted(StandIn):
    """A rival without a process: its turns take what is written down."""

    turns: list[str] = []  # noqa: RUF012

    def __init__(self, name: str, seconds: Iterator[float], reason: Exception | None = None, peak: int = 1) -> None:
        self.name, self.seconds, self.reason, self.peak, self.compile_seconds = name, iter(seconds), reason, peak, 1.0

    def __enter__(self) -> "Scripted":
        if self.reason:
            raise self.reason
        return self

    def turn(self) -> float:
        self.turns.append(self.name)
        return next(self.seconds)


THREE = Settings(rounds=3)


def test_rivals_take_turns():
    Scripted.turns.clear()
    a, b = Scripted("a", [1.0, 2.0, 3.0]), Scripted("b", [4.0, 5.0, 6.0])
    assert interleaved([a, b], 3) == {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}
    assert Scripted.turns == [*"ababab"]


def test_the_ratio_is_taken_round_by_round():
    ours, rival = Scripted("ours", [1.0, 4.0, 1.0]), Scripted("rival", [2.0, 8.0, 3.0])
    (record,) = compare(THREE, "train", "batch 4", ours, [rival], tokens=5)
    assert (record["ratio"], record["ratio_spread"], record["ratio_of_minima"]) == (2.0, [2.0, 2.5], 2.0)
    assert record["seconds"] == {"ours": {"min": 1.0, "median": 1.0}, "rival": {"min": 2.0, "median": 3.0}}
    assert (record["tokens"], record["share_of_limit"]) == (5, None)


def test_the_share_of_the_limit(monkeypatch):
    """A limit of 10 a second, then of 20, by the better of two programs; ours needs 5 of it."""
    limit = Limit("GEMM", "FLOP/s", amount=5.0, measured=10.0, programs=(("m:a", {}), ("m:b", {})))
    rates = [Scripted("limit m:a", [1.0, 1.0, 0.5]), Scripted("limit m:b", [2.0, 2.0, 2.0])]
    monkeypatch.setattr(Limit, "rivals", lambda self: rates)
    ours, rival = Scripted("ours", [1.0, 1.0, 1.0]), Scripted("rival", [1.0, 1.0, 1.0])
    (record,) = compare(THREE, "train", "batch 4", ours, [rival], limit)
    assert (record["limit"], record["limit_rate"], record["share_of_limit"]) == ("GEMM", 10.0, 0.5)


def test_a_rival_that_is_absent_has_a_line_and_the_others_a_ratio():
    ours, present = Scripted("ours", [1.0] * 3), Scripted("present", [1.0] * 3)
    absent = Scripted("absent", [], Absent("no library"))
    lines = list(compare(THREE, "train", "batch 4", ours, [absent, present]))
    assert {(r["rival"], r.get("absent"), r.get("ratio")) for r in lines} == {
        ("absent", "no library", None),
        ("present", None, 1.0),
    }


@pytest.mark.parametrize("which", ["ours", "theirs"])
def test_who_fails_in_a_turn_ends_the_comparison(which):
    """One that was ready and then fails is a defect of the benchmark, and no property of the rival."""

    def two_turns():
        yield from (1.0, 1.0)
        raise RivalFailed(f"{which}: something is wrong")

    times = {"ours": [1.0] * 3, "theirs": [1.0] * 3} | {which: two_turns()}
    ours, theirs = (Scripted(name, turns) for name, turns in times.items())
    with pytest.raises(RivalFailed, match=f"{which}: something is wrong"):
        list(compare(THREE, "train", "batch 4", ours, [theirs]))


def test_without_ours_there_is_nothing_to_compare():
    ours, rival = Scripted("ours", [], Absent("no weights")), Scripted("rival", [])
    (record,) = compare(THREE, "decode", "int8", ours, [rival])
    assert (record["rival"], record["absent"]) == ("rival", "no weights")


def test_a_case_that_was_not_asked_for_is_not_run():
    ours = Scripted("ours", [], AssertionError("it was started"))
    assert list(compare(Settings(only="batch 12"), "train", "batch 4", ours, [])) == []


def test_the_growth_of_time_and_memory():
    def of_size(size):
        return Scripted(f"{size}", [1e-3 * size, 2e-3 * size, 1e-3 * size], peak=size**2)

    time, memory = growth.growth(THREE, "scaling", "training, ℓ", "ℓ", of_size, [1, 2, 4], of=("time", "memory"))
    assert (time["case"], time["exponent"]) == ("training, ℓ, time", pytest.approx(1))
    assert (memory["case"], memory["exponent"]) == ("training, ℓ, memory", pytest.approx(2))
    assert memory["curve"] == {"axis": "ℓ", "sizes": [1, 2, 4], "values": [1, 4, 16], "unit": "B"}


def test_growth_of_which_a_size_is_absent():
    def of_size(size):
        return Scripted(f"{size}", [1.0] * 3, Absent("no room") if size == 4 else None)

    (record,) = growth.growth(THREE, "scaling", "training, ℓ", "ℓ", of_size, [1, 2, 4])
    assert (record["case"], record["absent"]) == ("training, ℓ, time", "no room")


def test_the_limits_that_there_are():
    assert products(6e9).seconds({f"limit {t}": [1.0] for t, _ in products(1).programs}) == [6e9 / (2 * 2048**3)]
    limit = reading(1e9, 10**6)
    assert limit.measured == 10**6 - 10**6 % (4 * 4096)  # whole rows
    assert [arguments for _, arguments in limit.programs] == [{"size": limit.measured}] * 2
