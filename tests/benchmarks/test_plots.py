"""Which curves there are, and that they are drawn."""

from benchmarks.rendering.plots import Curve, curves, draw
from tests.benchmarks.lines import growth, line


def compared(l, ours, rival):
    seconds = {"ours": {"min": ours, "median": ours}, "rival": {"min": rival, "median": rival}}
    return line(benchmark="attention", case=f"forward, ℓ = {l:,}", rival="PyTorch", size={"ℓ": l}, seconds=seconds)


def test_a_growth_is_a_curve_of_the_plot_of_its_axis_and_unit():
    found = curves([growth("window, time", [1, 2], [3, 6]), growth("memory", [1, 2], [5, 9], "B"), line()])
    assert found == {
        "attention-length-time": [Curve("window, time, ours", "ℓ", "s", (1, 2), (3, 6))],
        "attention-length-memory": [Curve("memory, ours", "ℓ", "B", (1, 2), (5, 9))],
    }


def test_comparisons_of_several_sizes_are_a_curve_for_each_rival():
    found = curves([compared(2048, 0.4, 0.8), compared(1024, 0.1, 0.2)])
    assert found == {
        "attention-comparison": [
            Curve("forward, ours", "ℓ", "s", (1024, 2048), (0.1, 0.4)),
            Curve("forward, PyTorch", "ℓ", "s", (1024, 2048), (0.2, 0.8)),
        ]
    }


def test_a_size_that_could_not_be_measured_is_left_out():
    absent = {**compared(4096, 1.0, 1.0), "absent": "no room"}
    assert len(curves([compared(1024, 0.1, 0.2), absent])["attention-comparison"][0].sizes) == 1


def test_the_same_numbers_give_the_same_file_with_exponents_in_it(tmp_path):
    lines = [Curve("forward, ours", "ℓ", "s", (1024, 2048), (0.1, 0.4))]
    draw(lines, tmp_path / "one" / "a.svg")
    draw(lines, tmp_path / "two" / "a.svg")
    drawn = (tmp_path / "one" / "a.svg").read_text("utf-8")
    assert drawn == (tmp_path / "two" / "a.svg").read_text("utf-8")
    assert "forward, ours (ℓ^2.00)" in drawn
