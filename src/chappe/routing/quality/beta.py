"""The Beta distribution: what is known of a share after some successes and failures. Pure.

Figures may be fractions, for evidence that has aged counts as less than a message.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_TINY: Final = 1e-300
_CLOSE: Final = 1e-12
_STEPS: Final = 1_000
_MANY: Final = 5_000.0  # beyond it the normal distribution is near enough, and the fraction needs ever more steps


def cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b): the chance that the share is at most x."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):  # where the fraction converges fast
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _fraction(1.0 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17.E22), by the modified Lentz method."""
    value, upper, lower = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        m = step // 2
        if step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        lower = 1.0 / _away(1.0 + term * lower)
        upper = _away(1.0 + term / upper)
        value *= upper * lower
        if abs(upper * lower - 1.0) < _CLOSE:
            break
    return 1.0 / value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def normal(p: float) -> float:
    """The quantile of the normal distribution."""
    return _NORMAL.inv_cdf(p)


def rough(z: float, a: float, b: float) -> float:
    """About the quantile whose normal score is z, in a microsecond; for a and b of 1 or more.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.22.
    """
    p, q = 1.0 / (2.0 * a - 1.0), 1.0 / (2.0 * b - 1.0)
    h = 2.0 / (p + q)
    l = (z * z - 3.0) / 6.0  # noqa: E741  # lambda
    w = -z * sqrt(max(0.0, h + l)) / h - (q - p) * (l + 5.0 / 6.0 - 2.0 / (3.0 * h))
    return a / (a + b * exp(min(700.0, 2.0 * w)))


def quantile(p: float, a: float, b: float) -> float:
    """The share that is not exceeded with the chance p, to a millionth; of very many trials nearly so."""
    if a + b > _MANY and min(a, b) >= 1.0:
        return rough(normal(p), a, b)
    low, high = 0.0, 1.0
    x = min(max(rough(normal(p), max(a, 1.0), max(b, 1.0)), 1e-9), 1.0 - 1e-9)
    front = lgamma(a + b) - lgamma(a) - lgamma(b)
    for _ in range(60):
        error = cdf(x, a, b) - p
        if error > 0.0:
            high = x
        else:
            low = x
        slope = exp(min(700.0, front + (a - 1.0) * log(x) + (b - 1.0) * log1p(-x)))
        new = x - error / slope if slope > _TINY else low
        if not low < new < high:
            new = (low + high) / 2.0
        if abs(new - x) < 1e-7 or high - low < 1e-7:
            return new
        x = new
    return x


def chance_of_so_few(n: float, d: float, p: float) -> float:
    """The chance that of n trials at most d succeed if each does with the chance p: the lower binomial tail, which is
    I_(1-p)(n - d, d + 1) (https://dlmf.nist.gov/8.17.E5) and holds for fractions, too. Of more than 5,000 trials it
    takes 5,000 in the same proportion, which errs on the side of chance."""
    if d >= n:
        return 1.0
    if n > _MANY:
        n, d = _MANY, d * _MANY / n
    return cdf(1.0 - p, n - d, d + 1.0)


def chance_of_gap(d: float, n: float, other_d: float, other_n: float) -> float:
    """The chance of so much smaller a share than the other's if both were the same: the one-sided z-test of two
    proportions with their pooled variance."""
    if n <= 0.0 or other_n <= 0.0:
        return 1.0
    pooled = (d + other_d) / (n + other_n)
    spread = sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / other_n))
    if spread == 0.0:
        return 1.0
    return _NORMAL.cdf((d / n - other_d / other_n) / spread)
