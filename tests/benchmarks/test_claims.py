"""The claims: each script runs; what is written down is whole, and the table and the figures are made of it."""

import json
import subprocess
import sys

import pytest

from benchmarks.claims.__main__ import BEGIN, PAGE, names, table
from benchmarks.claims.claim import FIGURES, RESULTS, Claim, draw
from benchmarks.harness.machine import ROOT
from formal_tx.crosscheck.systems import SYSTEMS


def test_every_system_has_a_claim_and_every_claim_was_measured():
    assert {f"benchmarks/claims/{name}.py" for name in names()} == {system.files["claim"] for system in SYSTEMS}
    for name in names():
        result = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
        assert result["system"] == name
        assert result["verdicts"]
        assert result["reproduced"] == all(verdict["holds"] for verdict in result["verdicts"])
        assert result["reproduced"] or result["notes"], "what does not hold has a reason"
        assert (FIGURES / f"{name}.svg").is_file()


def test_the_table_is_that_of_the_results():
    results = [json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in names()]
    assert table(results) in PAGE.read_text("utf-8").partition(BEGIN)[2]


def test_a_claim_says_what_holds_and_what_does_not(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("benchmarks.claims.claim.begin_again_with_huge_pages", lambda: None)
    monkeypatch.setattr("benchmarks.claims.claim.RESULTS", tmp_path / "results")
    monkeypatch.setattr("benchmarks.claims.claim.FIGURES", tmp_path / "figures")
    claim = Claim("a_system", "1234.56789", "it is fast", "a loop")
    claim.holds("it is", claim.measured("time", 2.5, "s") < 3)
    claim.holds("it is very fast", False)
    claim.panel("times", "ℓ", "s", {"ours": ([1, 2], [1, 4]), "theirs": ([1, 2], [1, 8])}, logarithmic=True)
    claim.conclude()
    printed = capsys.readouterr().out
    assert "  time: 2.5 s" in printed
    assert "  holds: it is\n" in printed
    assert "  DOES NOT HOLD: it is very fast" in printed
    assert printed.rstrip().endswith("verdict: not reproduced")
    result = json.loads((tmp_path / "results" / "a_system.json").read_text("utf-8"))
    assert result["found"] == [{"what": "time", "value": 2.5, "unit": "s"}]
    figure = (tmp_path / "figures" / "a_system.svg").read_bytes()
    draw(result["panels"], tmp_path / "a_system.svg")
    assert (tmp_path / "a_system.svg").read_bytes() == figure


def test_quickly_nothing_is_concluded(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("benchmarks.claims.claim.begin_again_with_huge_pages", lambda: None)
    monkeypatch.setattr("benchmarks.claims.claim.RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["claim", "--quick"])
    Claim("a_system", "1234.56789", "it is fast", "a loop").conclude()
    assert "nothing is concluded" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_it_runs(name):
    command = [sys.executable, "-m", f"benchmarks.claims.{name}", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("nothing is concluded")
