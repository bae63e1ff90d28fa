"""Portable arithmetic: it is right, it is the same on every machine, and the pseudocode never leaves it."""

import math
import os
import subprocess
import sys
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from formal_tx.crosscheck import ALGORITHMS
from formal_tx.crosscheck.layout import is_theta
from formal_tx.crosscheck.record import record
from formal_tx.vectors import rounding
from formal_tx.vectors.cases import vectors
from formal_tx.vectors.portable import Portable, portable
from formal_tx.vectors.vector import _arguments

NUMBERS = st.floats(-30, 30)


@pytest.mark.parametrize(("f", "reference"), [(rounding.exp, math.exp), (rounding.erf, math.erf)])
@given(x=NUMBERS)
def test_it_is_what_the_c_library_has_up_to_the_last_digit(f, reference, x):
    assert f(x) == pytest.approx(reference(x), rel=4e-16, abs=5e-324)


@given(x=st.floats(0, allow_infinity=False))
def test_the_logarithm_is_what_the_c_library_has_up_to_the_last_digit(x):
    assert rounding.log(x) == pytest.approx(math.log(x) if x else -math.inf, rel=4e-16)


@given(x=st.floats(0, 1e6), y=st.sampled_from([0.5, 1.0, 2.0, 1.25]))
def test_powers_are_what_the_c_library_has_up_to_the_last_digit(x, y):
    assert rounding.power(x, y) == pytest.approx(x**y, rel=4e-16, abs=5e-324)


@given(x=st.floats(0, 1e150))
def test_powers_that_the_processor_rounds_are_the_same(x):
    assert rounding.power(x, 0.5) == math.sqrt(x)
    assert rounding.power(x, 2.0) == x * x


@given(x=st.floats(-5.9, 5.9))
def test_the_error_function_is_the_double_nearest_to_its_series_in_exact_numbers(x):
    """Maclaurin's series with exact fractions: another sum than the one in `rounding`, and no rounding in it."""
    assume(abs(x) > 1e-3)
    z, term, total, n = Fraction(x), Fraction(x), Fraction(x), 0
    while abs(term) > Fraction(1, 10**45):
        n += 1
        term = (-term * z * z / n).limit_denominator(10**80)
        total += term / (2 * n + 1)
    with localcontext() as context:
        context.prec = 60
        half_root_pi = Decimal("0.886226925452758013649083741670572591398774728061193564106903894926")
        assert rounding.erf(x) == float(Decimal(total.numerator) / Decimal(total.denominator) / half_root_pi)


def test_values_at_the_ends():
    inf, nan = math.inf, math.nan
    assert [rounding.exp(x) for x in (-inf, -800.0, 0.0, 800.0, inf)] == [0, 0, 1, inf, inf]
    assert [rounding.log(x) for x in (0.0, 1.0, inf)] == [-inf, 0, inf]
    assert [rounding.erf(x) for x in (-inf, -7.0, 0.0, 7.0, inf)] == [-1, -1, 0, 1, 1]
    assert all(math.isnan(f(nan)) for f in (rounding.exp, rounding.log, rounding.erf, lambda x: rounding.power(x, 2.0)))
    assert math.isnan(rounding.log(-1.0))
    with pytest.raises(ValueError, match=r"-2\.0 to the power 0\.5 is no real number"):
        rounding.power(-2.0, 0.5)


@pytest.mark.parametrize(("terms", "total"), [([2.0**53, 1, 1, -(2.0**53)], 0), ([1, 1, 2.0**53, -(2.0**53)], 2)])
def test_sums_are_taken_in_order(terms, total):
    """2⁵³ + 1 is 2⁵³ in double precision, so the order shows."""
    A = portable([terms])
    assert float((A @ portable(np.ones(4)))[0]) == total
    assert float(A.sum()) == total
    assert float(A.T.sum(axis=0)[0]) == total


@pytest.mark.parametrize(("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((2, 0), (0, 4))])
def test_products_have_the_shapes_and_values_of_numpy(a, b):
    rng = np.random.default_rng(0)
    A, B = rng.integers(-9, 9, a).astype(float), rng.integers(-9, 9, b).astype(float)
    product = portable(A) @ portable(B)
    assert isinstance(product, Portable)
    np.testing.assert_array_equal(np.asarray(product), A @ B)


def test_elements_and_what_is_made_of_parts_stay_portable():
    A = portable(np.arange(6.0).reshape(2, 3))
    for value in (A[0, 1], A[:, 1], A.T, np.concatenate([A, A]), np.where(A > 1, A, -np.inf), A.max(axis=0), A + 1):
        assert isinstance(value, Portable)


@pytest.mark.parametrize(
    "f",
    [np.tanh, np.multiply.reduce, np.add.accumulate, lambda A: np.dot(A, A), lambda A: np.einsum("i, i", A, A)],
    ids=["tanh", "product", "cumsum", "dot", "einsum"],
)
def test_what_differs_between_machines_is_refused(f):
    with pytest.raises(TypeError, match=r"does not give the same bits on every machine"):
        f(portable([1.0, 2.0]))


def numbers_in(value):
    """Every real array and number of a recorded value."""
    if is_theta(value):
        return [leaf for part in vars(value).values() for leaf in numbers_in(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in numbers_in(part)]
    return [value] if not isinstance(value, int | None) else []


@pytest.mark.parametrize("algorithm", ALGORITHMS[:10] + ALGORITHMS[13:], ids=lambda a: a.name)
def test_the_pseudocode_stays_portable_in_every_line(algorithm):
    found = []
    for vector in vectors(algorithm):
        with np.errstate(all="ignore"):
            _, recorded = record(algorithm.paper, algorithm.listing, **_arguments(algorithm, vector))
        found += [leaf for r in recorded for leaf in numbers_in(r.value)]
    assert found
    assert {type(leaf) for leaf in found} == {Portable}


WRITE = """
import sys, hashlib, numpy as np
from formal_tx.crosscheck import find
from formal_tx.crosscheck.cases import draw
from formal_tx.crosscheck.editions import run_paper
from formal_tx.vectors import write_vectors
write_vectors(sys.argv[1], [find(n) for n in sys.argv[2:]])
plain = run_paper(find(9), draw(9, 0, 1)[0], "float64")[0]
print(hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest())
"""


def written_by(directory, numbers, environment):
    """The files that another process writes, and what plain NumPy gives there."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment
    command = [sys.executable, "-c", WRITE, str(directory), *map(str, numbers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in directory.iterdir()}, done.stdout.split()[-1]


@pytest.mark.parametrize(
    "numbers", [(3, 5, 9, 14), pytest.param(range(1, 16), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_another_processor_and_hash_seed_give_the_same_bytes_though_numpy_gives_others(tmp_path, numbers):
    """NumPy and OpenBLAS are told to do without the instructions that this processor has and an older one has not.

    The two seeds put the set {"X", "Z"} in different orders.
    """
    umath = np._core._multiarray_umath
    newer = " ".join(f for f in umath.__cpu_dispatch__ if umath.__cpu_features__[f])
    older = {"NPY_DISABLE_CPU_FEATURES": newer, "OPENBLAS_CORETYPE": "Prescott", "PYTHONHASHSEED": "4"}
    ours, plain = written_by(tmp_path / "a", numbers, {"PYTHONHASHSEED": "1"})
    theirs, plain_of_theirs = written_by(tmp_path / "b", numbers, older)
    assert ours == theirs
    if plain == plain_of_theirs:
        pytest.skip("this processor cannot pass for another: plain NumPy gives the same on both")
