"""The shapes in words, read off one run, hold in another."""

import pytest

from formal_tx.book import shapes, sizes
from formal_tx.book.values import matrix, parameters
from formal_tx.crosscheck import ALGORITHMS
from formal_tx.crosscheck.layout import is_theta

of_each = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)


@of_each
def test_every_variable_of_the_small_run_has_the_shape_in_words(algorithm, small_run):
    made = small_run(algorithm)
    known = shapes.sizes(made)
    by_line = {(n, row["name"]): row["dims"] for row in shapes.shapes(algorithm) for n in row["lines"]}
    rounds = 0
    for step in made.steps:
        if step.value is None:
            continue
        dims = by_line[step.number, step.variable]
        if is_theta(step.value):
            assert dims == ["θ"]
        elif dims == ["≤ l"]:
            assert len(step.value) <= known["l"]
        else:
            now = known | ({"i": rounds} if "i" in known else {})
            assert tuple(sizes.value(dim, now) for dim in dims) == matrix(step.value).shape
        rounds += (algorithm.number, step.number) in ((14, 6), (15, 7))


@of_each
def test_the_parameters_are_counted(algorithm, small_run):
    made = small_run(algorithm)
    known = shapes.sizes(made)
    rows = [row for row in shapes.shapes(algorithm) if not row["lines"]]
    counts = [sizes.row(row, known)["count"].replace(",", "") for row in rows]
    arrays = [a for name, value in made.arguments.items() for _, a in parameters(value, name)]
    assert sum(map(int, counts)) == sum(matrix(a).size for a in arrays)


@of_each
def test_every_axis_has_a_size_to_start_with(algorithm, small_run):
    assert set(shapes.axes(algorithm)) <= shapes.sizes(small_run(algorithm)).keys()


def test_sums_products_and_subscripts():
    assert sizes.value("l + i + 1", {"l": 3, "i": 2}) == 6
    assert sizes.value("H d_mid", {"H": 3, "d_mid": 4}) == 12
    assert sizes.value("≤ l", {"l": 5}) == 5
    assert sizes.axis("H d_mid") == "H d<sub>mid</sub>"
