"""exp, log, powers and the error function, rounded correctly: the same bits on every machine, whatever its libm.

NumPy picks its own vectorised exp by the instructions that a processor has, and C libraries differ in the last digit.
Here a function is computed with 40 decimal digits, of which the nearest double is taken. (It would come out otherwise
only if the true value were within 1e-23 of half way between two doubles.)
"""

from decimal import Context, Decimal
from math import inf, isnan, nan

_DIGITS = Context(prec=40, Emin=-(10**9), Emax=10**9)
_TWO_BY_ROOT_PI = Decimal("1.128379167095512573896158903121545171688101258657997713688171443421")
_ERF_IS_ONE = 6.0  # 1 - erf(6) is 2e-17, less than half the distance from 1 to the double below it


def exp(x: float) -> float:
    """e to the power x, correctly rounded; infinity where that exceeds the doubles."""
    if isnan(x) or x in (inf, -inf):
        return 0.0 if x == -inf else x
    if x > 710:
        return inf
    return float(_DIGITS.exp(Decimal(x))) if x > -746 else 0.0


def log(x: float) -> float:
    """The natural logarithm, correctly rounded: -inf at 0, nan below."""
    if isnan(x) or x < 0:
        return nan
    return float(_DIGITS.ln(Decimal(x))) if 0 < x < inf else (inf if x else -inf)


def power(x: float, y: float) -> float:
    """x to the power y, correctly rounded.

    Raises:
      ValueError: x is negative and y no integer.
    """
    if x < 0 and y != int(y):
        raise ValueError(f"{x} to the power {y} is no real number")
    return nan if isnan(x) else float(_DIGITS.power(Decimal(x), Decimal(y)))


def erf(x: float) -> float:
    """The error function, correctly rounded: 2/√π · x · e^(-x²) · Σ (2x²)^n / (1·3·5···(2n+1)), all terms positive."""
    if isnan(x) or abs(x) >= _ERF_IS_ONE:
        return x if isnan(x) else (1.0 if x > 0 else -1.0)
    add, multiply, divide = _DIGITS.add, _DIGITS.multiply, _DIGITS.divide
    z = Decimal(x)
    square = multiply(z, z)
    twice = add(square, square)
    term = total = Decimal(1)
    n = 1
    while term > _DIGITS.scaleb(total, -42):
        n += 2
        term = divide(multiply(term, twice), n)
        total = add(total, term)
    return float(multiply(multiply(_TWO_BY_ROOT_PI, z), multiply(_DIGITS.exp(-square), total)))
